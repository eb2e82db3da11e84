"""Go back to the version before: stop what is under way, act, verify, watch. Nothing exempts it from its verification."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Sequence
from typing import Any

from prefect import Flow, State, flow
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed

from blocks.errors import BadInput, Refused, Superseded, Temporary
from blocks.outside_text import ENDING_LIMIT, OutsideText, as_ending, as_reason, error_text
from flows.lifecycle.context import Phase, Result, acting_for, begin_phase, passed, platform_of, result, run_id
from flows.lifecycle.finalize import close, end_watch
from flows.rollout.revert import all_of, take_back, take_wave_back
from flows.rollout.rollback_target import common_version_to_leave, expect_known, version_under_release
from tasks.lifecycle.lock import request_stop
from tasks.lifecycle.policy import as_temporary
from tasks.lifecycle.run_labels import begin_attempt, let_go, name_run, unmark
from tasks.record.journal import append_entry, closing_entry, say
from tasks.rules.analysis.summary import worst_of
from tasks.rules.lifecycle.ending import Ending
from tasks.rules.plan.request import AnyReason, AnyVersion, EnvironmentName, PlanPath, Restored, Scope, WaveNames
from tasks.rules.plan.targets import waves_reversed


async def finish(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Finish a rollback that was cancelled: half a way back is worse than either end of it."""
    asked = flow_run.parameters
    run = str(flow_run.id)
    if asked.get("release"):
        return  # a part of a release, whose own hook goes back
    try:
        await _alone(
            run,
            plan=asked["plan"],
            environment=asked.get("environment", "production"),
            reason=as_reason(asked.get("reason")),
            version=asked.get("version", ""),
            bad=asked.get("bad", ""),
            restored=asked.get("restored") or [],
        )
        await let_go(run)
    finally:
        await unmark(run)


@flow(
    name="rollback",
    flow_run_name="rollback {environment}",
    persist_result=True,
    result_serializer="json",
    on_cancellation=[finish],
    on_completion=[end_watch],
    on_failure=[end_watch],
)
async def rollback(
    plan: PlanPath,
    reason: AnyReason,
    environment: EnvironmentName = "production",
    version: AnyVersion = "",
    bad: AnyVersion = "",
    restored: Restored | None = None,
    release: Scope = "",
    wave: WaveNames | None = None,
) -> Result | State[Result]:
    """Take an environment back to an earlier version, verified and watched; a release under way is told and ends.

    Args:
        plan: Path of the plan file.
        reason: What is wrong, for the record: "critical bug 812: orders are lost".
        environment: Where; `production` means each of the plan's targets, the last wave first.
        version: The version to return to; empty takes the one before.
        bad: The version to get away from; empty takes the newest there.
        restored: Contract migrations whose effect you have undone by hand, by name; without them no rollback crosses one.
        release: Leave empty; a release fills it in.
        wave: Leave empty; the targets that a release takes back side by side.
    """
    if release:
        phase = await begin_phase(plan, scope=release)
        if wave:
            each = await take_wave_back(phase, wave, reason=reason, version=bad)
            return result(*worst_of(each), each=each, environment=",".join(wave))
        found = await take_back(phase, environment=environment, reason=reason, version=version, bad=bad, beside=True)
        return {**found, "environment": environment}
    asked = restored or []
    return await _alone(run_id(), plan=plan, environment=environment, reason=reason, version=version, bad=bad, restored=asked)


async def _alone(
    run: str, *, plan: str, environment: EnvironmentName, reason: OutsideText, version: str, bad: str, restored: Sequence[str]
) -> State[Any]:
    """Roll back under a record of its own, which is closed at the end."""
    closed = await closing_entry(run)
    if closed is None:
        with acting_for(run):
            ending = await _go(run, plan=plan, environment=environment, reason=reason, version=version, bad=bad, restored=restored)
    else:
        ending = Ending("rolled_back" if closed.evidence["outcome"] == "rolled_back" else "failed", as_ending(closed.why))
    state = await close(run, plan=plan, version=version, ending=ending)
    return Completed(name="RolledBack", message=state.message) if ending.name == "rolled_back" else state


async def _go(
    run: str, *, plan: str, environment: EnvironmentName, reason: OutsideText, version: str, bad: str, restored: Sequence[str]
) -> Ending:
    """Roll back under a record of its own."""
    await begin_attempt(run, name=f"rollback {environment}", tags=["shipway:rollback", f"environment:{environment}"])
    await append_entry(
        run,
        f"A rollback of {environment} was asked for",
        kind="opened",
        who="operator",
        why=reason,
        evidence={"flow": "rollback", "plan": plan, "environment": environment, "version": version},
    )
    try:
        phase = await begin_phase(plan, scope=run)
        waves = waves_reversed(phase.plan, environment)
    except BadInput as error:
        return Ending("refused", as_ending(error))
    await name_run(run, name=f"rollback {phase.plan.service} {environment}", tags=[f"service:{phase.plan.service}"])
    told = await request_stop(phase.plan.service, by=run)
    if told:
        what, evidence = f"{len(told)} release(s) under way must stop", {"releases": told}
        await append_entry(run, what, kind="rollback", name="stop requested", evidence=evidence)
    environments = [name for wave in waves for name in wave]
    bad = bad or await version_under_release(run, environments)
    try:
        await expect_known(phase, environments, version=version)
        bad = bad or await common_version_to_leave(phase, environments, to=version)
        several = len(environments) > 1
        found = await (
            _take_all_back(phase, waves, reason=reason, version=version, bad=bad, restored=restored)
            if several
            else take_back(phase, environment=environments[0], reason=reason, version=version, bad=bad, restored=restored)
        )
    except Refused as error:
        return Ending("refused", as_ending(error))
    except Exception as error:
        if as_temporary(error) is not None:
            raise  # the record stays open, so that the keeper lets it be tried again
        return Ending("failed", error_text(error, limit=ENDING_LIMIT))
    return Ending("rolled_back" if passed(found) else "failed", as_ending(found["reason"]))


async def _take_all_back(
    phase: Phase, waves: Sequence[Sequence[str]], *, reason: OutsideText, version: str, bad: str, restored: Sequence[str]
) -> Result:
    """Take several targets back, wave after wave; one that cannot go back keeps no other from it.

    All are taken over before the first one moves, so that a release which is told to end does not act on the rest meanwhile.
    """
    over = [_take_over(phase, environment) for wave in waves for environment in wave]
    for error in await gather(*over, return_exceptions=True):
        if isinstance(error, BaseException):
            raise error  # once all have asked, so that none is taken over behind the end of this run

    async def back(environment: str) -> Result:
        return await take_back(phase, environment=environment, reason=reason, version=version, bad=bad, restored=restored, beside=True)

    found: list[Result] = []
    late: Temporary | None = None
    for wave in waves:
        try:
            found += [one for one in await all_of(wave, back) if one is not None]
        except Temporary as error:
            late = error
    if late is not None:
        raise late
    outcome, _ = worst_of(found)
    return result(outcome, "; ".join(str(back["reason"]) for back in found))


async def _take_over(phase: Phase, environment: str) -> None:
    """Take an environment over, if that can be at once; its own way back is patient, and says what keeps it from that, too."""
    try:
        await (await platform_of(phase.plan, environment)).acquire_lease(phase.owner, takeover=True)
    except Superseded:
        raise
    except Exception as error:  # noqa: BLE001 - one environment must not keep the others from going back
        say(f"{environment} could not be taken over: {error_text(error)}")
