"""Read a record as it is stored, and say what is wrong with it: entries, seals, the chain, and whether its end is there.

Nothing here imports Prefect, so the command line can read a record quickly.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from blocks.errors import BadInput, Refused, Tampered
from blocks.key_folder.heads import Head, read_head
from blocks.key_folder.kept_files import read_kept
from blocks.key_folder.seal import Seal, reading_seal, split
from tasks.record.objects import Objects, StorageFault, objects_of
from tasks.rules.record.entries import Entry, parse_entry, verify_chain

KEPT_BYTES = 64_000
FACTS, OF_FACTS = "facts", "which has the facts of a closed record"
RELEASE_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")
ENTRY_NAME = re.compile(r"(\d{5,})\.json")
UNREAD_IN_A_ROW = 3  # then it is the storage that is away, and not an entry


@dataclass(frozen=True)
class Reading:
    """A record as it was found.

    Fields:
        entries: The entries that can be read, in order.
        faults: What was changed or is missing in the middle, a sentence each; says nothing of a missing end.
        torn: The bytes of a last entry that was not written whole, which counts as not written; None where all are whole.
        tear: The sentence about it.
        unchecked: Why the seals were not checked, a sentence; "" if they were.
    """

    entries: list[Entry]
    faults: list[str]
    torn: bytes | None = None
    tear: str = ""
    unchecked: str = ""

    @property
    def problems(self) -> list[str]:
        """All that is wrong, a sentence each."""
        return self.faults + ([self.tear] if self.tear else [])

    @property
    def problems_at_end(self) -> list[str]:
        """All that is wrong with the record of a run that is over, which must be closed, too."""
        return list(dict.fromkeys([*self.problems, *verify_chain(self.entries)]))


UNSEALED = "it is a whole chain, but its seals were not checked: it was written before records had seals, or under another key"


async def read_record(storage: Any, release_id: str, *, sealed: bool = True) -> Reading:
    """Read a record and say what is wrong with it.

    Args:
        storage: A folder's `Path` or a Prefect filesystem block.
        release_id: The release.
        sealed: Whether to check the seals, if the key is here; False reads what was written before there were any, or under another key.

    Returns:
        Entries and problems; both empty if there is no such record.
    """
    objects, folder = objects_of(storage), folder_of(release_id)
    head, unread = await asyncio.to_thread(_head_of, release_id)  # first: another process may write on meanwhile
    try:
        contents = await contents_of(objects, folder)
    except Tampered as error:
        return Reading([], [*unread, str(error)])
    seal, unchecked = _seal_if_any(contents) if sealed else (None, UNSEALED)
    entries: list[Entry] = []
    faults = list(unread)
    torn, tear = None, ""
    for place, content in contents.items():
        if isinstance(content, Tampered):
            faults.append(f"entry {place} cannot be trusted: {content}")
            continue
        try:
            entries.append(parsed(path_of(release_id, place), content, seal))
        except (ValueError, Tampered) as error:
            if place == max(contents) and (head is None or head.seq < place) and not _is_whole(content):
                torn, tear = content, f"the last entry ({place}) counts as not written: {error}"
            else:
                faults.append(f"entry {place} cannot be trusted: {error}")
    faults += verify_chain(entries, state="under_way") if entries else []
    if head is None and entries:
        faults += await asyncio.to_thread(_put_back, release_id, entries)
    return Reading(entries, faults + _missed(entries, head, folder), torn, tear, unchecked)


def _head_of(release_id: str) -> tuple[Head | None, list[str]]:
    """Give the head that is kept of a record, and what is wrong with it."""
    try:
        return read_head(release_id), []
    except Tampered as error:
        return None, [str(error)]


def _is_whole(content: bytes) -> bool:
    """Say whether stored bytes are an entry, sealed or not: a write that was cut short leaves none, so who wrote it wanted it to count."""
    with suppress(ValueError):
        return bool(parse_entry(split(content)[0]))
    return False


def _seal_if_any(contents: dict[int, bytes | Tampered]) -> tuple[Seal | None, str]:
    """Give the seal of this machine's key, or say why the seals cannot be checked here."""
    try:
        return (reading_seal() if contents else None), ""
    except Refused as error:
        return None, f"the seals of the entries were not checked, because {error}"


def _missed(entries: list[Entry], head: Head | None, folder: str) -> list[str]:
    """Find what is not there any more of a record that ended in this head, or went on after it."""
    if head is None or any((entry.seq, entry.hash) == (head.seq, head.hash) for entry in entries):
        return []
    last = entries[-1].seq if entries else 0
    if last < head.seq:
        return [f"{folder}/{head.seq:05d}.json was written and is missing: the end of the record was removed, or an older copy put back"]
    return [f"{folder}/{head.seq:05d}.json is not the entry that was written there: another copy was put in its place"]


def _put_back(release_id: str, entries: list[Entry]) -> list[str]:
    """Find that a record without a head had one: it was closed, as its facts are kept, and removed as it was old."""
    with suppress(Refused):
        kept = read_kept(FACTS, release_id, what=OF_FACTS)
        if kept and all(entry.hash != kept.get("head") for entry in entries):
            return [f"{folder_of(release_id)} was closed, and its end is missing: it was removed as it was old, and a copy was put back"]
    return []


async def readable_entries(storage: Any, release_id: str, *, unread: list[str] | None = None) -> list[Entry]:
    """Read the entries that can be read, each true to its own hash and seal; whether they hang together is said by `read_record`.

    Args:
        storage: A folder's `Path` or a Prefect filesystem block.
        release_id: The release.
        unread: Where to say what the storage does not give, a sentence each, for who goes on without it.

    Raises:
        Tampered: The record's folder is not a folder that was made here.
        StorageFault: The storage does not give an entry, and `unread` is None.
    """
    contents = await contents_of(objects_of(storage), folder_of(release_id), unread=unread)
    seal = reading_seal() if contents else None
    entries = []
    for place, content in contents.items():
        with suppress(ValueError, Tampered):
            if isinstance(content, Tampered):
                continue
            entries.append(parsed(path_of(release_id, place), content, seal))
    return entries


def folder_of(release_id: str) -> str:
    """Name the folder of a release's record.

    Raises:
        BadInput: The id could leave the folder of records.
    """
    if not RELEASE_ID.fullmatch(release_id):
        raise BadInput(f"{release_id!r} is not the id of a release", field="release", fix="Take the id that `shipway history` shows.")
    return f"records/{release_id}"


def path_of(release_id: str, seq: int) -> str:
    """Say where an entry is stored."""
    return f"{folder_of(release_id)}/{seq:05d}.json"


async def contents_of(objects: Objects, folder: str, *, unread: list[str] | None = None) -> dict[int, bytes | Tampered]:
    """Read all stored entries by place; where the storage cannot list, up to the first that is missing.

    What the storage does not give is left out and said in `unread`, if that is a list: one such object must not hide the others.
    """
    try:
        contents = await objects.contents(folder, named=ENTRY_NAME)
    except StorageFault:
        if unread is None:
            raise
        contents = None  # a file of the folder cannot be read, or none can
    if contents is None:
        return await _one_by_one(objects, folder, unread)
    found = {int(name.partition(".")[0]): content for name, content in contents.items()}
    return dict(sorted(found.items()))


async def _one_by_one(objects: Objects, folder: str, unread: list[str] | None) -> dict[int, bytes | Tampered]:
    found: dict[int, bytes | Tampered] = {}
    in_a_row = 0
    for place in itertools.count(1):
        try:
            content = await objects.read(f"{folder}/{place:05d}.json")
        except (StorageFault, Tampered) as error:
            if unread is None:
                raise
            unread.append(str(error))
            in_a_row += 1
            if in_a_row == UNREAD_IN_A_ROW:
                break
            continue
        if content is None:
            break
        found[place], in_a_row = content, 0
    return found


def parsed(path: str, stored: bytes, seal: Seal | None) -> Entry:
    """Parse what was parsed before at no cost: a release reads its record hundreds of times. Do not change an entry's evidence."""
    content = seal.open(path, stored) if seal else split(stored)[0]
    return _parsed_before(content) if len(content) <= KEPT_BYTES else parse_entry(content)


@lru_cache(maxsize=1_024)
def _parsed_before(content: bytes) -> Entry:
    return parse_entry(content)
