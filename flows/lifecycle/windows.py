"""Windows: a wave of production begins while they are open, else its run suspends until the moment at which they open."""

from __future__ import annotations

from collections.abc import Sequence

from blocks.errors import Refused, Skipped
from flows.lifecycle.context import Phase, check_not_stopped, expect_policies_kept, platform_of
from flows.lifecycle.suspend import WINDOW, wait_until
from tasks.lifecycle.clock import now
from tasks.lifecycle.policy import retried
from tasks.record.journal import read_entries, read_entry
from tasks.rollout.rollout import read_position
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import waves_of
from tasks.rules.policy.policy import Policy
from tasks.rules.policy.windows import groups_of
from tasks.rules.record.entries import select
from tasks.rules.rollout.steps import window_name
from tasks.rules.rollout.waiting import SUSPENDS_UNTIL, WAITS_UNTIL, wait_name, waits
from tasks.rules.rollout.windows import decide_wave, windows_fault
from tasks.rules.windows.schedule import Due, due_in


async def wait_for_window(phase: Phase, environments: Sequence[str], *, begins: bool = True) -> None:
    """Suspend the run until production may change for a wave; a wave that has begun finishes, whatever the windows say.

    Args:
        phase: The release or phase, whose own run this is.
        environments: The wave's targets.
        begins: Whether the wave begins next, which the record then says; else more is looked at before.

    Raises:
        Refused: A policy is not kept, or cannot be read.
        Skipped: The time has passed that the release was scheduled for.
        Superseded: A rollback requested that the run stops.
    """
    await check_not_stopped(phase.owner)  # who is woken since it must stop does not wait again
    if await _is_changed(phase, environments):
        return  # before any policy is read: nothing holds up what is done
    groups, due = groups_of(phase.plan, await expect_policies_kept(phase)), await due_of(phase)
    if not (groups or due) or await _holds_lease(phase, environments):
        return
    wave = wave_of(phase, environments)
    decision = decide_wave(phase.plan, groups, now(), wave=wave, due=due)
    if decision.missed:
        raise Skipped(decision.missed)
    if decision.until is None:
        if begins:
            await phase.append(decision.what[:1].upper() + decision.what[1:], kind="gate", name=window_name(wave), why=decision.why)
        return
    until = decision.until.isoformat()
    what, evidence = f"Waits: {decision.what}", {WAITS_UNTIL: until, SUSPENDS_UNTIL: until}
    await phase.append(what, kind="gate", name=wait_name(wave, decision.until), why=decision.why, evidence=evidence)
    await wait_until(decision.until, name=WINDOW)


async def expect_in_time(phase: Phase) -> None:
    """Look whether a scheduled release can still begin production in time; one that has changed anything goes on.

    Raises:
        Refused: A policy is not kept, or cannot be read.
        Skipped: It cannot: it started late, or production is closed until it is too late.
    """
    due = await due_of(phase)
    if due is None or any(entry.kind in {"effect", "migration"} for entry in await read_entries(phase.owner)):
        return
    groups = groups_of(phase.plan, await expect_policies_kept(phase))
    if missed := decide_wave(phase.plan, groups, now(), wave=1, due=due).missed:
        raise Skipped(missed)


async def due_of(phase: Phase) -> Due | None:
    """Give when the release was scheduled for, as its record was opened with it; None if it was not."""
    opened = await read_entry(phase.owner, "opened")
    return due_in(opened.evidence) if opened else None


def expect_an_opening(plan: Plan, policies: Sequence[Policy]) -> None:
    """Look whether production will ever be open for long enough, before anything moves.

    Raises:
        Refused: It will not be, within the next two years.
    """
    if (groups := groups_of(plan, policies)) and (wrong := windows_fault(plan, groups, now())):
        raise Refused(wrong)


async def has_waited_since(phase: Phase, name: str) -> bool:
    """Say if the release waited for a window after this entry of its gate, and no wave has begun since."""
    entries = select(await read_entries(phase.owner), kind="gate", round=phase.round)
    since = max((entry.seq for entry in entries if entry.name == name), default=0)
    if not any(entry.seq > since and waits(entry) for entry in entries):
        return False
    wave = [place.environment for place in waves_of(phase.plan)[0]]
    return not (await _is_changed(phase, wave) or await _holds_lease(phase, wave))


async def _is_changed(phase: Phase, environments: Sequence[str]) -> bool:
    """Say if the record has a change of one of these environments by this release."""
    entries = select(await read_entries(phase.owner), round=phase.round)
    return any(entry.environment in environments and entry.kind in {"effect", "migration"} for entry in entries)


async def _holds_lease(phase: Phase, environments: Sequence[str]) -> bool:
    """Say if this release holds the lease of one of these environments: it has changed it, or was about to."""
    for name in environments:
        position = await retried(read_position)(await platform_of(phase.plan, name))
        if position["owner"] == phase.owner:
            return True
    return False


def wave_of(phase: Phase, environments: Sequence[str]) -> int:
    """Give the number of the wave that these targets belong to, from 1."""
    waves = [{place.environment for place in wave} for wave in waves_of(phase.plan)]
    return next(number for number, wave in enumerate(waves, start=1) if environments[0] in wave)
