"""The checklist before closing: people tick what is done after the deployment; whatever they do, the version stays deployed."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from blocks.errors import Refused, Temporary, WorldMoved
from blocks.key_folder.heads import KeyFolderFault
from flows.approval.checklist import ask_for_ticks, end_checklist, expect_ticked, ticked_within
from flows.lifecycle.context import Phase
from tasks.lifecycle.clock import now
from tasks.lifecycle.links import run_link
from tasks.lifecycle.lock import under_way
from tasks.lifecycle.retries import retried
from tasks.lifecycle.window_turns import give_turns
from tasks.record.journal import read_entries
from tasks.rules.approval.closing import GIVES_WAY_AT, end_in_words, waits_for_lock
from tasks.rules.approval.ticks import open_items
from tasks.rules.approval.ticks_form import PROGRESS, Progress
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.lifecycle.results import PhaseResult, passed
from tasks.rules.plan.checklist import CLOSING, TickedItem
from tasks.rules.rollout.steps import ticks_name


async def close_checklist(phase: Phase, inputs: Inputs, found: PhaseResult) -> PhaseResult:
    """Hold a release that is deployed and verified until people ticked the items before closing, without a process meanwhile.

    It keeps the lock of its service, and ends this wait once another release waits for that, so that no forgotten tick holds one up.

    Args:
        phase: The release and its round.
        inputs: What it is about, as it was approved; each tick is bound to it.
        found: How the deployment and its verification ended.

    Returns:
        The same if it failed, or there is nothing to tick; else that it passed, with the items that are open in the end, which come first.
    """
    items = phase.plan.checklist.items_before(CLOSING)
    if not found.passed or not open_items(items, (), required=True):
        return found
    ended = await phase.read("gate", name=ticks_name(CLOSING))
    if ended is None:
        with suppress(KeyFolderFault):  # it changes production no more, so other services of its group may; if that fails, at its end
            await give_turns(phase.owner)
        opened, expires = await ticked_within(phase, CLOSING)
        gives_way = opened + timedelta(minutes=phase.plan.checklist.gives_way_after_minutes)

        async def ends() -> str:
            return await _who_waits(phase) if now() >= gives_way else ""

        more = {GIVES_WAY_AT: gives_way.isoformat()}
        progress, fault = await ask_for_ticks(phase, inputs, CLOSING, items=items, times=(opened, expires), ends=ends, more=more)
        if not fault and (fault := await _not_proved(phase, inputs, items)):
            progress = Progress(CLOSING, items, {}, progress.facts)
        ended = await end_checklist(phase, progress, inputs.version, fault=fault)
    return passed(f"{end_in_words(ended.evidence[PROGRESS], ended.why)}. {found.reason}")


async def _who_waits(phase: Phase) -> str:
    """Name a release of the service that waits for its lock; "" if none does."""
    for run in await retried(under_way)(phase.plan.service, besides=phase.owner):
        with suppress(Refused, Temporary, WorldMoved, OSError):  # of one whose record cannot be read it is not known
            if waits_for_lock(await read_entries(run)):
                return f"another release of {phase.plan.service} waits for this one: {run_link(run)}"
    return ""


async def _not_proved(phase: Phase, inputs: Inputs, items: tuple[TickedItem, ...]) -> str:
    """Say why the ticks do not hold if they are verified again from the record's bytes; "" if they do."""
    try:
        await expect_ticked(phase, inputs, items=items, version=inputs.version)
    except Refused as error:
        return str(error)
    return ""
