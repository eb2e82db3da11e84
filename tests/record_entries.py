"""The entries of a record, for tests that look at what was recorded."""

from __future__ import annotations

from typing import Any

from tasks.record.reading import read_record
from tasks.rules.record.entries import Entry


async def load_entries(storage: Any, run: str) -> list[Entry]:
    """Read a record's entries, of which none may be missing or changed; a torn last one counts as not written."""
    reading = await read_record(storage, run)
    assert not reading.faults
    assert not (reading.entries and reading.unchecked)
    return reading.entries
