"""Old records and pages of reports: which are removed and which stay, by what is kept beside the key, and their removal.

Only a record whose facts are kept is removed: it was closed, and as it was written. One that was changed, or cannot be dated, is evidence.
"""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.errors import Refused, ShipwayError
from blocks.key_folder.heads import forget_head, read_head
from tasks.record.facts import kept_facts_of_all
from tasks.record.metrics_report import FOLDER as REPORTS
from tasks.record.needed import Needed
from tasks.record.objects import Folder, NoStorage, objects_of
from tasks.record.reading import RELEASE_ID
from tasks.record.removal import RECORDS, REMOVED, modes_in, remove_file, remove_folder
from tasks.rules.lifecycle.retention import Item

PAGE = re.compile(r"(?P<name>[a-z0-9-]+)-(?P<day>\d{4}-\d\d-\d\d)\.html")


def folder_of_records(storage: Any) -> Path | None:
    """Give the folder that holds records; None of another storage, which can neither list nor remove.

    Raises:
        Refused: The storage cannot be used.
    """
    objects = objects_of(storage)
    if isinstance(objects, NoStorage):
        raise Refused(objects.why)
    return objects.base if isinstance(objects, Folder) else None


async def old_records(storage: Any, needed: Needed) -> list[Item]:
    """List the records and pages of reports in the storage.

    Raises:
        Refused: One of its folders cannot be listed, or a link or something else is in its place.
    """
    base = folder_of_records(storage)
    return [] if base is None else await asyncio.to_thread(_listed, base, needed)


async def remove_record(storage: Any, run: str) -> None:
    """Remove a record: its head, then its folder by one rename; again is fine.

    When it deployed what stays beside the key: without that each contract, however old, would be one that a rollback crosses.
    """
    if (base := folder_of_records(storage)) is not None:
        await asyncio.to_thread(remove_folder, base, run, first=lambda: forget_head(run))


async def remove_page(storage: Any, name: str) -> None:
    """Remove the page of a report."""
    if (base := folder_of_records(storage)) is not None and PAGE.fullmatch(name):
        await asyncio.to_thread(remove_file, base, REPORTS, name)


def _listed(base: Path, needed: Needed) -> list[Item]:
    modes_in(base, REMOVED)  # refused now, not at the first removal
    return [*_records(modes_in(base, RECORDS), needed), *_pages(modes_in(base, REPORTS))]


def _records(found: dict[str, int], needed: Needed) -> Iterator[Item]:
    known = kept_facts_of_all()
    for run in sorted(found):
        if not RELEASE_ID.fullmatch(run):
            continue
        facts = known.get(run)
        what = f"{facts.service or 'a run'} {facts.version}, {facts.outcome}" if facts else "without facts of its end"
        ended = facts.ended if facts else None
        why = needed.records.get(run, "") if stat.S_ISDIR(found[run]) else "it is not a folder that was made here"
        yield Item("record", run, ended, what, is_open=run in needed.open or _may_be_open(run), needed=why)


def _pages(modes: dict[str, int]) -> Iterator[Item]:
    found = [match for name in sorted(modes) if stat.S_ISREG(modes[name]) and (match := PAGE.fullmatch(name))]
    newest = {match["name"]: match[0] for match in sorted(found, key=lambda match: match["day"])}
    for match in found:
        with suppress(ValueError):
            at = datetime.fromisoformat(match["day"]).replace(tzinfo=UTC)
            needed = "it is the newest of its name" if newest[match["name"]] == match[0] else ""
            yield Item("report", match[0], at, "page of a report", needed=needed)


def _may_be_open(run: str) -> bool:
    try:
        head = read_head(run)
    except ShipwayError:
        return True
    return head is not None and not head.closed
