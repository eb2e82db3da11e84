"""Ask people about a script that failed: run it again, or roll back; nothing is run meanwhile, and without an answer it is rolled back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from blocks.errors import Refused
from blocks.outside_text import as_ending
from blocks.platform import Platform
from blocks.run_again import Allowed, RunsAgain
from flows.approval.gate import ASK_AGAIN, opened_at, put_to_people
from flows.approval.part import Part, part_of
from flows.lifecycle.context import Phase, StepFields, platform_of
from tasks.evidence.inputs import collect_inputs
from tasks.record.journal import read_entries
from tasks.rules.approval.script_failure import DECISION, gate_name, runs_allowed, what_is_asked
from tasks.rules.lifecycle.results import FailedScript, PhaseResult, TargetResult, failed
from tasks.rules.plan.targets import within


async def with_runs_allowed(phase: Phase, platform: Platform, environment: str) -> Platform:
    """Tell a platform that runs scripts how often each may be run, by the plan and by what people answered; any other stays as it is."""
    if not isinstance(platform, RunsAgain):
        return platform
    by_people = runs_allowed(await read_entries(phase.owner), environment)
    return platform.running_again(Allowed(phase.plan.on_script_failure.retries, by_people))


async def ends_after(
    phase: Phase, found: TargetResult, script: FailedScript, *, version: str, requester: str, asked: set[str]
) -> PhaseResult | None:
    """Hold the release, without a process, until people decided about a script that failed.

    Args:
        phase: The release and its round.
        found: The result of its environment.
        script: What failed.
        version: The version under release.
        requester: Who asked for the release.
        asked: The gates that this attempt came through in this phase; this one is added.

    Returns:
        None if it is run once more; else how the release ends: they rejected, did not answer in time, or too many codes were wrong, or
        its platform does not run it again, whatever they say.
    """
    gate = gate_name(found.environment, script.step, script.runs)
    if gate in asked or not isinstance(await platform_of(phase.plan, found.environment), RunsAgain):
        return _ending(found, "its platform does not run scripts again")
    asked.add(gate)
    part, about = part_of(phase, gate), StepFields(environment=found.environment, step=None)
    if (decided := await part.read("gate", name=DECISION, **about)) is not None:
        return None if decided.evidence.get("may_run_again") is True else _ending(found, decided.why)
    await _tell_what_failed(part, found, script)
    inputs = await collect_inputs(phase.path, version=version, key=phase.key("subject"), taken=phase.taken)
    began = await opened_at(part, about=about)
    until = began + timedelta(minutes=phase.plan.on_script_failure.answer_within_minutes)
    asks = what_is_asked(script.act, script.runs, found.environment, until=until, left=script.left)
    try:
        _, state, proofs = await put_to_people(
            part, inputs, name=gate, requester=requester, times=(began, until), about=about, own={}, asks=asks, printed=script.lines,
            to=f"whether to run {script.act}{within(found.environment)} again",
        )  # fmt: skip
        again, why = state.state == "approved", state.why
    except Refused as error:  # asked too often: a release that moved something is not refused, but rolled back
        again, why, proofs = False, as_ending(str(error).removesuffix(ASK_AGAIN)), []
    kept = [proof.model_dump(mode="json") for proof in proofs]
    await _tell_decision(part, found, script, why=why, again=again, proofs=kept)
    return None if again else _ending(found, why)


def _ending(found: TargetResult, why: str) -> PhaseResult:
    return failed(f"{found.reason}. It is not run again: {why}")


async def _tell_what_failed(part: Part, found: TargetResult, script: FailedScript) -> None:
    if await part.read("note", environment=found.environment, name="failed") is None:
        evidence = {"act": script.act, "runs": script.runs, "log": list(script.lines)}
        await part.append(
            f"{script.act} failed", kind="note", environment=found.environment, name="failed", why=found.reason, evidence=evidence
        )


async def _tell_decision(part: Part, found: TargetResult, script: FailedScript, *, why: str, again: bool, proofs: list[Any]) -> None:
    what = f"{script.act} is run again" if again else f"{script.act} is not run again"
    evidence = {"may_run_again": again, "act": script.act, "runs": script.runs, "proofs": proofs}
    await part.append(what, kind="gate", environment=found.environment, name=DECISION, why=why, evidence=evidence)
