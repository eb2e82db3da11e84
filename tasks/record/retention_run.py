"""Carry out retention: list what there is, remove what is due, and say why the rest stays; a dry run removes nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prefect import get_client, task
from prefect.client.orchestration import PrefectClient

from blocks.errors import Refused, Tampered
from blocks.key_folder.retention_file import retention_path, retention_text
from tasks.lifecycle.apart import apart
from tasks.lifecycle.retries import OBSERVE
from tasks.record.kept_clock import doubt_of_clock
from tasks.record.needed import read_needed
from tasks.record.old_records import folder_of_records, old_records, remove_page, remove_record
from tasks.record.old_runs import old_runs, oldest_open, remove_artifact, remove_run
from tasks.record.storage import default_storage
from tasks.rules.lifecycle.retention import Item, Retention, read_retention, why_it_stays

MOST_AT_ONCE = 2_000


@dataclass(frozen=True)
class Kept:
    """What retention came to.

    Fields:
        removed: What was removed; of a dry run, what would be.
        stays: How many of each kind stay, and why.
        notes: What is not looked at.
        left: How many more are due, for the next time.
        only_listed: Whether nothing was removed: it was a dry run, or the clock may have jumped.
        faults: Why nothing is removed, with the fix; empty if all is as it should be.
    """

    removed: tuple[Item, ...]
    stays: dict[tuple[str, str], int]
    notes: tuple[str, ...]
    left: int = 0
    only_listed: bool = False
    faults: tuple[str, ...] = ()


def rules_here() -> Retention | None:
    """Read how long things are kept on this machine; None if no file says it, so that all is.

    Raises:
        Refused: The file is wrong, or cannot be read.
    """
    text = retention_text()
    if text is None:
        return None
    rules, problems = read_retention(text, name=str(retention_path()))
    if rules is None:
        raise Refused("; ".join(map(str, problems)))
    return rules


@task(name="keep what is young", **OBSERVE)
async def keep_what_is_young(*, now: datetime, dry_run: bool) -> Kept:
    """Carry it out on the server of this run; arguments as those of `carry_out`."""
    async with get_client() as client:
        return await carry_out(client, await default_storage(), now=now, dry_run=dry_run)


async def carry_out(client: PrefectClient, storage: Any, *, now: datetime, dry_run: bool) -> Kept:
    """Remove what the file says; without a file nothing, and nothing if something cannot be listed or the clock may have jumped.

    Args:
        client: Of the server.
        storage: Where the records are.
        now: Now.
        dry_run: Whether to remove nothing.
    """
    rules = await asyncio.to_thread(rules_here)
    if rules is None:
        return Kept((), {}, (f"There is no {retention_path()}, so everything is kept.",), only_listed=dry_run)
    try:
        items, oldest = await _listed(client, storage, rules, now=now)
    except (Refused, Tampered) as error:
        return Kept((), {}, (), only_listed=True, faults=(f"Nothing is removed: {error}.",))
    why = [(item, why_it_stays(item, rules, now=now, oldest_open=oldest)) for item in items]
    due = [item for item, reason in why if not reason]
    doubt = await asyncio.to_thread(doubt_of_clock, now, keeps=not dry_run)
    said = [doubt] if doubt and due else []
    now_due, only_listed = due[:MOST_AT_ONCE], dry_run or bool(said)
    removed = now_due if only_listed else await _remove_each(client, storage, now_due)
    notes, faults = (said, ()) if dry_run else ([], tuple(said))
    if folder_of_records(storage) is None:
        notes.append("The storage of records is not a folder: let its own rules remove old objects.")
    if len(removed) < len(now_due):
        notes.append(f"{len(now_due) - len(removed)} could not be removed; the log says why.")
    stays = Counter((item.kind, reason) for item, reason in why if reason)
    return Kept(tuple(removed), dict(sorted(stays.items())), tuple(notes), len(due) - len(now_due), only_listed, faults)


async def _listed(client: PrefectClient, storage: Any, rules: Retention, *, now: datetime) -> tuple[list[Item], datetime | None]:
    """List what there is, and when the oldest open run was made.

    Raises:
        Refused: Something cannot be listed, or is not what was made here; or the file that says how long things are kept changed meanwhile.
    """
    needed = await asyncio.to_thread(read_needed, versions=rules.versions)
    oldest = await oldest_open(client, needed.open)
    items = [*await old_records(storage, needed), *await old_runs(client, rules, needed, now=now)]
    if await asyncio.to_thread(rules_here) != rules:  # as if the key's folder is mounted, and went away
        raise Refused(f"{retention_path()} changed, or is not there any more. Look at the key's folder, and start retention again")
    return items, oldest


async def _remove_each(client: PrefectClient, storage: Any, items: Sequence[Item]) -> list[Item]:
    removed = list[Item]()
    for item in items:
        with apart(f"the {item.kind} {item.name}"):
            await _remove(client, storage, item)
            removed.append(item)
    return removed


async def _remove(client: PrefectClient, storage: Any, item: Item) -> None:
    if item.kind == "record":
        await remove_record(storage, item.name)
    elif item.kind == "report":
        await remove_page(storage, item.name)
    elif item.kind == "artifact":
        await remove_artifact(client, item.name)
    else:
        await remove_run(client, item.name)
