"""Carry out retention: list what there is, remove what is due, and say why the rest stays; a dry run removes nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prefect import get_client, task
from prefect.client.orchestration import PrefectClient

from blocks.errors import Refused
from blocks.key_folder.retention_file import retention_path, retention_text
from tasks.lifecycle.apart import apart
from tasks.lifecycle.retries import OBSERVE
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
    """

    removed: tuple[Item, ...]
    stays: dict[tuple[str, str], int]
    notes: tuple[str, ...]
    left: int = 0


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
    """Remove what the file says; without a file nothing.

    Args:
        client: Of the server.
        storage: Where the records are.
        now: Now.
        dry_run: Whether to remove nothing.
    """
    rules = await asyncio.to_thread(rules_here)
    if rules is None:
        return Kept((), {}, (f"There is no {retention_path()}, so everything is kept.",))
    oldest = await oldest_open(client)
    items = [*await old_records(storage, rules), *await old_runs(client, rules, now=now)]
    why = [(item, why_it_stays(item, rules, now=now, oldest_open=oldest)) for item in items]
    due = [item for item, reason in why if not reason]
    now_due, removed = due[:MOST_AT_ONCE], list[Item]()
    for item in now_due:
        with apart(f"the {item.kind} {item.name}"):
            if not dry_run:
                await _remove(client, storage, item)
            removed.append(item)
    elsewhere = () if folder_of_records(storage) else ("The storage of records is not a folder: let its own rules remove old objects.",)
    stays = Counter((item.kind, reason) for item, reason in why if reason)
    return Kept(tuple(removed), dict(sorted(stays.items())), elsewhere, len(due) - len(now_due))


async def _remove(client: PrefectClient, storage: Any, item: Item) -> None:
    if item.kind == "record":
        await remove_record(storage, item.name)
    elif item.kind == "report":
        await remove_page(storage, item.name)
    elif item.kind == "artifact":
        await remove_artifact(client, item.name)
    else:
        await remove_run(client, item.name)
