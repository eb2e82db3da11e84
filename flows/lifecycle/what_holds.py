"""Holds: what keeps a release from its next step now, a freeze or closed windows; and what its record says when that is over."""

from __future__ import annotations

import asyncio

from blocks.errors import Refused, ShipwayError
from blocks.outside_text import as_reason
from flows.lifecycle.context import Phase
from tasks.approval.protection import load_policies
from tasks.approval.windows import groups_now
from tasks.lifecycle.clock import now
from tasks.lifecycle.freezes import hold_now, load_freezes
from tasks.notify import notify
from tasks.record.journal import read_entries
from tasks.rollout.overrides import overrides_of, what_is_set_aside
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.waiting import OVER, untold_freezes
from tasks.rules.windows.freeze import UNREADABLE, Hold, lifted_in_words, windows_unreadable
from tasks.rules.windows.opening import look
from tasks.rules.windows.words import moment_in_words, why_closed, windows_name, without_age, zone_of_all
from tasks.windows.calendars import with_calendars


async def what_freezes(phase: Phase) -> Hold | None:
    """Say which freezes keep a release from its next step, but for those that were overridden for it; None if none does."""
    hold = await asyncio.to_thread(hold_now, phase.plan.service)
    if hold is None or UNREADABLE in hold.by:
        return hold
    aside = await what_is_set_aside(phase.owner, phase.plan)
    return hold if not aside else await asyncio.to_thread(hold_now, phase.plan.service, aside)


async def what_holds_a_step(phase: Phase) -> Hold | None:
    """Say what keeps a wave that has begun from its next step: a freeze, or a closed window if the plan says `when_it_closes: hold`."""
    found = await what_freezes(phase)
    if found is not None or phase.plan.windows.when_it_closes == "finish":
        return found
    found = await _closed(phase.plan)
    return None if found is None or set(found.by) <= await what_is_set_aside(phase.owner, phase.plan) else found


async def _closed(plan: Plan) -> Hold | None:
    try:
        groups = await with_calendars(await asyncio.to_thread(groups_now, plan, await asyncio.to_thread(load_policies)))
        seen = await asyncio.to_thread(look, groups, now()) if groups else None
    except ShipwayError as error:
        return windows_unreadable(str(error))
    if seen is None or seen.is_open:
        return None
    when = moment_in_words(seen.until, zone_of_all(seen.because))
    why, lasting = why_closed(seen.because), why_closed(without_age(seen.because))
    return Hold(f"held until production opens {when}", why, seen.until, (windows_name(groups),), lasting)


async def _tell_overrides(phase: Phase) -> None:
    """Write who set what aside for this release, with proof and reason, and tell the team."""
    for one in await overrides_of(phase.owner, phase.plan):
        proof, name = one.proof, f"override {one.proof.name()[:16]}"
        what = f"{proof.approver} set aside for this release: {', '.join(one.holds)}"
        evidence = {"holds": list(one.holds), "proof": proof.model_dump(mode="json")}
        await phase.append(what, kind="gate", name=name, who=proof.approver, why=proof.comment, evidence=evidence)
        about, why = f"{phase.plan.service} {proof.version}", as_reason(f"{what}, because: {proof.comment}")
        await notify(phase.plan.notify, ["overridden"], about=about, reason=why, run=phase.owner, key=f"{phase.owner}/{name}")


async def tell_what_is_over(phase: Phase) -> None:
    """Write into the record how each freeze ended that held this release: who lifted it, when and why; and what was overridden."""
    await _tell_overrides(phase)
    untold = untold_freezes(await read_entries(phase.owner))
    try:
        known = {one.id: one for one in await asyncio.to_thread(load_freezes)} if untold else {}
    except Refused:  # just now they could be read, and nothing held it; the next look tells
        return
    for name in untold:
        freeze = known.get(name)
        words = lifted_in_words(freeze, now()) if freeze else f"the file of freeze {name} is gone"
        who = freeze.lifted.who if freeze and freeze.lifted else "shipway"
        entry = f"over {name}" if words else f"overridden {name}"  # it is in force: how it ends is written when it does
        why = words or f"freeze {name} was overridden for this release"
        await phase.append("Goes on", kind="gate", name=entry, who=who, why=why, evidence={OVER: name} if words else {})
