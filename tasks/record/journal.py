"""Say what happened, once and everywhere: in the record, in the run's log, and as an event that others can follow."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from prefect.events import emit_event
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from blocks.errors import Refused, Temporary, WorldMoved
from blocks.key_folder.heads import KeyFolderFault, read_head
from blocks.outside_text import ENDING_LIMIT, error_text, outside, safe_key, said
from tasks.lifecycle.kept_runs import keep_open
from tasks.record.kept_entries import KINDS, keep_entry, kept_entries, kept_entry
from tasks.record.objects import Objects, StorageFault, objects_of
from tasks.record.patience import Patient, patient, patient_anew
from tasks.record.reading import readable_entries
from tasks.record.storage import default_storage
from tasks.record.store import expect_whole, load_entry, store_entry
from tasks.record.without_key import is_rolling_back, rolling_back
from tasks.rules.record.entries import Entry, Kind, chain, key_of
from tasks.rules.record.masking import bounded, hide_in

TRIES = 4
SAY_AGAIN_SECONDS, MOST_SAID = 60.0, 100
LOUD = {"rollback", "refused"}

_said_unread: dict[str, float] = {}  # by record, when it was last said that it could not be read


async def append_entry(
    release: str,
    what: str,
    *,
    kind: Kind,
    environment: str = "",
    round: int = 1,
    step: int | None = None,
    name: str = "",
    why: str = "",
    who: str = "shipway",
    evidence: dict[str, Any] | None = None,
) -> Entry:
    """Append an entry to a release's record, log it and emit it as an event.

    Idempotent: kind, environment, round, step and name identify an entry, and a step that runs again leaves the first one as it is.
    What a rollback goes by is kept beside the key, too, and that a record is open, until its run has come to its end.

    A rollback goes on without an entry that cannot be stored, and logs it. If the storage does not answer, only the entry that closes a
    record is waited for: the record stays open, and the keeper closes it later. What was deployed ends although its record is broken.

    Args:
        release: The release's flow run id.
        what: What happened, in one sentence.
        kind: What sort of thing.
        environment: Where; "" for the whole release.
        round: The release's round, from 1.
        step: The share of the traffic in percent, or None.
        name: Which one, of several of this kind in one place.
        why: The reason, with its numbers.
        who: The person or part that did it.
        evidence: JSON values.

    Returns:
        The entry as it is stored.

    Raises:
        Tampered: The record is not as it was written; names the place and what is there.
        Temporary: It could not be stored within a few tries.
    """
    who, what, why = outside(who), said(what), said(why, limit=ENDING_LIMIT)
    identity: dict[str, Any] = {"kind": kind, "environment": environment, "round": round, "step": step, "name": safe_name(name)}
    fields: dict[str, Any] = {**identity, "who": who, "what": what, "why": why, "evidence": hide_in(evidence or {})}
    fields |= await _kept_fields(release, key_of(**identity), kind)
    try:
        if kind == "opened":
            await keep_open(release)
        entry, is_new = await _append(await _storage(closes=kind == "closed"), release, **fields)
    except (Refused, Temporary, WorldMoved, OSError) as error:
        if not _may_go_on(kind, error):
            raise
        entry, is_new = await _go_on_without(release, error, identity=identity, fields=fields)
    if is_new:
        _log(kind, f"{what}{': ' if why else ''}{why}")
        emit_event(
            f"shipway.release.{kind}",
            resource={"prefect.resource.id": f"shipway.release.{release}", "prefect.resource.name": release},
            related=[{"prefect.resource.id": f"prefect.flow-run.{release}", "prefect.resource.role": "release"}],
            payload={
                **identity,
                "who": who,
                "what": what,
                "why": why[:2_000],
                "outcome": outside(fields["evidence"].get("outcome", "")),
                "at": entry.at,
                "seq": entry.seq,
            },
        )
    return entry


async def read_entry(
    release: str, kind: Kind, *, environment: str = "", round: int = 1, step: int | None = None, name: str = ""
) -> Entry | None:
    """Read the one entry that these fields identify, or None if it was never written.

    In a rollback what the record does not have, or the storage does not give, is looked for beside the key; None then also means that it is
    not known. Only the end of a record that is closed, as its head says, is waited for: what was deployed must not be rolled back.
    """
    key = key_of(kind, environment=environment, round=round, step=step, name=safe_name(name))
    if not is_rolling_back():
        return await load_entry(await default_storage(), release, key)
    try:
        found = await load_entry(await _storage(), release, key, whatever_is_left=True)
    except (Refused, Temporary, WorldMoved, OSError) as error:
        found = next((entry for entry in await read_entries(release) if entry.key == key), None)
        if found is None and kind == "closed" and isinstance(error, Temporary) and await asyncio.to_thread(_ends_closed, release):
            raise
    return found or (await kept_entry(release, key) if kind in KINDS else None)


async def flow_of(run: str) -> str:
    """Name the flow of a run, by the entry that opened its record; "" if that is not known. Errors as of `read_entry`."""
    opened = await read_entry(run, "opened")
    return str(opened.evidence.get("flow") or "") if opened else ""


def safe_name(name: str) -> str:
    """Give a name that may come from outside, such as a version, in a form that every record takes; "" stays so."""
    return safe_key(name) if name else ""


async def expect_whole_record(release: str) -> None:
    """Return if a release's record is as it was written; nothing goes forward by one that others changed.

    Raises:
        Tampered: An entry was changed, added or removed by others.
        Temporary: The storage does not give it; a rollback waits ten seconds for it.
    """
    await expect_whole(await _storage(), release)


async def closing_entry(release: str) -> Entry | None:
    """Read the entry that closed a record, or None if it is open, or cannot be read without the key.

    Raises:
        Temporary: It is closed, and the storage does not give its end.
    """
    with rolling_back():  # who goes forward is refused by the next line of the record
        return await read_entry(release, "closed")


async def read_entries(release: str) -> list[Entry]:
    """Read a record's entries that can be read; who needs an unbroken record verifies its chain.

    Without the key, without the storage, or if others put something else in the place of the record, everything else than a rollback is
    refused. A rollback also reads what is kept beside the key, and says what it could not read.
    """
    if not is_rolling_back():
        return await readable_entries(await default_storage(), release)
    unread: list[str] = []
    try:
        found = await readable_entries(await _storage(), release, unread=unread)
    except (Refused, Temporary, WorldMoved, OSError) as error:
        found, unread = [], [error_text(error)]
    if unread:
        say_unread(release, unread[0])
    known = {entry.key for entry in found}
    return [*(entry for entry in await kept_entries(release) if entry.key not in known), *found]


async def _kept_fields(release: str, key: str, kind: Kind) -> dict[str, Any]:
    """Give the fields of an entry as it is kept beside the key, in a rollback: what was decided once is not decided anew."""
    known = await kept_entry(release, key) if kind in KINDS and is_rolling_back() else None
    return {} if known is None else known.model_dump(include={"who", "what", "why", "evidence"})


async def _go_on_without(release: str, error: Exception, *, identity: dict[str, Any], fields: dict[str, Any]) -> tuple[Entry, bool]:
    """Give an entry that could not be stored, or only without its head: the service must be rolled back all the same."""
    known = None if isinstance(error, StorageFault) else await read_entry(release, **identity)
    if known is not None:
        return known, isinstance(error, KeyFolderFault)  # it was stored just now, and its head was not
    broken = "THE RECORD IS BROKEN, and this is not in it" if isinstance(error, WorldMoved) else "not in the record"
    _log("refused", f"{broken}: {fields['what']}. {error}")
    entry = chain(None, at=datetime.now(UTC), **{**fields, "evidence": bounded(fields["evidence"])})
    with suppress(KeyFolderFault):
        await keep_entry(release, entry)
    return entry, True


def _may_go_on(kind: Kind, error: Exception) -> bool:
    """Say whether what happens goes on without its entry."""
    if kind == "closed":
        return isinstance(error, WorldMoved) or (is_rolling_back() and not isinstance(error, StorageFault))
    return is_rolling_back()


async def _storage(*, closes: bool = False) -> Objects:
    """Give the storage; a rollback waits for it ten seconds in all, and each time that it is to close its record."""
    found = objects_of(await default_storage())
    if not is_rolling_back():
        return found
    return patient_anew(found) if closes else patient(found)


def _ends_closed(release: str) -> bool:
    """Say if a record is closed by its head; one that cannot be read says nothing."""
    with suppress(KeyFolderFault, WorldMoved):
        head = read_head(release)
        return head is not None and head.closed
    return False


async def _append(storage: Objects, release: str, **fields: Any) -> tuple[Entry, bool]:
    """Store an entry, with a few tries; a rollback waits only as long as its patience lasts."""
    for attempt in range(1, TRIES + 1):
        try:
            stored = await store_entry(storage, release, **fields)
            await keep_entry(release, stored[0])
        except Temporary as error:
            if attempt == TRIES or (isinstance(storage, Patient) and not _may_try_again(storage, error)):
                raise
            await asyncio.sleep(error.delay_seconds)
        else:
            return stored
    raise AssertionError


def _may_try_again(storage: Patient, error: Temporary) -> bool:
    return not isinstance(error, KeyFolderFault) and storage.may_wait(error.delay_seconds)


def say(line: str) -> None:
    """Log a fault that is not part of the record, as a warning."""
    _log("refused", line)


def say_unread(release: str, why: str) -> None:
    """Log that a rollback could not read a record as a whole; once a minute, as it asks again and again.

    Args:
        release: Whose record it is.
        why: What was not read, or why.
    """
    now = time.monotonic()
    if now - _said_unread.get(release, -SAY_AGAIN_SECONDS) < SAY_AGAIN_SECONDS:
        return
    _said_unread.pop(release, None)
    _said_unread[release] = now
    while len(_said_unread) > MOST_SAID:
        del _said_unread[next(iter(_said_unread))]
    say(f"THE RECORD of {release} COULD NOT BE READ as a whole: {why}. The rollback goes by what is kept beside the key, and by what runs")


def inform(line: str) -> None:
    """Log an ordinary line that is not part of the record."""
    _log("note", line)


def _log(kind: Kind, line: str) -> None:
    try:
        logger: logging.Logger | logging.LoggerAdapter[Any] = get_run_logger()
    except MissingContextError:
        logger = logging.getLogger("shipway")
    logger.log(logging.WARNING if kind in LOUD else logging.INFO, "%s", said(line, limit=ENDING_LIMIT))
