"""The entries that a rollback goes by, beside the approval key, too: the record in the storage can be lost, which must not read as empty.

What a run was asked for, which version is bad, how an environment is rolled back, which migrations began: without them a rollback that
begins anew would choose anew, by what it brought there itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress

from blocks.approvers.kept_files import kept_names, read_kept
from blocks.errors import Refused
from tasks.lifecycle.kept_runs import write
from tasks.rules.record.entries import Entry, Kind, parse_entry, to_bytes

FOLDER = "entries"
WHAT = "an entry that a rollback goes by"
KINDS: set[Kind] = {"opened", "rollback", "migration"}


async def keep_entry(release: str, entry: Entry) -> None:
    """Keep an entry, if it is one that a rollback goes by.

    Raises:
        KeyFolderFault: The key's folder cannot be used.
    """
    if entry.kind in KINDS:
        await write(FOLDER, _name(release, entry.key), {"entry": to_bytes(entry).decode()}, what=WHAT)


async def kept_entry(release: str, key: str) -> Entry | None:
    """Give a kept entry by its key; None if none is kept, or it cannot be read."""
    return await asyncio.to_thread(_read, _name(release, key))


async def kept_entries(release: str) -> list[Entry]:
    """Give the kept entries of a release, in the order of the record."""

    def read() -> list[Entry]:
        found = kept_names(FOLDER, beginning=f"{release}_")
        return [entry for name in found if (entry := _read(name)) is not None]

    return sorted(await asyncio.to_thread(read), key=lambda entry: (entry.at, entry.seq))


def _read(name: str) -> Entry | None:
    with suppress(Refused, ValueError, KeyError, TypeError, AttributeError):
        found = read_kept(FOLDER, name, what=WHAT)
        return parse_entry(found["entry"].encode()) if found else None
    return None


def _name(release: str, key: str) -> str:
    return f"{release}_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
