"""Roll a version out to production: in steps, each watched; the baseline stays warm until all is verified."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from prefect import State, flow
from pydantic import Field

from blocks.errors import BadInput, Refused
from flows.approval.checklist import pass_checklist
from flows.approval.closing import close_checklist
from flows.approval.gate import pass_gate, too_old
from flows.lifecycle.context import Phase, begin_phase, expect_own_environments
from flows.lifecycle.finalize import end_watch
from flows.lifecycle.frame import conduct, roll_back_cancelled
from flows.lifecycle.windows import is_begun, opens_at, wait_for_window
from flows.rollout.wave import roll_out_wave
from tasks.evidence.inputs import collect_inputs
from tasks.record.journal import read_entry
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.lifecycle.results import Approval, Decisions, PhaseResult, WaveResult, failed
from tasks.rules.plan.request import EnvironmentName, PlanPath, Reason, Requester, Scope, Version, WaveNames
from tasks.rules.plan.targets import is_production, waves_reversed

FOR_RELEASES = Field(title="For releases", description="Leave empty. A release fills it in.")


@flow(
    name="production",
    flow_run_name="{environment} {version}",
    persist_result=True,
    result_serializer="json",
    on_cancellation=[roll_back_cancelled],
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
    approval: Annotated[Approval | None, FOR_RELEASES] = None,
    decisions: Annotated[Decisions | None, FOR_RELEASES] = None,
    wave: WaveNames | None = None,
) -> PhaseResult | State[Any]:
    """Deploy a version to production in the plan's steps; alone, it asks for ticks and approvals itself.

    Args:
        plan: Path of the plan file.
        version: The version to deploy.
        requester: Your name; you cannot approve what you ask for.
        reason: Why, for the record.
        environment: Where: `production`, which means each of the plan's targets in their waves, or one of them.
        release: Leave empty; a release fills it in.
        approval: Leave empty; the gate's name and proofs.
        decisions: Leave empty; what people decided about inconclusive steps.
        wave: Leave empty; the targets that a release rolls out side by side.
    """
    if release:
        phase = await begin_phase(plan, scope=release)
        return await roll_out_wave(
            phase, version, environments=wave or [environment], approval=approval or Approval(), decisions=decisions or {}
        )
    course = partial(_alone, environment=environment)
    return await conduct(
        "production", plan=plan, version=version, reason=reason, requester=requester, course=course, environment=environment
    )


async def _alone(phase: Phase, version: str, *, environment: str) -> PhaseResult:
    """Pass the gate, then roll out wave after wave; no person is asked about what is inconclusive."""
    waves = list(reversed(waves_reversed(phase.plan, environment)))
    if not is_production(environment):
        raise BadInput(f"{environment} is not production", field="environment", fix="Run the phase `staging` for staging.")
    await expect_own_environments(phase)
    inputs = await collect_inputs(phase.path, version=version, key=phase.key("subject"), taken=phase.taken)
    await pass_checklist(phase, inputs, "production", items=phase.plan.checklist.before_production())
    opened = await read_entry(phase.owner, "opened")
    requester = opened.who if opened else ""
    approval = await pass_gate(phase, inputs, name="production", requester=requester, opens=await opens_at(phase))
    found = PhaseResult(outcome=Outcome.NO_DATA, reason="there is nothing to deploy to")
    for wave in waves:
        first = inputs if wave == waves[0] else None  # what has begun finishes
        rolled_out = await _when_it_may(phase, version, wave=wave, approval=approval, inputs=first)
        if rolled_out.inconclusive:
            what = "" if any(one.script for one in rolled_out.inconclusive) else "inconclusive "
            return failed(f"{what}{rolled_out.reason}; only a release can ask")
        if not rolled_out.passed:
            return rolled_out
        found = rolled_out
    return await close_checklist(phase, inputs, found)


async def _when_it_may(phase: Phase, version: str, *, wave: Sequence[str], approval: Approval, inputs: Inputs | None) -> WaveResult:
    """Roll a wave out once nothing holds it; what was set right before its first change holds it once more.

    Raises:
        Refused: The wave is the first, with `inputs`, and their approval grew too old meanwhile.
    """
    while True:
        await wait_for_window(phase, wave)
        if inputs is not None and (old := await too_old(phase, inputs)) and not await is_begun(phase, wave):
            raise Refused(f"the approval does not hold any more: {old}. Run it again, nearer to the time at which production opens")
        found = await roll_out_wave(phase, version, environments=wave, approval=approval, decisions={})
        if not found.is_held:
            return found
