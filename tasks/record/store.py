"""The record's store: one object an entry, `records/<release>/<seq>.json`, written once and never changed, each with a seal.

The place and hash of the last entry are kept beside the approval key, so that a record whose end was removed, or of which an older copy was
put back, is noticed. Nothing here imports Prefect, so the command line can read a record quickly.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from blocks.errors import Refused, Tampered, Temporary, WorldMoved
from blocks.key_folder.heads import Head, keep_head
from blocks.key_folder.seal import reading_seal, writing_seal
from tasks.record.objects import Objects, objects_of
from tasks.record.reading import Reading, parsed, path_of, read_record, readable_entries
from tasks.rules.record.entries import Entry, Kind, chain, key_of, moment, to_bytes
from tasks.rules.record.masking import bounded, mask

ATTEMPTS = 100
CACHED_RELEASES = 256


@dataclass
class _Tail:
    last: Entry | None = None
    places: dict[str, int] = field(default_factory=dict)
    torn: bytes | None = None


_tails: dict[tuple[str, str], _Tail] = {}
_headless: set[tuple[str, str, int]] = set()  # entries that this process stored, and whose head could not be kept yet
_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, defaultdict[tuple[str, str], asyncio.Lock]] = WeakKeyDictionary()


async def expect_whole(storage: Any, release_id: str) -> None:
    """Return if a record is as it was written; by one read while only this process writes.

    Args:
        storage: A folder's `Path` or a Prefect filesystem block.
        release_id: The release.

    Raises:
        Tampered: An entry was changed, added or removed by others.
        Refused: The key to check that is not here.
    """
    await _tail(objects_of(storage), release_id)


async def load_entry(storage: Any, release_id: str, key: str, *, whatever_is_left: bool = False) -> Entry | None:
    """Find one entry by its key, by three reads at most while only this process writes; None if it was never written.

    Args:
        storage: A folder's `Path` or a Prefect filesystem block.
        release_id: The release.
        key: Its key, see `key_of`.
        whatever_is_left: Look for it in what can be read of a broken record, too; then None may also mean that it cannot be read. For what
            rolls back.

    Raises:
        Tampered: The record is broken: the entry may have been written.
    """
    objects = objects_of(storage)
    try:
        tail = await _tail(objects, release_id)
        if tail.last and await objects.read(path_of(release_id, tail.last.seq + 1)) is not None:
            name = (objects.name, release_id)
            if _seq(_tails.get(name)) <= tail.last.seq:  # another process wrote; this one would know
                _tails.pop(name, None)
            tail = await _tail(objects, release_id)
        return await _entry_at(objects, release_id, tail.places[key]) if key in tail.places else None
    except (WorldMoved, ValueError) as error:
        if not whatever_is_left:
            if isinstance(error, WorldMoved):
                raise
            raise Tampered(f"the record of {release_id} cannot be read. Keep the folder as it is and find out who changed it") from error
        return next((entry for entry in await readable_entries(storage, release_id) if entry.key == key), None)


async def store_entry(
    storage: Any,
    release_id: str,
    *,
    kind: Kind,
    who: str,
    what: str,
    why: str = "",
    environment: str = "",
    round: int = 1,
    step: int | None = None,
    name: str = "",
    evidence: dict[str, Any] | None = None,
    secrets: Iterable[str] = (),
    at: datetime | None = None,
) -> tuple[Entry, bool]:
    """Write an entry behind the last one, once: if its kind, environment, round, step and name are there already, they stay as they are.

    Args:
        storage: A folder's `Path` or a Prefect filesystem block.
        release_id: The release.
        kind: What sort of thing happened.
        who: The person or the part that did it.
        what: What happened, in one sentence.
        why: The reason, with its numbers.
        environment: Where; "" for the whole release.
        round: The release's round, from 1.
        step: The share of the traffic in percent, or None.
        name: Which one, of several of this kind in one place.
        evidence: JSON-like values; cut where they are too long.
        secrets: Texts that are masked wherever they occur.
        at: When it happened; now where None.

    Returns:
        The entry as it is stored, which is the one of the first such call; and whether this was that call.

    Raises:
        WorldMoved: The record is broken before its last entry.
        Temporary: Other writers were first a hundred times.
    """
    masked = mask({"who": who, "what": what, "why": why, "evidence": evidence or {}}, secrets)
    fields = {**bounded({name: masked[name] for name in ("who", "what", "why")}), "evidence": bounded(masked["evidence"])}
    identity: dict[str, Any] = {"kind": kind, "environment": environment, "round": round, "step": step, "name": name}
    return await _append(objects_of(storage), release_id, key_of(**identity), {"at": at or datetime.now(UTC), **identity, **fields})


async def _append(objects: Objects, release_id: str, key: str, fields: dict[str, Any]) -> tuple[Entry, bool]:
    name = (objects.name, release_id)
    async with _locks.setdefault(asyncio.get_running_loop(), defaultdict(asyncio.Lock))[name]:
        for _ in range(ATTEMPTS):
            tail = await _tail(objects, release_id)
            if key in tail.places:
                entry = await _entry_at(objects, release_id, tail.places[key])
                is_late = (*name, entry.seq) in _headless  # a call before this one stored it and then broke off
                if is_late or tail.last is None or entry.seq == tail.last.seq:
                    await _keep_head(release_id, entry)
                _headless.discard((*name, entry.seq))
                return entry, is_late
            if tail.torn is not None:
                await _note_torn(objects, release_id, tail)
                continue
            entry = chain(tail.last, **fields)
            if await objects.create(path_of(release_id, entry.seq), _sealed(release_id, entry)):
                _remember(name, entry, tail)
                _headless.add((*name, entry.seq))
                await _keep_head(release_id, entry)
                _headless.discard((*name, entry.seq))
                return entry, True
            _tails.pop(name, None)
    raise Temporary(f"the record of {release_id} could not be extended: other writers were first {ATTEMPTS} times")


async def _keep_head(release_id: str, entry: Entry) -> None:
    await asyncio.to_thread(keep_head, release_id, Head(entry.seq, entry.hash, closed=entry.kind == "closed"))


def _sealed(release_id: str, entry: Entry) -> bytes:
    return writing_seal().close(path_of(release_id, entry.seq), to_bytes(entry))


def _trusted(reading: Reading, release_id: str) -> list[Entry]:
    if reading.faults:
        faults = "; ".join(reading.faults)
        raise Tampered(f"the record of {release_id} is broken: {faults}. Keep the folder as it is and find out who changed it")
    if reading.entries and reading.unchecked:
        raise Refused(reading.unchecked)
    return reading.entries


async def _tail(objects: Objects, release_id: str) -> _Tail:
    name = (objects.name, release_id)
    tail = _tails.get(name)
    if tail and tail.last and await objects.read(path_of(release_id, tail.last.seq)) == _sealed(release_id, tail.last):
        return tail
    if tail is _tails.get(name):
        _tails.pop(name, None)  # it is not what is stored
    reading = await read_record(objects, release_id)
    entries = _trusted(reading, release_id)
    if entries and reading.torn is None and entries[-1].seq > _seq(_tails.get(name)):
        _remember(name, entries[-1], _Tail(None, {entry.key: entry.seq for entry in entries}))
    return _Tail(entries[-1] if entries else None, {entry.key: entry.seq for entry in entries}, reading.torn)


def _seq(tail: _Tail | None) -> int:
    return tail.last.seq if tail and tail.last else 0


def _remember(name: tuple[str, str], entry: Entry, tail: _Tail) -> None:
    _tails.pop(name, None)
    _tails[name] = _Tail(entry, {**tail.places, entry.key: entry.seq})
    while len(_tails) > CACHED_RELEASES:
        del _tails[next(iter(_tails))]


async def _entry_at(objects: Objects, release_id: str, seq: int) -> Entry:
    content = await objects.read(path_of(release_id, seq))
    if content is None:
        raise Tampered(f"entry {seq} of the record of {release_id} is gone. Keep the folder as it is and find out who removed it")
    return parsed(path_of(release_id, seq), content, reading_seal())


async def _note_torn(objects: Objects, release_id: str, tail: _Tail) -> None:
    """Put a note that says what was torn in the place of the torn entry, so that nothing is replaced in silence.

    The note is the same whoever writes it and when, so that two writers who find the same tear cannot undo each other.
    """
    torn = tail.torn or b""
    seq = tail.last.seq + 1 if tail.last else 1
    entry = chain(
        tail.last, at=moment(tail.last) if tail.last else datetime.now(UTC), kind="note", name=f"torn {seq}", who="shipway",
        what=f"Entry {seq} was found torn ({len(torn)} bytes) and counts as not written.",
        why="A write was cut short, or the file was changed afterwards.",
        evidence={"sha256": hashlib.sha256(torn).hexdigest(), "beginning_base64": base64.b64encode(torn[:1024]).decode()},
    )  # fmt: skip
    await objects.replace(path_of(release_id, seq), _sealed(release_id, entry))
    await _keep_head(release_id, entry)
