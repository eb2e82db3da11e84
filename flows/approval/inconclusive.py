"""Ask people about a step that showed neither side in its time; the traffic stays where it is until they decide."""

from __future__ import annotations

from blocks.errors import Refused
from flows.approval.gate import pass_gate
from flows.lifecycle.context import Phase, StepFields
from tasks.evidence.inputs import collect_inputs
from tasks.rules.approval.statement import step_gate
from tasks.rules.lifecycle.results import TargetResult
from tasks.rules.plan.targets import target_of


async def may_proceed(phase: Phase, found: TargetResult, *, version: str, requester: str) -> bool:
    """Hold the release with the evidence in the form.

    Args:
        phase: The release and its round.
        found: The result of the target whose step was inconclusive.
        version: The version under release.
        requester: Who asked for the release.

    Returns:
        Whether enough approvers say so; False if they reject, do not answer in time, or the plan names none.
    """
    if phase.plan.approval.quorum == 0:
        return False
    inputs = await collect_inputs(phase.path, version=version, key=phase.key("subject"), taken=phase.taken)
    name = step_gate(target_of(found.environment), found.step)
    about, minutes = StepFields(environment=found.environment, step=found.step), phase.plan.judgement.answer_within_minutes
    try:
        await pass_gate(phase, inputs, name=name, requester=requester, minutes=minutes, about=about)
    except Refused:
        return False
    return True
