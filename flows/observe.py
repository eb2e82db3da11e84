"""Look again at what was deployed: one short run for a look, started by the keeper; a failure that two looks in a row see is acted on."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from typing import Annotated, Any

from prefect import State, flow
from prefect.states import Completed, Failed
from pydantic import Field

from blocks.errors import Refused, ShipwayError
from blocks.outside_text import OutsideText, as_ending, as_reason, error_text
from flows.lifecycle.context import Phase, run_id
from flows.lifecycle.parameters import drops_unknown_parameters
from flows.rollout.gone import UNKNOWN
from flows.rollout.look_again import record, see
from tasks.lifecycle.clock import now
from tasks.lifecycle.kept_runs import open_releases_of
from tasks.lifecycle.links import run_link
from tasks.lifecycle.observed import find_observed, replace_observed
from tasks.lifecycle.retries import retried
from tasks.lifecycle.run_labels import name_run
from tasks.lifecycle.under_way import held_by
from tasks.notify import notify, with_unobserved_told
from tasks.process.concurrency import together
from tasks.record.journal import read_entries, say
from tasks.record.kept_entries import kept_entries
from tasks.rollout.late_rollback import MOST_ASKED, Requested, request_rollback
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.approval.closing import gives_way_at
from tasks.rules.approval.given import is_approved
from tasks.rules.lifecycle.observed import Observed
from tasks.rules.lifecycle.observed_looks import Look, after_look, failure_in_words, put_off, with_failure_told
from tasks.rules.notify.facts import late_facts
from tasks.rules.plan.targets import place_of

RunId = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$", title="Release", description="Id of the release that is observed.")]


@drops_unknown_parameters
@flow(name="observe", flow_run_name="observe {release}", persist_result=False)
async def observe(release: RunId) -> State[Any]:
    """Look again at what a release deployed, if a look is due by what is kept beside the key; it moves nothing itself.

    Args:
        release: Id of the release.
    """
    name, kept = await asyncio.to_thread(find_observed, release)
    if kept is not None and kept.rollback and not kept.ended:
        return Completed(name="Over", message=f"its rollback {kept.rollback} is requested")
    if kept is None or kept.ended:
        return Completed(name="Over", message=f"nothing of it is observed any more{kept.ended and f': {kept.ended}' if kept else ''}")
    if not kept.is_due(now()):
        return Completed(name="NotDue", message=f"the next look is due {kept.due:%Y-%m-%d %H:%M:%S} UTC")
    await retried(name_run)(run_id(), name=f"observe {kept.taken.parsed().service} {kept.version}", tags=[])
    phase = Phase(run_id(), 1, run_id(), kept.taken.parsed(), kept.plan, kept.taken.folder, kept.taken)
    return await _look(phase, name, kept)


async def _look(phase: Phase, name: str, kept: Observed) -> State[Any]:
    """Look at each environment, act on a failure that is confirmed, and keep what was found, unless a newer release took its place."""
    began = now()
    seen = dict(zip(kept.places, await together(*(see(phase, kept, environment) for environment in kept.places)), strict=True))
    holders = {
        place: await held_by(one.position["owner"], service=phase.plan.service, block=place_of(phase.plan, place).platform)
        for place, one in seen.items()
        if one.position
    }
    if busy := [place for place, holder in holders.items() if holder]:
        why, is_ours = f"a release or rollback is under way in {', '.join(busy)}", all(holders[place] == "here" for place in busy)
        after = await with_unobserved_told(put_off(kept, at=began, why=why, is_ours=is_ours))
        await asyncio.to_thread(replace_observed, name, kept, after)
        return Completed(name="PutOff", message=why)
    there = {place: one for place, one in seen.items() if not one.gone}
    look = after_look(kept, {place: one.found for place, one in there.items()}, at=began)
    if lost := {place: one for place, one in seen.items() if one.gone == UNKNOWN and one.position}:
        await _tell_gone(phase, kept, {place: one.position["baseline"] for place, one in lost.items() if one.position})
    if look.result.outcome is Outcome.FAILED and not kept.told:
        await record(phase, there, look.result, version=kept.version, release=kept.release)
    after, did = look.observed, ""
    if look.confirmed and (not kept.told or phase.plan.observe.on_failure == "roll_back"):
        if (await asyncio.to_thread(find_observed, kept.release))[1] != kept:
            return Completed(name="Over", message="a newer release, or another look, took its place")
        after, did = await _act(phase, kept, look)
    after = await with_unobserved_told(after)
    if not await asyncio.to_thread(replace_observed, name, kept, after):
        return Completed(name="Over", message="a newer release, or another look, took its place")
    said = "; ".join(part for part in (look.result.reason, did) if part)
    if look.result.outcome is Outcome.FAILED:
        return Failed(message=said)
    return Completed(name="Passed" if look.result.passed else "NoData", message=said)


async def _tell_gone(phase: Phase, kept: Observed, serving: Mapping[str, str | None]) -> None:
    """Tell people that a version does not serve any more by no release or rollback, so that it is observed no more there."""
    serves = ", ".join(f"{baseline or 'nothing'} in {environment}" for environment, baseline in serving.items())
    reason = as_ending(f"no release or rollback did that: instead of {kept.version}, deployed by {kept.release}, there serves {serves}")
    about, key = f"{phase.plan.service} {kept.version}", f"{kept.release}/gone/{' '.join(serving)}"
    await notify(phase.plan.notify, ["unobserved"], about=about, reason=reason, run=phase.owner, key=key)


async def _act(phase: Phase, kept: Observed, look: Look) -> tuple[Observed, str]:
    """Tell people of a confirmed failure, and request the rollback if the plan says so; gives what is known then, and what was done.

    Each is done once, however often this is: the rollback for the release, the message for the failure. If the rollback cannot be
    requested yet, that is told, and the next look that sees the failure requests it.
    """
    said, plan, deployed = failure_in_words(look), phase.plan, f"deployed {kept.since:%Y-%m-%d %H:%M} UTC"
    command = f"`shipway rollback {shlex.quote(kept.plan)} --bad {kept.version} --reason …`"
    after, did, to_do = look.observed, "", f"Look at the service. To roll back: {command}."
    after = after if kept.told else with_failure_told(look)
    if plan.observe.on_failure == "roll_back":
        why = as_reason(f"{kept.version}, {deployed}, fails {said}")
        rollback, did = await _request(kept, service=plan.service, reason=why)
        after = after.model_copy(update={"asked": rollback.asked})
        if rollback.run:
            to_do = f"Wait for the message of the rollback, which is requested. If it does not come within minutes: {command}."
            after = after.model_copy(update={"rollback": rollback.run, "reason": str(why)})
        else:
            after = after.model_copy(update={"held": kept.held or now()})
            if kept.told:
                return after, did
    facts = late_facts(name for _, name in look.confirmed)
    about, key = f"{plan.service} {kept.version}", f"{kept.release}/late/{kept.number}"
    reason = as_ending("; ".join(part for part in (f"{deployed}, it fails {said}", did) if part))
    await notify(plan.notify, facts, about=about, reason=reason, run=phase.owner, key=key, to_do=to_do)
    return after, did


async def _request(kept: Observed, *, service: str, reason: OutsideText) -> tuple[Requested, str]:
    """Request the rollback; gives its run, "" if it is not requested now, and what is to be said of it.

    A rollback ends what is under way, which may be the fix: a release that people approved is let come to its end, for one pause.
    """
    if not kept.held_enough(now()) and (under_way := [run for run in await open_releases_of(service) if await _is_approved(run)]):
        releases = ", ".join(map(run_link, under_way))
        return Requested("", kept.asked), f"it is not rolled back while the release {releases} is under way, which may be the fix"
    try:
        rollback = await retried(request_rollback)(kept, reason=reason)
    except Refused as error:
        return Requested("", kept.asked + MOST_ASKED), f"THE ROLLBACK COULD NOT BE REQUESTED: {error_text(error)}"
    return rollback, f"it is rolled back: {run_link(rollback.run)}"


async def _is_approved(run: str) -> bool:
    """Say whether approvals of a release were verified, by its record; whoever has the API's password can have one wait at its gate.

    What cannot be read holds no rollback up.
    """
    try:
        entries = await read_entries(run)
        if gives_way_at(await kept_entries(run)) is not None:  # it is deployed, and people tick what is done after it
            return False
    except (ShipwayError, OSError) as error:
        say(f"the record of {run} cannot be read: {error_text(error)}")
        return False
    return is_approved(entries)
