"""How a run ends by what is kept of it, and the entry that closes its record; people are told also while the storage does not take it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from blocks.errors import ShipwayError, Superseded, Temporary
from blocks.outside_text import OutsideText, as_ending
from flows.lifecycle.context import Phase, platform_of
from tasks.lifecycle.retries import as_temporary
from tasks.notify import alert
from tasks.record.journal import append_entry
from tasks.record.kept_entries import kept_entries
from tasks.rules.lifecycle.ending import QUIET, Ending, taken_over, while_closing


async def ending_while_closing(run: str, ending: Ending, *, owns: Callable[[], Awaitable[bool]]) -> Ending:
    """Give the ending of a run: one that only waited for ticks of what is done after its deployment ends as deployed.

    What is kept beside the key says that it did, so that neither a storage that does not answer nor a changed record rolls it back.
    If a rollback took an environment over meanwhile, it ends as it would without that wait, and one that would end as deployed as stopped.

    Args:
        run: Its flow run id.
        ending: Why it ends.
        owns: Says whether what it deployed to still belongs to the release.
    """
    turned = while_closing(ending, await kept_entries(run))
    if turned.name != "deployed" or await owns():
        return turned
    return taken_over(ending) if turned is ending else ending


async def is_ours(phase: Phase, environment: str) -> bool:
    """Say whether a completed target still belongs to this release; one that cannot be read must keep no other from its rollback."""
    try:
        position = await (await platform_of(phase.plan, environment)).current()
    except Superseded:
        raise
    except Exception as error:
        if not isinstance(error, ShipwayError) and as_temporary(error) is None:
            raise
        return True
    return position["owner"] == phase.owner


async def close_record(
    phase: Phase | None, run: str, *, version: str, outcome: str, reason: OutsideText, evidence: dict[str, Any], on_demand: bool = False
) -> None:  # fmt: skip
    """Append the closing entry; who is to be told of such an end is told although it cannot be stored now.

    Args:
        phase: The release; None if it never had a readable plan, so there is no one to tell.
        run: Its flow run id.
        version: Its version.
        outcome: How it ended.
        reason: Why.
        evidence: What the entry holds besides.
        on_demand: Whether it is a rollback on demand.

    Raises:
        Temporary: The storage does not take it; the keeper closes the record later.
    """
    what = f"{version or 'The rollback'}: {outcome.replace('_', ' ')}"
    try:
        await append_entry(run, what, kind="closed", why=reason, evidence={"outcome": outcome, **evidence})
    except Temporary:
        if phase is not None and outcome not in QUIET:  # by the key of the end's message, so that it is sent once
            said = as_ending(f"{reason}. Its record is not closed yet, as the storage does not take it")
            await alert(
                phase.plan.notify, service=phase.plan.service, version=version, outcome=outcome, reason=said, run=run, is_rollback=on_demand
            )
        raise
