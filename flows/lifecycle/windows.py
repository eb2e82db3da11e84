"""Windows and freezes: a wave of production begins while nothing holds it, else its run suspends until the moment at which that ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from blocks.errors import Refused, Skipped
from flows.approval.short_window import Short, ask_to_begin, said_about
from flows.lifecycle.context import Phase, check_not_stopped, expect_policies_kept, platform_of
from flows.lifecycle.suspend import WINDOW, say_hold, wait_until
from flows.lifecycle.what_holds import tell_what_is_over, what_freezes
from tasks.approval.windows import groups_now
from tasks.lifecycle.clock import now
from tasks.lifecycle.freezes import what_holds
from tasks.lifecycle.quietest import quietest_in_words
from tasks.lifecycle.retries import retried
from tasks.lifecycle.window_turns import give_turns, take_turns
from tasks.record.journal import read_entries, read_entry
from tasks.record.kept_times import history_of
from tasks.rollout.overrides import what_is_set_aside
from tasks.rollout.rollout import read_position
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import waves_of
from tasks.rules.policy.policy import Policy
from tasks.rules.policy.windows import turns_of
from tasks.rules.record.entries import select
from tasks.rules.rollout.steps import window_name
from tasks.rules.rollout.waiting import wait_name, waits
from tasks.rules.rollout.windows import decide_wave, windows_fault
from tasks.rules.windows.decision import LOOK_AGAIN, Decision
from tasks.rules.windows.freeze import SCHEDULE, TURN, Hold
from tasks.rules.windows.opening import look
from tasks.rules.windows.schedule import Due, due_in, outlasting, wakes_for
from tasks.rules.windows.words import notes_of, windows_name
from tasks.windows.calendars import with_calendars


class Waits(NamedTuple):
    """What a wave waits for: in a few words, why, until when, and which freezes hold it."""

    what: str
    why: str
    until: datetime
    held_by: tuple[str, ...]
    closes: datetime | None = None  # when the window closes that may be too short, if people are asked
    held: str = ""  # what wakes the run if it changes, if not what holds its service


async def wait_for_window(phase: Phase, environments: Sequence[str], *, begins: bool = True, wakes: datetime | None = None) -> None:
    """Suspend the run until production may change for a wave; of one that has begun, each step looks for itself.

    Args:
        phase: The release or phase, whose own run this is.
        environments: The wave's targets.
        begins: Whether the wave begins next, which the record then says; else more is looked at before.
        wakes: When the run is woken at the latest, though it waits for longer; None for what it waits for.

    Raises:
        Refused: A policy is not kept, or cannot be read.
        Skipped: The time has passed that the release was scheduled for.
        Superseded: A rollback requested that the run stops.
    """
    await check_not_stopped(phase.owner)  # who is woken since it must stop does not wait again
    if await _is_changed(phase, environments):
        return  # before any policy is read: nothing holds up what is done
    held = await _name_of_holds(phase)  # before the look, so that what is lifted in between wakes the run
    found = await _what_keeps(phase, environments, says=begins)
    wave = wave_of(phase, environments)
    if found is None:
        await tell_what_is_over(phase)
    elif await _holds_lease(phase, environments):
        return  # it was about to change one
    elif found.closes is None:
        await _suspend(phase, found, name=wait_name(wave, found.until), held=held, wakes=wakes)
    else:
        await _let_others_go_first(phase)
        await ask_to_begin(phase, _short(phase, wave, found.closes), until=found.until, why=found.why)
        await wait_for_window(phase, environments, begins=begins, wakes=wakes)


async def wait_while_frozen(phase: Phase) -> None:
    """Suspend the run while its service is frozen, before staging is changed; windows are not looked at.

    Raises:
        Skipped: It was scheduled, and is frozen until it is too late.
        Superseded: A rollback requested that the run stops.
    """
    await check_not_stopped(phase.owner)
    if await phase.read("effect", environment="staging", name="promote") is not None:
        return
    held = await _name_of_holds(phase)
    if (found := await what_freezes(phase)) is not None:
        waits = _until(found, await due_of(phase))
        await _suspend(phase, waits, name=f"staging until {waits.until:%Y-%m-%dT%H:%M:%SZ}", held=held)
    await tell_what_is_over(phase)


async def what_holds_a_target(phase: Phase, environment: str) -> Waits | None:
    """Look once more right before the first change of a target: what was set since the last look holds its wave, if that has not begun."""
    wave = next(wave for wave in _waves(phase) if environment in wave)
    found = await _what_keeps(phase, wave, says=False) or await _turn_of_others(phase, None)
    return None if found is None or await is_begun(phase, wave) else found


async def opens_at(phase: Phase) -> datetime | None:
    """Say when the first wave may begin by windows and schedule; None if it may, has begun, or that is unknown. Freezes do not count."""
    if await _is_changed(phase, _waves(phase)[0]):
        return None  # before any policy is read: nothing holds up what is done
    decision = (await _decide(phase, wave=1, due=await due_of(phase))).decision
    return None if decision.closes is not None or decision.missed else decision.opens


async def expect_in_time(phase: Phase) -> None:
    """Look whether a scheduled release can still begin production in time; one that has changed anything goes on.

    Raises:
        Refused: A policy is not kept, or cannot be read.
        Skipped: It cannot: it started late, or production is closed until it is too late.
    """
    due = await due_of(phase)
    if due is None or any(entry.kind in {"effect", "migration"} for entry in await read_entries(phase.owner)):
        return
    if missed := (await _decide(phase, wave=1, due=due)).decision.missed:
        raise Skipped(missed)


async def due_of(phase: Phase) -> Due | None:
    """Give when the release was scheduled for, as its record was opened with it; None if it was not."""
    opened = await read_entry(phase.owner, "opened")
    return due_in(opened.evidence) if opened else None


async def expect_an_opening(phase: Phase, policies: Sequence[Policy]) -> None:
    """Look whether production will ever be open for long enough, before anything moves; what people are asked about again is held instead.

    Raises:
        Refused: It will not be, within the next two years.
    """
    if phase.round > 1:
        return  # staging has changed, and people approved: a freeze without an end, as any other that is set later, holds the release
    groups = await with_calendars(await asyncio.to_thread(groups_now, phase.plan, policies))
    history = await asyncio.to_thread(history_of, phase.plan)
    if groups and (wrong := await asyncio.to_thread(windows_fault, phase.plan, groups, now(), history)):
        raise Refused(wrong)


async def has_waited_since(phase: Phase, name: str) -> bool:
    """Say if the release waited for a window after this entry of its gate, and no wave has begun since."""
    entries = select(await read_entries(phase.owner), kind="gate", round=phase.round)
    since = max((entry.seq for entry in entries if entry.name == name), default=0)
    if not any(entry.seq > since and waits(entry) for entry in entries):
        return False
    return not await is_begun(phase, _waves(phase)[0])


async def is_begun(phase: Phase, environments: Sequence[str]) -> bool:
    """Say if this release has changed one of these environments, or was about to."""
    return await _is_changed(phase, environments) or await _holds_lease(phase, environments)


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
    return next(number for number, wave in enumerate(_waves(phase), start=1) if environments[0] in wave)


def _short(phase: Phase, wave: int, closes: datetime) -> Short:
    """Name a window that may be too short by the wave's first target as the plan lists it, in whatever order it is rolled out."""
    return Short(wave, _waves(phase)[wave - 1][0], closes)


def _waves(phase: Phase) -> list[list[str]]:
    return [[place.environment for place in wave] for wave in waves_of(phase.plan)]


async def _what_keeps(phase: Phase, environments: Sequence[str], *, says: bool) -> Waits | None:
    """Look whether a wave may begin; if it may, and `says`, the record gets that windows are open.

    Raises:
        Skipped: It was scheduled, and cannot begin in its time any more.
    """
    frozen, wave = await what_freezes(phase), wave_of(phase, environments)
    due = await due_of(phase) if wave == 1 else None
    found = await _decide(phase, wave=wave, due=due)
    if due is not None and (found.decision.missed or frozen) and await is_begun(phase, environments):
        found, due = await _decide(phase, wave=wave, due=None), None  # it is too late for that: what has begun finishes
    if found.decision.missed:
        raise Skipped(found.decision.missed)
    if frozen is not None:
        return _until(frozen, due)
    decision = found.decision
    if decision.until is not None:
        return Waits(decision.what, decision.why, decision.until, found.by, decision.closes)
    if says and (behind := await _turn_of_others(phase, due)) is not None:
        return behind
    if says and (found.by or due):
        why = "; ".join(part for part in (found.aside, await asyncio.to_thread(_measured, phase.plan)) if part)
        await phase.append(decision.what[:1].upper() + decision.what[1:], kind="gate", name=window_name(wave), why=why)
    return None


def _measured(plan: Plan) -> str:
    """Say what the quietest window was measured as, and when; "" if the plan does not ask for it."""
    return f"the quietest window: {quietest_in_words(plan.service)}" if plan.windows.quietest else ""


async def _turn_of_others(phase: Phase, due: Due | None) -> Waits | None:
    """Take the turn in each group whose services change production one at a time; else say behind whom the release waits."""
    policies = await expect_policies_kept(phase)
    turns = turns_of(phase.plan, policies)
    if not turns:
        return None
    opened = await read_entry(phase.owner, "opened")
    asked = opened.evidence if opened else {}
    what = f"{asked.get('flow')} {phase.plan.service} {asked.get('version')}"
    other = await take_turns(turns, run=phase.owner, what=what, keeps=await _has_changed_production(phase))
    if other is None:
        return None
    groups = await with_calendars(await asyncio.to_thread(groups_now, phase.plan, policies))
    seen = await asyncio.to_thread(look, groups, now())
    until = min(seen.until or now() + LOOK_AGAIN, now() + LOOK_AGAIN)
    others = f"another release of the group `{other.group}` is under way"
    return Waits(others, other.why, wakes_for(due, until), (TURN,), held=other.held)


async def _let_others_go_first(phase: Phase) -> None:
    """Give the turns up before the release waits, unless it is half deployed: another one would then change production beside it."""
    if not await _has_changed_production(phase):
        await give_turns(phase.owner)


async def _has_changed_production(phase: Phase) -> bool:
    """Say if the record has a change of any target by this release: from then on it has the turn until its end."""
    return await _is_changed(phase, [environment for wave in _waves(phase) for environment in wave])


class _Decided(NamedTuple):
    """What the windows say, by which name they hold it, and what is set aside of them, or how old their calendars are, in words."""

    decision: Decision
    by: tuple[str, ...]
    aside: str = ""


async def _decide(phase: Phase, *, wave: int, due: Due | None) -> _Decided:
    """Decide by windows and schedule, without those windows that are overridden for this release."""
    groups = await with_calendars(await asyncio.to_thread(groups_now, phase.plan, await expect_policies_kept(phase)))
    by = (windows_name(groups),) if groups else ()
    history = await asyncio.to_thread(history_of, phase.plan)
    decided = partial(decide_wave, phase.plan, wave=wave, due=due, history=history)
    found, alone = [await asyncio.to_thread(decided, some, now()) for some in (groups, ())]  # many windows take a second or two
    if found.closes is not None and (said := await said_about(phase, _short(phase, wave, found.closes))):
        found = await asyncio.to_thread(decided, groups, now(), said=said)
    notes = "; ".join(notes_of(groups))
    if alone.until is not None or not groups:
        return _Decided(found, (SCHEDULE,) if alone.until else by, notes)  # which no one can override
    if (found.until is not None or found.missed) and set(by) <= await what_is_set_aside(phase.owner, phase.plan):
        return _Decided(alone, by, f"the windows are overridden: {found.why or found.missed}")
    return _Decided(found, by, notes)


def _until(found: Hold, due: Due | None) -> Waits:
    """Wait while a service is frozen.

    Raises:
        Skipped: It was scheduled, and is frozen until it is too late.
    """
    if missed := outlasting(due, now(), until=found.until, what=f"production is {found.what}: {found.why}"):
        raise Skipped(missed)
    return Waits(f"production is {found.what}", found.why, wakes_for(due, found.until or now() + LOOK_AGAIN), found.by)


async def _name_of_holds(phase: Phase) -> str:
    name = await asyncio.to_thread(what_holds, phase.plan.service)
    return f"{phase.plan.service} {name}" if name else ""


async def _suspend(phase: Phase, found: Waits, *, name: str, held: str, wakes: datetime | None = None) -> None:
    until = min(found.until, wakes or found.until)
    await _let_others_go_first(phase)
    await say_hold(phase, found.until, wakes=until, what=found.what, why=found.why, by=found.held_by, name=name)
    await wait_until(until, name=WINDOW, held=found.held or held)
