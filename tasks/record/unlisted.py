"""Runs that ended and that no list of the server has: their tags were taken away, or they were deleted. Their records tell of them.

Nothing here imports Prefect, so the command line can use it quickly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from blocks.key_folder.heads import closed_heads
from tasks.record.reading import read_record
from tasks.rules.record.entries import Entry, moment, outcome_of


@dataclass(frozen=True)
class Unlisted:
    """A run by its record.

    Fields:
        run: Its flow run id.
        flow: Its flow.
        outcome: How it ended; `record broken` if that cannot be trusted.
    """

    run: str
    flow: str
    outcome: str


async def find_unlisted(storage: Any, *, listed: Collection[str], since: datetime | None, service: str = "") -> list[Unlisted]:
    """Find the runs whose record was closed, as is kept beside the key, and that are not listed.

    Args:
        storage: Where the records are.
        listed: The runs that a list has.
        since: When the oldest of those began; None takes all.
        service: Only runs of this service; one that ended before its record named a service is left out.
    """
    start = since.timestamp() if since else 0.0
    heads = await asyncio.to_thread(closed_heads, since=start)
    found = [await _look(storage, run, since=since, service=service) for run in heads if run not in listed]
    return [one for one in found if one is not None]


async def _look(storage: Any, run: str, *, since: datetime | None, service: str) -> Unlisted | None:
    reading = await read_record(storage, run)
    entries = reading.entries
    if entries and since is not None and moment(entries[0]) < since:
        return None
    if service and service not in {entry.evidence.get("service") for entry in entries}:
        return None
    return Unlisted(run, _flow_of(entries), "record broken" if reading.faults else outcome_of(entries))


def _flow_of(entries: list[Entry]) -> str:
    return str(entries[0].evidence.get("flow", "?")) if entries else "?"
