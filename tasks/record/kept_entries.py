"""The entries by which a run ends, beside the approval key, too: the record in the storage can be lost, which must not read as empty.

What a run was asked for, which version is bad, how an environment is rolled back, which migrations began: without them a rollback that
begins anew would choose anew, by what it brought there itself. And that a release which is deployed and verified waits for ticks alone.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress

from blocks.errors import BadInput, Refused
from blocks.key_folder.kept_files import kept_names, read_kept
from tasks.lifecycle.kept_runs import RUN, write
from tasks.rules.approval.closing import is_of_closing
from tasks.rules.record.entries import Entry, Kind, parse_entry, to_bytes

FOLDER = "entries"
WHAT = "an entry that a rollback goes by"
KINDS: set[Kind] = {"opened", "rollback", "migration"}


async def keep_entry(release: str, entry: Entry) -> None:
    """Keep an entry, if a rollback goes by it, or it is of the checklist before closing; each run has a folder, to list one run's alone.

    Raises:
        KeyFolderFault: The key's folder cannot be used.
    """
    if entry.kind in KINDS or is_of_closing(entry):
        await write(_folder(release), _name(entry.key), {"entry": to_bytes(entry).decode()}, what=WHAT)


async def kept_entry(release: str, key: str) -> Entry | None:
    """Give a kept entry by its key; None if none is kept, or it cannot be read."""
    return await asyncio.to_thread(_read, release, _name(key))


async def kept_entries(release: str) -> list[Entry]:
    """Give the kept entries of a release, in the order of the record."""

    def read() -> list[Entry]:
        return [entry for name in kept_names(_folder(release)) if (entry := _read(release, name)) is not None]

    return sorted(await asyncio.to_thread(read), key=lambda entry: (entry.at, entry.seq))


def _read(release: str, name: str) -> Entry | None:
    with suppress(Refused, ValueError, KeyError, TypeError, AttributeError):
        found = read_kept(_folder(release), name, what=WHAT)
        return parse_entry(found["entry"].encode()) if found else None
    return None


def _folder(release: str) -> str:
    if not RUN.fullmatch(release):
        raise BadInput(f"{release!r} is not the id of a release", field="release", fix="Take the id that `shipway history` shows.")
    return f"{FOLDER}/{release}"


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]
