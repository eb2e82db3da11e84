"""The facts of all records, for metrics: kept beside the key when a record is closed, so that thousands need not be read again.

They count as long as the record's head is the one that they were read by. Of a record without them the whole is read and verified.
Nothing here imports Prefect, so the command line can use it quickly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blocks.errors import Refused, Tampered, Temporary
from blocks.key_folder.heads import KeyFolderFault, known_heads, read_head
from blocks.key_folder.kept_files import kept_at, kept_names, read_all_kept
from blocks.outside_text import error_text
from tasks.lifecycle.kept_runs import write
from tasks.lifecycle.looked import looks_of
from tasks.record.objects import Folder, objects_of
from tasks.record.reading import FACTS, OF_FACTS, RELEASE_ID, Reading, read_record
from tasks.rules.metrics.facts import Facts
from tasks.rules.metrics.reading import facts_of

FOLDER, WHAT = FACTS, OF_FACTS


@dataclass
class Found:
    """What is known of many runs.

    Fields:
        facts: Of each run of ours, in any order.
        broken: Runs whose record is not as it was written, or cannot be read, each with a sentence.
        unchecked: How many records count although their seals could not be checked.
    """

    facts: list[Facts] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    unchecked: int = 0


async def keep_facts(run: str, reading: Reading) -> None:
    """Keep the facts of a record that is closed and as it was written; without the key's folder it is read again each time.

    Args:
        run: Its flow run id.
        reading: The record.
    """
    entries = reading.entries
    if reading.problems or reading.unchecked or not any(entry.kind == "closed" for entry in entries):
        return
    found = facts_of(run, entries)
    with suppress(KeyFolderFault):
        await write(FOLDER, run, {"head": entries[-1].hash, "facts": found.dump() if found else None}, what=WHAT)


async def all_facts(storage: Any) -> Found:
    """Give the facts of each record that is known: by what is kept beside the key, and by the folder of records if it can be listed.

    A record that was removed as it is old still counts.

    Args:
        storage: A folder's `Path` or a Prefect filesystem block.
    """
    objects = objects_of(storage)
    in_folder = await asyncio.to_thread(_names_in, objects.base / "records") if isinstance(objects, Folder) else []
    return await facts_of_runs(objects, {*await asyncio.to_thread(_known), *in_folder})


def _known() -> set[str]:
    return {*known_heads(), *kept_names(FOLDER)}


async def facts_of_runs(storage: Any, runs: Collection[str], *, verify: bool = False) -> Found:
    """Give the facts of these runs.

    Args:
        storage: Where the records are.
        runs: Flow run ids; one without a record is left out.
        verify: Whether to read each record although its facts are kept: what was changed since is noticed.
    """
    kept = {} if verify else await asyncio.to_thread(_kept, runs)
    found = Found(facts=[facts for facts in kept.values() if facts is not None])
    for run in sorted(set(runs) - set(kept)):
        await _read(storage, run, found)
    found.facts = await asyncio.to_thread(_with_looks, found.facts)
    return found


def _with_looks(found: Sequence[Facts]) -> list[Facts]:
    """Add what looks after the deployments found."""
    looks = looks_of([facts.run for facts in found])
    return [facts.with_looks(looks[facts.run]) if facts.run in looks else facts for facts in found]


async def _read(storage: Any, run: str, found: Found) -> None:
    try:
        reading = await read_record(storage, run)
    except (Refused, Temporary, Tampered) as error:
        found.broken[run] = error_text(error)
        return
    if reading.faults:
        found.broken[run] = reading.faults[0]
    elif reading.entries and (facts := facts_of(run, reading.entries)):
        found.facts.append(facts)
        found.unchecked += bool(reading.unchecked)
    await keep_facts(run, reading)


def kept_facts_of_all() -> dict[str, Facts]:
    """Give the facts that are kept of closed records, by run; those that no longer are of the end of their record are left out."""
    return {run: facts for run, facts in _kept(kept_names(FOLDER)).items() if facts is not None}


def newest_kept_facts(*, since: float, most: int) -> list[Facts]:
    """Give what is kept of the records that were closed last.

    Args:
        since: From when on, in seconds since the epoch.
        most: At most so many, the newest ones.
    """
    found = sorted(((at, name) for name in kept_names(FOLDER) if (at := kept_at(FOLDER, name)) >= since), reverse=True)
    return _with_looks([facts for facts in _kept(name for _, name in found[:most]).values() if facts is not None])


def _kept(runs: Iterable[str]) -> dict[str, Facts | None]:
    """Read what is kept and still the end of its record; a head that was removed as it is old takes nothing away."""
    found: dict[str, Facts | None] = {}
    for run, kept in read_all_kept(FOLDER, runs, what=WHAT):
        with suppress(Tampered, Temporary, KeyError, ValueError):
            head = read_head(run)
            if head is None or head.hash == kept["head"]:
                found[run] = Facts.load(kept["facts"]) if kept["facts"] is not None else None
    return found


def _names_in(records: Path) -> list[str]:
    with suppress(OSError):
        return [path.name for path in records.iterdir() if RELEASE_ID.fullmatch(path.name)]
    return []
