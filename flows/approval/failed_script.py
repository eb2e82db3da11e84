"""Ask people about a script that failed: run it again, go on without its host, or roll back.

Nothing is run meanwhile, and without an answer it is rolled back.
"""

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
from tasks.rules.approval.script_failure import DECISION, gate_name, hosts_left_out, is_skip, runs_allowed, what_is_asked
from tasks.rules.lifecycle.results import FailedScript, PhaseResult, TargetResult, failed
from tasks.rules.plan.targets import within


async def with_runs_allowed(phase: Phase, platform: Platform, environment: str) -> Platform:
    """Tell a platform that runs scripts what plan and people allow: runs, and hosts to go on without; any other stays as it is."""
    if not isinstance(platform, RunsAgain):
        return platform
    entries = await read_entries(phase.owner)
    allowed = Allowed(phase.plan.on_script_failure.retries, runs_allowed(entries, environment), hosts_left_out(entries, environment))
    return platform.running_again(allowed)


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
        None if it is run once more, or the release goes on without its host; else how the release ends: they rejected, did not answer in
        time, or too many codes were wrong, or its platform does not run it again, whatever they say.
    """
    gate = gate_name(found.environment, script.step, script.runs, host=script.host)
    if gate in asked or not isinstance(await platform_of(phase.plan, found.environment), RunsAgain):
        return _ending(found, "its platform does not run scripts again")
    asked.add(gate)
    part, about = part_of(phase, gate), StepFields(environment=found.environment, step=None)
    if (decided := await part.read("gate", name=DECISION, **about)) is not None:
        return None if decided.evidence.get("may_run_again") is True or is_skip(decided) else _ending(found, decided.why)
    await _tell_what_failed(part, found, script)
    inputs = await collect_inputs(phase.path, version=version, key=phase.key("subject"), taken=phase.taken)
    began = await opened_at(part, about=about)
    until = began + timedelta(minutes=phase.plan.on_script_failure.answer_within_minutes)
    asks = what_is_asked(script.act, script.runs, found.environment, until=until, left=script.left, version=version, host=script.host)
    to = f"whether to run {script.act}{within(found.environment)} again{f', or to leave {script.host} out' if script.host else ''}"
    try:
        _, state, proofs = await put_to_people(
            part, inputs, name=gate, requester=requester, times=(began, until), about=about, own={}, asks=asks, printed=script.lines, to=to
        )  # fmt: skip
        said, why, by = state.state, state.why, list(state.skipped_by)
    except Refused as error:  # asked too often: a release that moved something is not refused, but rolled back
        said, by, proofs = "expired", [], []
        why = as_ending(str(error).removesuffix(ASK_AGAIN))
    evidence: dict[str, Any] = {"proofs": [proof.model_dump(mode="json") for proof in proofs]}
    if said == "skipped":
        evidence |= {"left_out": script.host, "of_hosts": script.hosts, "version": version, "by": by}
    return await _decided(part, found, script, goes_on=said in {"approved", "skipped"}, why=why, evidence=evidence)


async def and_without(phase: Phase, platform: Platform, environment: str) -> str:
    """Say which hosts of an environment a release went on without, for the end of a sentence; "" if with all."""
    if not isinstance(platform, RunsAgain):
        return ""
    left = hosts_left_out(await read_entries(phase.owner), environment)
    return f"; without {', '.join(left)}, left out by people" if left else ""


def _ending(found: TargetResult, why: str) -> PhaseResult:
    return failed(f"{found.reason}. It is not run again: {why}")


async def _tell_what_failed(part: Part, found: TargetResult, script: FailedScript) -> None:
    if await part.read("note", environment=found.environment, name="failed") is None:
        evidence = {"act": script.act, "runs": script.runs, "log": list(script.lines)}
        await part.append(
            f"{script.act} failed", kind="note", environment=found.environment, name="failed", why=found.reason, evidence=evidence
        )


async def _decided(
    part: Part, found: TargetResult, script: FailedScript, *, goes_on: bool, why: str, evidence: dict[str, Any]
) -> PhaseResult | None:
    """Write what was decided, and give how the release ends by it; None if it goes on."""
    skips = "left_out" in evidence
    what = f"{script.act} is run again" if goes_on else f"{script.act} is not run again"
    what = f"{script.host} is left out in {found.environment}: the release goes on without it" if skips else what
    known = {"may_run_again": goes_on and not skips, "act": script.act, "runs": script.runs}
    await part.append(what, kind="gate", environment=found.environment, name=DECISION, why=why, evidence=known | evidence)
    return None if goes_on else _ending(found, why)
