"""The rollout of one environment of production: canary up, shifted and watched in steps, verified under full traffic, promoted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from blocks.errors import RolloutFailed
from blocks.outside_text import as_ending
from blocks.platform import Lease, Platform
from flows.approval.failed_script import and_without, with_runs_allowed
from flows.lifecycle.acting import seen_in
from flows.lifecycle.context import Phase, StepFields, approved_platform, check_not_stopped, expect_may_go_forward, subject_in
from flows.lifecycle.windows import what_holds_a_target
from flows.rollout.half_done import lease_for_release
from flows.rollout.held_step import Standing, wait_while_held
from flows.rollout.left import forget_what_was_left, note_release_begins
from flows.rollout.log_check import check_logs_before_promotion, keep_baseline_logs
from flows.rollout.migrations import migrate, promoted_here
from flows.rollout.owning import own_what_was_changed
from flows.rollout.prepare import prepare
from flows.rollout.stop import stop_requests
from flows.rollout.verify_canary import canary_fault
from flows.verify import verified
from tasks.analysis.watch import begin_watch, start_clock, watch_step
from tasks.approval.protection import keep_way
from tasks.evidence.acted_plans import keep_plan
from tasks.lifecycle.retries import named, retried
from tasks.rollout.link import through
from tasks.rollout.rollout import is_in_place, promote_revision, shift_traffic
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.lifecycle.results import INCONCLUSIVE, Analysis, PhaseResult, StepResult, TargetResult, failed, passed
from tasks.rules.plan.plan import Step
from tasks.rules.plan.targets import Place, target_of, within
from tasks.rules.rollout.next_step import PREPARE, PROMOTE, shift_to
from tasks.rules.rollout.steps import extension_seconds


async def roll_out(phase: Phase, version: str, *, place: Place, decisions: Mapping[int, str], approved: Inputs | None) -> TargetResult:
    """Roll a version out in one environment: prepare it, take each step, verify it under full traffic, promote it.

    Args:
        phase: The release and its round.
        version: The version.
        place: The environment.
        decisions: What people decided about inconclusive steps, by their percent.
        approved: The inputs for which the approvals were verified; None if no approval is asked for.

    Returns:
        `passed` once the version is the baseline; else the result of the step or the verification that did not pass.
    """
    name, platform = place.environment, await approved_platform(phase, place.environment, version=version, approved=approved)
    await expect_may_go_forward(phase, platform, name, version=version)
    if (keeps := await what_holds_a_target(phase, name)) is not None:
        return TargetResult(outcome=Outcome.WATCHING, reason=as_ending(keeps.what), environment=name, is_held=True)
    platform = await with_runs_allowed(phase, platform, name)
    lease = await lease_for_release(phase, platform, name, version=version)
    await retried(keep_way)(place, platform, seen=seen_in(name))
    await keep_plan(phase.taken, place, given=phase.path)
    stands = Standing(platform, name, version, lease=lease)
    if not await _prepare(phase, platform, version, place=place, lease=lease):
        found, stands = await _climb(phase, stands, lease, place=place, decisions=decisions)
        if not found.passed:
            return _ended(name, found)
    checked = await verified(phase, version, environment=name)
    if checked.passed:
        checked = await check_logs_before_promotion(phase, version, platform, environment=name)
    if checked.passed:
        if fault := await wait_while_held(phase, stands, before=PROMOTE):
            return _ended(name, failed(fault))
        await _promote(phase, platform, version, environment=name, lease=lease)
    return _ended(name, checked.at(name if target_of(name) else ""))


async def _climb(
    phase: Phase, stands: Standing, lease: Lease, *, place: Place, decisions: Mapping[int, str]
) -> tuple[PhaseResult, Standing]:
    """Take each step, and wait for what holds the next; gives the result of the first that did not pass, and where the canary stands."""
    platform, name, version = stands.platform, stands.environment, stands.version
    found: PhaseResult = passed("there is no step")
    if fault := await canary_fault(phase, platform, version, environment=name, percent=0, lease=lease):
        return failed(fault), stands
    for step in place.steps:
        if fault := await wait_while_held(phase, stands, before=shift_to(step.percent)):
            return failed(fault), stands
        taken, begun = await _take_step(phase, platform, step, environment=name, version=version, lease=lease)
        stands = replace(stands, percent=step.percent, begun=begun)
        found = _settle(taken, phase.plan.judgement.inconclusive, decisions.get(step.percent, ""))
        if not found.passed:
            break
        if fault := await canary_fault(phase, platform, version, environment=name, percent=step.percent, lease=lease):
            return failed(fault), stands
    return found, stands


def _ended(environment: str, found: PhaseResult) -> TargetResult:
    step = found.step if isinstance(found, StepResult) else None
    is_inconclusive = step is not None and found.outcome in INCONCLUSIVE
    return TargetResult(outcome=found.outcome, reason=found.reason, environment=environment, step=step, is_inconclusive=is_inconclusive)


async def _prepare(phase: Phase, platform: Platform, version: str, *, place: Place, lease: Lease) -> bool:
    """Migrate, and bring the canary up without traffic; True if an earlier release left the version there as the baseline."""
    name = place.environment
    await migrate(phase, platform, environment=name, when="before", version=version, lease=lease)
    if fault := await wait_while_held(phase, Standing(platform, name, version, lease=lease), before=PREPARE):
        raise RolloutFailed(fault)
    seconds, replaces = place.ready_timeout_seconds, is_in_place(platform)
    title, key = f"prepare {version}{within(name)}", f"{name}/prepare"
    if replaces:
        await keep_baseline_logs(phase, version, platform, environment=name)
    await note_release_begins(phase, platform, name, version=version)
    before = await prepare(phase, platform, version, environment=name, lease=lease, timeout_seconds=seconds, title=title, key=key)
    if target_of(name) and (before["baseline"], before["canary"]) == (version, None):
        what = f"{name} runs {version} already: an earlier release left it there"
        await phase.append(what, kind="note", environment=name, name="already")
        return True
    await phase.append(
        f"{version} can be deployed in {name}" if replaces else f"{version} is up in {name}, without traffic",
        kind="effect",
        environment=name,
        name="prepare",
        why=f"{before['baseline'] or 'nothing yet'} serves",
        evidence={"position": dict(before)},
    )
    return False


async def _take_step(
    phase: Phase, platform: Platform, step: Step, *, environment: str, version: str, lease: Lease
) -> tuple[StepResult, dict[str, Any]]:
    """Shift the step's share of the traffic, watch it, and give the verdict, and what another watch of the step begins with."""
    name, where = f"{environment}/step-{step.percent}", within(environment)
    place = StepFields(environment=environment, step=step.percent)
    begun: dict[str, Any] = {}
    if step.watch_seconds:  # what counts is what follows, so the counts are read before the traffic moves, however long that takes
        subject = await subject_in(phase, environment)
        begun = await named(begin_watch, f"{step.percent} %: read the counters{where}")(
            platform, subject=subject, version=version, key=phase.key(f"{name}/begin")
        )
    await named(shift_traffic, f"{step.percent} %: shift{where}")(
        platform, version=version, percent=step.percent, lease=lease, key=phase.key(f"{name}/shift")
    )
    why = await through(platform)
    await phase.append(f"{step.percent} % of the traffic{where} goes to {version}", kind="effect", name="shift", why=why, **place)
    if not begun:
        return StepResult(outcome=Outcome.PASSED, reason="this step is not watched", step=step.percent), {}
    span, found = await _watch(phase, platform, step, environment=environment, version=version, lease=lease, begun=begun)
    if found.outcome is Outcome.FAILED:
        await stop_requests(phase, platform, version, environment=environment, percent=step.percent, lease=lease, why=found.reason)
    at, readings = f"at {step.percent} %{where}", f"{len(found.points)} readings"
    await phase.append(f"Watched {version} {at}", kind="samples", name=span, why=readings, evidence=found.model_dump(mode="json"), **place)
    if found.mismatch:
        await phase.append(f"Sample ratio {at}", kind="note", name="sample ratio", why=found.mismatch, **place)
    evidence = {"outcome": found.outcome}
    await phase.append(f"Verdict {at}", kind="verdict", name=span, why=found.reason, evidence=evidence, **place)
    result = StepResult(outcome=found.outcome, reason=f"{at}: {found.reason}", step=step.percent)
    return result, {**begun, "probes": found.probes} if found.probes else begun


async def _watch(
    phase: Phase, platform: Platform, step: Step, *, environment: str, version: str, lease: Lease, begun: dict[str, Any]
) -> tuple[str, Analysis]:
    """Watch a step, and once more if the plan extends an inconclusive one; gives the last span's name and findings."""
    name, subject = f"{environment}/step-{step.percent}", await subject_in(phase, environment)
    begun = begun | {
        "at": await named(start_clock, f"{step.percent} %: start the clock{within(environment)}")(key=phase.key(f"{name}/clock"))
    }
    spans = [("watch", step.watch_seconds)]
    if more := extension_seconds(phase.plan.judgement, step):
        spans.append(("extended watch", step.watch_seconds + more))
    for span, seconds in spans:
        found = await named(watch_step, f"{step.percent} %: {span}{within(environment)}")(
            platform,
            subject=subject,
            version=version,
            percent=step.percent,
            watch_seconds=seconds,
            bake_seconds=step.bake_seconds,
            lease=lease,
            begun=begun,
            key=phase.key(f"{name}/{span}"),
        )
        if found.outcome not in INCONCLUSIVE or found.outcome is Outcome.MISMATCH:
            break
        begun |= {"probes": found.probes}
    return span, found


def _settle(found: StepResult, policy: str, decision: str) -> StepResult:
    """Apply the plan, or what people decided, to a step that showed neither side."""
    if found.outcome not in INCONCLUSIVE:
        return found
    policy = "ask" if found.outcome is Outcome.MISMATCH else policy
    if decision == "proceed" or (policy == "proceed" and found.outcome is Outcome.WATCHING):
        return found.model_copy(update={"outcome": Outcome.PASSED})
    if policy == "ask" and decision == "":
        return found
    return found.model_copy(update={"outcome": Outcome.FAILED, "reason": f"inconclusive {found.reason}"})


async def _promote(phase: Phase, platform: Platform, version: str, *, environment: str, lease: Lease) -> None:
    """Make the canary the baseline, retire the one before, and run what is due afterwards."""
    await check_not_stopped(phase.owner)
    await own_what_was_changed(phase, platform, environment)
    after = await named(promote_revision, f"promote {version}{within(environment)}")(
        platform, version=version, lease=lease, key=phase.key(f"{environment}/promote")
    )
    promoted = await promoted_here(phase, platform, environment)
    await forget_what_was_left(phase, environment, after, promoted, version=version)
    before = f"{after['previous']} was retired" if after["previous"] else "nothing ran there before"
    await phase.append(
        f"{version} is the baseline in {environment}",
        kind="effect",
        environment=environment,
        name="promote",
        why=before + await and_without(phase, platform, environment),
        evidence={"position": dict(after), **promoted},
    )
    await migrate(phase, platform, environment=environment, when="after", version=version, lease=lease)
