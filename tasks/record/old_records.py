"""Old records and pages of reports: which are removed and which stay, by what is kept beside the key, and their removal.

Only a record whose facts are kept is removed: it was closed, and as it was written. One that was changed, or cannot be dated, is evidence.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from blocks.errors import ShipwayError
from blocks.key_folder.heads import forget_head, read_head
from blocks.key_folder.kept_files import kept_names, read_all_kept, remove_kept
from tasks.lifecycle.kept_runs import OPEN
from tasks.record.facts import kept_facts_of_all
from tasks.record.kept_index import WHAT as OF_INDEX
from tasks.record.kept_index import run_of
from tasks.record.metrics_report import FOLDER as REPORTS
from tasks.record.objects import Folder, objects_of
from tasks.record.reading import RELEASE_ID
from tasks.rules.lifecycle.retention import Deployed, Item, Retention, needed_records

RECORDS, REMOVED = "records", "removed"
PAGE = re.compile(r"(?P<name>[a-z0-9-]+)-(?P<day>\d{4}-\d\d-\d\d)\.html")


def folder_of_records(storage: Any) -> Path | None:
    """Give the folder that holds records; None of another storage, which can neither list nor remove."""
    objects = objects_of(storage)
    return objects.base if isinstance(objects, Folder) else None


async def old_records(storage: Any, rules: Retention) -> list[Item]:
    """List the records and pages of reports in the storage."""
    base = folder_of_records(storage)
    return [] if base is None else await asyncio.to_thread(lambda: [*_records(base, rules), *_pages(base)])


async def remove_record(storage: Any, run: str) -> None:
    """Remove a record: what names it as a version to return to first, then its head, then its folder by one rename; again is fine."""
    if (base := folder_of_records(storage)) is not None:
        await asyncio.to_thread(_remove_record, base, run)


async def remove_page(storage: Any, name: str) -> None:
    """Remove the page of a report."""
    if (base := folder_of_records(storage)) is not None and PAGE.fullmatch(name):
        await asyncio.to_thread((base / REPORTS / name).unlink, missing_ok=True)


def _records(base: Path, rules: Retention) -> Iterator[Item]:
    known, open_runs = kept_facts_of_all(), {*kept_names(OPEN)}
    needed = _needed(rules)
    for run in _names(base / RECORDS):
        facts = known.get(run)
        what = f"{facts.service or 'a run'} {facts.version}, {facts.outcome}" if facts else "without facts of its end"
        ended = facts.ended if facts else None
        yield Item("record", run, ended, what, is_open=run in open_runs or _may_be_open(run), needed=needed.get(run, ""))


def _pages(base: Path) -> Iterator[Item]:
    found = [match for name in _names(base / REPORTS) if (match := PAGE.fullmatch(name))]
    newest = {match["name"]: match[0] for match in sorted(found, key=lambda match: match["day"])}
    for match in found:
        with suppress(ValueError):
            at = datetime.fromisoformat(match["day"]).replace(tzinfo=UTC)
            needed = "it is the newest of its name" if newest[match["name"]] == match[0] else ""
            yield Item("report", match[0], at, "page of a report", needed=needed)


def _needed(rules: Retention) -> dict[str, str]:
    """Say which records a rollback may need; what cannot be read counts as needed."""
    names, found = kept_names("deployed"), list[Deployed]()
    unread = {*names}
    for name, kept in read_all_kept("deployed", names, what=OF_INDEX):
        with suppress(KeyError):
            found.append(Deployed(kept["service"], kept["version"], kept["place"], kept["run"], str(kept.get("at", ""))))
            unread.discard(name)
    contracts = [run_of(name) for name in kept_names("contracts")]
    needed = needed_records(found, contracts, versions=rules.versions)
    return dict.fromkeys(map(run_of, unread), "what it deployed cannot be read") | needed


def _may_be_open(run: str) -> bool:
    try:
        head = read_head(run)
    except ShipwayError:
        return True
    return head is not None and not head.closed


def _remove_record(base: Path, run: str) -> None:
    for name in [name for name in kept_names("deployed") if run_of(name) == run]:
        remove_kept("deployed", name)
    forget_head(run)
    aside = base / REMOVED
    aside.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileNotFoundError):
        (base / RECORDS / run).rename(aside / f"{run}-{uuid4().hex}")
    for one in aside.iterdir():  # what a process that died left there, too
        shutil.rmtree(one, ignore_errors=True)


def _names(folder: Path) -> list[str]:
    with suppress(OSError):
        return sorted(path.name for path in folder.iterdir() if RELEASE_ID.fullmatch(path.name) and not path.is_symlink())
    return []
