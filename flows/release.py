"""A release: one version of one service from a reviewed plan to a verified, documented production deployment, or safely back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from prefect import State, flow

from blocks.errors import Refused
from flows.approval.gate import pass_gate
from flows.approval.inconclusive import decide
from flows.lifecycle.context import INCONCLUSIVE, Phase, Result, begin_phase, check_not_stopped, passed, result
from flows.lifecycle.finalize import end_watch
from flows.lifecycle.frame import conduct, send_back
from flows.post_deploy import post_deploy
from flows.pre_deploy import pre_deploy
from flows.production import production
from flows.rollout.data import expect_data
from flows.rollout.steps import complete
from flows.staging import staging
from flows.verify import verify
from tasks.evidence.inputs import collect_inputs, collect_inputs_again
from tasks.record.journal import read_entry
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.request import PlanPath, Reason, Requester, Version
from tasks.rules.plan.targets import places_of, waves_of
from tasks.rules.record.canonical import canonical

MOST_ROUNDS = 5


@flow(
    name="release",
    flow_run_name="release {version}",
    persist_result=True,
    result_serializer="json",
    on_cancellation=[send_back],
    on_completion=[end_watch],
    on_failure=[end_watch],
)
async def release(plan: PlanPath, version: Version, reason: Reason, requester: Requester) -> State[Any]:
    """Release a version: evidence, staging, approval, production in watched steps, verification, record; back on any failure.

    Args:
        plan: Path of the plan file where the worker runs.
        version: The version to release, as it is tagged.
        reason: Why, for the record and the approvers.
        requester: Your name; you cannot approve what you ask for.
    """
    return await conduct("release", plan=plan, version=version, reason=reason, requester=requester, course=_course)


async def _course(phase: Phase, version: str) -> Result:
    """Go through the phases; each is a child run that is skipped when it is done."""
    for number in range(1, MOST_ROUNDS + 1):
        scope = f"{phase.owner}/{number}"
        found = await _prepare(phase, version, scope=scope)
        if not passed(found):
            return found
        subject = await collect_inputs(phase.path, version=version, key=f"{scope}/subject")
        this_round = await begin_phase(phase.path, scope=scope)
        proofs = await pass_gate(this_round, subject, name=_gate_name(number), requester=await _requester(phase))
        if await _still_the_same(this_round, subject):
            return await _deploy(phase, version, scope=scope, gate=_gate_name(number), proofs=proofs)
    raise Refused(
        f"plan, change log or running version changed {MOST_ROUNDS} times while this release was prepared; release again when it is calm"
    )


async def _prepare(phase: Phase, version: str, *, scope: str) -> Result:
    await check_not_stopped(phase.owner)
    ready: Any = await pre_deploy(phase.path, version=version, release=scope)
    if not passed(ready):
        raise Refused(f"not ready: {ready['reason']}")
    found: Any = await staging(phase.path, version=version, release=scope)
    if not passed(found):
        return dict(found)
    verified: Any = await verify(phase.path, environment="staging", version=version, release=scope)
    return dict(verified)


async def _deploy(phase: Phase, version: str, *, scope: str, gate: str, proofs: list[dict[str, Any]]) -> Result:
    """Deploy to production, or to its targets in waves: the next one begins when the one before is verified and promoted."""
    this_round, approval = await begin_phase(phase.path, scope=scope), {"gate": gate, "proofs": proofs}
    await expect_data(phase, "production", "post_deploy")
    for wave in waves_of(this_round.plan):
        names = [place.environment for place in wave]
        if len(names) == 1:
            found = await _deploy_to(this_round, version, environment=names[0], approval=approval)
        else:
            found = await _deploy_wave(this_round, version, wave=names, approval=approval)
        if not passed(found):
            return found
    looked: Any = await post_deploy(phase.path, version=version, release=scope)
    return dict(looked)


async def _deploy_to(phase: Phase, version: str, *, environment: str, approval: dict[str, Any]) -> Result:
    decisions: dict[str, str] = {}
    requester = await _requester(phase)
    while True:
        found: Any = await production(
            phase.path,
            version=version,
            requester=requester,
            environment=environment,
            release=phase.scope,
            approval=approval,
            decisions=dict(decisions),
        )
        if found["outcome"] not in INCONCLUSIVE:
            break
        decisions[found["step"]] = await decide(phase, found, environment=environment, requester=requester)
    if not passed(found):
        return dict(found)
    await expect_data(phase, "production", "post_deploy")
    return await complete(phase, version, environment=environment)


async def _deploy_wave(phase: Phase, version: str, *, wave: list[str], approval: dict[str, Any]) -> Result:
    """Deploy to the targets of a wave side by side; people are asked about the inconclusive ones when the others are through."""
    decisions: dict[str, dict[str, str]] = {}
    requester = await _requester(phase)
    while True:
        found: Any = await production(
            phase.path,
            version=version,
            requester=requester,
            release=phase.scope,
            approval=approval,
            decisions=deepcopy(decisions),
            wave=wave,
        )
        inconclusive = found.get("inconclusive") or []
        if not inconclusive:
            return dict(found)
        for one in inconclusive:
            name = one["environment"]
            decided = await decide(phase, one, environment=name, requester=requester)
            if decided != "proceed":  # all go back: nobody is asked about the others, and none of them goes forward
                return result("failed", f"inconclusive {one['reason']}")
            decisions.setdefault(name, {})[one["step"]] = decided


async def _still_the_same(phase: Phase, subject: Result) -> bool:
    """Compare what was approved with the world as it is now; once production has begun, the approval stands, and what is void stays so."""
    if await phase.read("refused", name="void"):
        return False
    if await phase.read("gate", name="unchanged"):
        return True
    fresh = await collect_inputs_again(phase.path, version=subject["version"])
    if fresh["digest"] == subject["digest"]:
        await phase.append("Nothing changed since it was approved", kind="gate", name="unchanged", why=fresh["digest"])
        return True
    now, then = (places_of(Plan.model_validate(seen["plan"])) for seen in (fresh, subject))
    if [(place.environment, place.platform) for place in now] != [(place.environment, place.platform) for place in then]:
        raise Refused("the plan names other platforms than when this release began; start a new release")
    changed = ", ".join(
        name for name in ("plan", "current", "change_log", "platforms") if canonical(fresh[name]) != canonical(subject[name])
    )
    await phase.append(
        "The approval is void: what it was given for changed while it was asked",
        kind="refused",
        name="void",
        why=f"changed: {changed}",
        evidence={"approved": subject["digest"], "now": fresh["digest"]},
    )
    return False


async def _requester(phase: Phase) -> str:
    opened = await read_entry(phase.owner, "opened")
    return opened.who if opened else ""


def _gate_name(number: int) -> str:
    return "production" if number == 1 else f"production-round-{number}"
