"""Ask people about a step that showed neither side in its time; the traffic stays where it is until somebody decides."""

from __future__ import annotations

from blocks.errors import Refused
from flows.approval.gate import pass_gate
from flows.lifecycle.context import Phase, Result, StepFields
from tasks.evidence.inputs import collect_inputs
from tasks.rules.plan.targets import target_of


async def decide(phase: Phase, found: Result, *, environment: str, requester: str) -> str:
    """Hold the release with the evidence in the form.

    Args:
        phase: The release and its round.
        found: The step's result: `step`, `outcome`, `reason`.
        environment: Where it is.
        requester: Who asked for the release.

    Returns:
        `proceed` where enough approvers say so, `rollback` where they reject or nobody answers in time.
    """
    if phase.plan.approval.quorum == 0:
        return "rollback"
    version = found.get("version") or ""
    subject = await collect_inputs(phase.path, version=version, key=phase.key("subject"), taken=phase.taken)
    target = target_of(environment)
    name = f"{target}-step-{found['step']}" if target else f"step-{found['step']}"
    try:
        minutes, about = phase.plan.judgement.answer_within_minutes, StepFields(environment=environment, step=int(found["step"]))
        await pass_gate(phase, subject, name=name, requester=requester, minutes=minutes, about=about)
    except Refused:
        return "rollback"
    return "proceed"
