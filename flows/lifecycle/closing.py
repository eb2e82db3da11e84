"""The entry that closes a record; people are told how a run ended also while the storage does not take it."""

from __future__ import annotations

from typing import Any

from blocks.errors import Temporary
from blocks.outside_text import OutsideText
from flows.lifecycle.context import Phase
from tasks.notify import alert
from tasks.record.journal import append_entry
from tasks.rules.lifecycle.ending import QUIET

TOLD = "told before it was closed"


async def close_record(
    phase: Phase | None, run: str, *, version: str, outcome: str, reason: OutsideText, evidence: dict[str, Any]
) -> None:  # fmt: skip
    """Append the closing entry; who is to be told of such an end is told although it cannot be stored now.

    Args:
        phase: The release; None if it never had a readable plan, so there is no one to tell.
        run: Its flow run id.
        version: Its version.
        outcome: How it ended.
        reason: Why.
        evidence: What the entry holds besides.

    Raises:
        Temporary: The storage does not take it; the keeper closes the record later.
    """
    what = f"{version or 'The rollback'}: {outcome.replace('_', ' ')}"
    try:
        await append_entry(run, what, kind="closed", why=reason, evidence={"outcome": outcome, **evidence})
    except Temporary:
        if phase is not None and outcome not in QUIET:
            await _tell(phase, run, version=version, outcome=outcome, reason=reason)
        raise


async def _tell(phase: Phase, run: str, *, version: str, outcome: str, reason: OutsideText) -> None:
    """Tell it once: what was sent is kept beside the key, as the keeper comes back each minute. What was not sent is sent then."""
    if await phase.read("rollback", name=TOLD):
        return
    said = f"{outcome}, its record is not closed yet"
    if await alert(phase.plan.notify, service=phase.plan.service, version=version, outcome=said, reason=reason, run=run):
        await phase.append(f"Told people that it is {said.replace('_', ' ')}", kind="rollback", name=TOLD)
