"""Retention: remove what is older than the worker's machine says, on a schedule; nothing of an open release is ever removed."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import State, flow
from prefect.states import Completed, Failed
from pydantic import Field

from flows.lifecycle.parameters import drops_unknown_parameters
from tasks.lifecycle.clock import now
from tasks.record.artifacts import publish_markdown
from tasks.record.retention_run import Kept, keep_what_is_young
from tasks.rules.record.markdown import plain

LISTED = 200
DryRun = Annotated[bool, Field(title="Dry run", description="Only list what would be removed.")]


@drops_unknown_parameters
@flow(name="retention", flow_run_name="retention", persist_result=False)
async def retention(*, dry_run: DryRun = True) -> State[Any]:
    """Remove records, artifacts and runs that are older than `keys/retention.yaml` says, and list them with what stays and why.

    Args:
        dry_run: Whether to remove nothing.
    """
    kept = await keep_what_is_young(now=now(), dry_run=dry_run)
    if kept.removed or kept.stays or kept.faults:
        await publish_markdown(page_of(kept), key="retention", description="What was removed as it was old")
    words = "would be removed" if kept.only_listed else "removed"
    message = " ".join([f"{len(kept.removed)} {words}.", *kept.faults, *kept.notes])
    if kept.faults and not dry_run:
        return Failed(name="NothingRemoved", message=message)
    return Completed(name="DryRun" if kept.only_listed else "Removed", message=message)


def page_of(kept: Kept) -> str:
    """Write what retention came to as Markdown."""
    head = "Would be removed" if kept.only_listed else "Removed"
    rows = [f"| {item.kind} | {plain(item.what)} | {item.at:%Y-%m-%d} | {plain(item.name)} |" for item in kept.removed[:LISTED] if item.at]
    more = f"\n\n{len(kept.removed) - LISTED} more." if len(kept.removed) > LISTED else ""
    stays = [f"| {kind} | {plain(why)} | {number} |" for (kind, why), number in kept.stays.items()]
    said = "".join(f"{plain(one)}\n\n" for one in (*kept.faults, *kept.notes))
    return (
        f"# {head}: {len(kept.removed)}\n\n{said}| Kind | What | Ended | Name |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + f"{more}\n\n## Stays\n\n| Kind | Why | How many |\n|---|---|---|\n"
        + "\n".join(stays)
        + "\n"
    )
