"""Bring a version to production: in steps, each watched; the baseline stays warm until all is verified."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from prefect import State, flow
from pydantic import Field

from blocks.errors import BadInput
from flows.approval.gate import pass_gate
from flows.lifecycle.context import INCONCLUSIVE, Phase, Result, begin_phase, passed, result
from flows.lifecycle.finalize import end_watch
from flows.lifecycle.frame import conduct, send_back
from flows.rollout.steps import complete, roll_out
from flows.rollout.wave import bring
from tasks.evidence.inputs import collect_inputs
from tasks.record.journal import read_entry
from tasks.rules.plan.request import EnvironmentName, PlanPath, Reason, Requester, Scope, Version, WaveNames
from tasks.rules.plan.targets import is_production, place_of, waves_reversed

ForRelease = Annotated[dict[str, Any], Field(title="For releases", description="Leave empty. A release fills it in.")]


@flow(
    name="production",
    flow_run_name="{environment} {version}",
    persist_result=True,
    result_serializer="json",
    on_cancellation=[send_back],
    on_completion=[end_watch],
    on_failure=[end_watch],
)
async def production(
    plan: PlanPath,
    version: Version,
    requester: Requester,
    reason: Reason = "production alone",
    environment: EnvironmentName = "production",
    release: Scope = "",
    approval: ForRelease | None = None,
    decisions: ForRelease | None = None,
    wave: WaveNames | None = None,
) -> Result | State[Any]:
    """Deploy a version to production in the plan's steps; alone, it asks for the approvals itself and completes the deployment.

    Args:
        plan: Path of the plan file.
        version: The version to deploy.
        requester: Your name; you cannot approve what you ask for.
        reason: Why, for the record.
        environment: Where: `production`, which means each of the plan's targets in their waves, or one of them.
        release: Leave empty; a release fills it in.
        approval: Leave empty; the gate's name and proofs.
        decisions: Leave empty; what people decided about inconclusive steps.
        wave: Leave empty; the targets that a release brings the version to side by side.
    """
    if release:
        phase = await begin_phase(plan, scope=release)
        if wave:
            return await bring(phase, version, environments=wave, approval=approval or {}, decisions=decisions or {})
        place = place_of(phase.plan, environment)
        return await roll_out(phase, version, place=place, approval=approval or {}, decisions=decisions or {})
    course = partial(_alone, environment=environment)
    return await conduct("production", plan=plan, version=version, reason=reason, requester=requester, course=course)


async def _alone(phase: Phase, version: str, *, environment: str) -> Result:
    waves = reversed(waves_reversed(phase.plan, environment))
    if not is_production(environment):
        raise BadInput(f"{environment} is not production", field="environment", fix="Run the phase `staging` for staging.")
    subject = await collect_inputs(phase.path, version=version, key=phase.key("subject"), taken=phase.taken)
    opened = await read_entry(phase.owner, "opened")
    proofs = await pass_gate(phase, subject, name="production", requester=opened.who if opened else "")
    found = result("no_data", "there is nothing to deploy to")
    for wave in waves:
        found = await _bring_alone(phase, version, wave=wave, approval={"gate": "production", "proofs": proofs})
        if not passed(found):
            break
    return found


async def _bring_alone(phase: Phase, version: str, *, wave: tuple[str, ...], approval: dict[str, Any]) -> Result:
    """Bring the version to one target, or to several side by side; nobody is asked about what is inconclusive."""
    if len(wave) > 1:
        found = await bring(phase, version, environments=wave, approval=approval, decisions={})
    else:
        found = await roll_out(phase, version, place=place_of(phase.plan, wave[0]), approval=approval, decisions={})
    inconclusive = found.get("inconclusive") if len(wave) > 1 else found["outcome"] in INCONCLUSIVE
    if inconclusive:
        return {**found, "outcome": "failed", "reason": f"inconclusive {found['reason']}; only a release can ask"}
    return await complete(phase, version, environment=wave[0]) if passed(found) and len(wave) == 1 else found
