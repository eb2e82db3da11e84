"""The way through one environment of production: prepared, shifted and watched in steps, verified under full traffic, promoted."""

from __future__ import annotations

from typing import Any

from blocks.errors import Refused
from blocks.platform import Lease, Platform
from flows.lifecycle.context import (
    INCONCLUSIVE,
    Phase,
    Result,
    StepFields,
    acquire_lease_forward,
    check_not_stopped,
    passed,
    platform_of,
    result,
)
from flows.rollout.migrations import migrate
from flows.verify import verified
from tasks.analysis.sources import subject_of
from tasks.analysis.watch import begin_watch, start_clock, watch_step
from tasks.approval.approval import check_proofs
from tasks.evidence.inputs import collect_inputs_again
from tasks.record.journal import read_entry
from tasks.rollout.platforms import load_approvers
from tasks.rollout.rollout import prepare_revision, promote_revision, shift_traffic
from tasks.rules.plan.plan import Step
from tasks.rules.plan.targets import Place, target_of, within


async def roll_out(phase: Phase, version: str, *, place: Place, approval: dict[str, Any], decisions: dict[str, str]) -> Result:
    """Take the canary through one environment's steps; a step that does not pass ends it, and its verdict is the result.

    Returns:
        `outcome`, `reason`, and where all passed the `lease` under which that was.
    """
    await confirm(phase, version, approval=approval)
    name, platform = place.environment, await platform_of(phase.plan, place.environment, anew=True)
    lease = await acquire_lease_forward(phase, platform)
    await migrate(phase, platform, environment=name, when="before", version=version, lease=lease)
    seconds = place.ready_timeout_seconds
    before = await prepare_revision(platform, version=version, lease=lease, timeout_seconds=seconds, key=phase.key(f"{name}/prepare"))
    if target_of(name) and (before["baseline"], before["canary"]) == (version, None):
        what = f"{name} runs {version} already: an earlier release left it there"
        await phase.append(what, kind="note", environment=name, name="already")
        return result("passed", what, lease=lease)
    await phase.append(
        f"{version} is up in {name}, without traffic",
        kind="effect",
        environment=name,
        name="prepare",
        why=f"{before['baseline'] or 'nothing yet'} serves",
        evidence={"position": dict(before)},
    )
    for step in place.steps:
        decision = decisions.get(str(step.percent), "")
        found = await _take_step(phase, platform, step, environment=name, version=version, lease=lease, decision=decision)
        if not passed(found):
            return found
    return result("passed", f"{version} passed every step", lease=lease)


async def complete(phase: Phase, version: str, *, environment: str, beside: Lease | None = None) -> Result:
    """Verify the version under full traffic, and only then retire the former one.

    Args:
        phase: The release and its round.
        version: The version.
        environment: Where.
        beside: Where other targets go at the same time: the lease under which this one passed its steps in this very process. The
            verification is no child run then, see `flows.verify.verified`.
    """
    found = await verified(phase, version, environment=environment, beside=beside is not None)
    if not passed(found):
        return {**found, "reason": f"{environment}: {found['reason']}"} if target_of(environment) else dict(found)
    platform = await platform_of(phase.plan, environment)
    if beside is not None:
        await check_not_stopped(phase.owner)
    lease = beside or await acquire_lease_forward(phase, platform)
    after = await promote_revision(platform, version=version, lease=lease, key=phase.key(f"{environment}/promote"))
    await phase.append(
        f"{version} is the baseline in {environment}",
        kind="effect",
        environment=environment,
        name="promote",
        why=f"{after['previous']} was retired" if after["previous"] else "nothing ran there before",
        evidence={"position": dict(after)},
    )
    await migrate(phase, platform, environment=environment, when="after", version=version, lease=lease)
    return dict(found)


async def _take_step(
    phase: Phase, platform: Platform, step: Step, *, environment: str, version: str, lease: Lease, decision: str
) -> Result:
    """Shift, watch, and give the verdict."""
    name, judgement, where = f"{environment}/step-{step.percent}", phase.plan.judgement, within(environment)
    subject = await subject_of(phase.plan, environment)
    begun = {}
    if step.watch_seconds:  # what counts is what follows, so the counts are read before the traffic moves, however long that takes
        begun = await begin_watch(platform, subject=subject, version=version, key=phase.key(f"{name}/begin"))
    await shift_traffic(platform, version=version, percent=step.percent, lease=lease, key=phase.key(f"{name}/shift"))
    place: StepFields = {"environment": environment, "step": step.percent}
    await phase.append(f"{step.percent} % of the traffic{where} goes to {version}", kind="effect", name="shift", **place)
    if not begun:
        return result("passed", "this step is not watched")
    begun |= {"at": await start_clock(key=phase.key(f"{name}/clock"))}
    spans = [("watch", step.watch_seconds), ("extended watch", 2 * step.watch_seconds)]
    for span, seconds in spans if judgement.inconclusive == "extend" else spans[:1]:
        key, share = phase.key(f"{name}/{span}"), step.percent
        found = await watch_step(
            platform, subject=subject, version=version, percent=share, watch_seconds=seconds, lease=lease, begun=begun, key=key
        )
        if found["outcome"] not in INCONCLUSIVE:
            break
        begun |= {"probes": found.get("probes")}
    if found["outcome"] == "failed":  # first stop the harm, then write about it; the way back does the rest
        await shift_traffic(platform, version=version, percent=0, lease=lease, key=phase.key(f"{name}/stop"))
        await phase.append(f"No more requests{where} go to {version}", kind="effect", name="stop", why=found["reason"], **place)
    await _record_step(phase, version, where=where, place=place, span=span, found=found)
    at = f"at {step.percent} %{where}: {found['reason']}"
    return _settle_inconclusive(found, result(found["outcome"], at, step=str(step.percent)), judgement.inconclusive, decision)


async def _record_step(phase: Phase, version: str, *, where: str, place: StepFields, span: str, found: Result) -> None:
    """Record what a watch saw, and its verdict."""
    at, readings = f"at {place['step']} %{where}", f"{len(found['points'])} readings"
    await phase.append(f"Watched {version} {at}", kind="samples", name=span, why=readings, evidence=found, **place)
    evidence = {"outcome": found["outcome"]}
    await phase.append(f"Verdict {at}", kind="verdict", name=span, why=found["reason"], evidence=evidence, **place)


def _settle_inconclusive(found: Result, step: Result, policy: str, decision: str) -> Result:
    """Apply the plan, or what people decided, to a step that showed neither side."""
    slim = {**step, "started_at": found["started_at"]}
    if found["outcome"] not in INCONCLUSIVE:
        return slim
    if decision == "proceed" or (policy == "proceed" and found["outcome"] == "watching"):
        return {**slim, "outcome": "passed"}
    if policy == "ask" and decision == "":
        return slim
    return {**slim, "outcome": "failed", "reason": f"inconclusive {slim['reason']}"}


async def confirm(phase: Phase, version: str, *, approval: dict[str, Any]) -> None:
    """Verify the approvals again, against the world as it is, right before the first change."""
    if phase.plan.approval.quorum == 0 or await phase.read("approval", name="confirmed"):
        return
    await check_not_stopped(phase.owner)  # who was told to stop was not refused
    opened = await read_entry(phase.owner, "opened")
    fresh = await collect_inputs_again(phase.path, version=version)
    problems = await check_proofs(
        await load_approvers(phase.plan.approval.block),
        run=phase.owner,
        gate=str(approval.get("gate", "")),
        digest=fresh["digest"],
        proofs=approval.get("proofs", []),
        allowed=phase.plan.approval.approvers,
        quorum=phase.plan.approval.quorum,
        requester=opened.who if opened else "",
    )
    if problems:
        raise Refused(f"the approvals do not hold: {'; '.join(problems)}")
    await phase.append(
        "The approvals were verified again, right before the first change",
        kind="approval",
        name="confirmed",
        why=f"digest {fresh['digest']}",
    )
