"""Go back to the version before: stop what is under way, act, verify, watch. Nothing exempts it from its verification."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from prefect import Flow, State, flow
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed

from blocks.platform import Mark, Platform
from flows.closing import close, end_watch
from flows.migrations import expect_no_contract
from flows.phase import Phase, Result, acting_for, begin_phase, passed, platform_of, result, run_id
from flows.suspect import common_version_to_leave, expect_known, version_under_release
from flows.verify import verified
from tasks.attempt import begin_attempt, let_go, name_run, unmark
from tasks.claim import tell_to_stop
from tasks.notify import alert
from tasks.rollout import abort_canary, called, claim_environment, prepare_revision, promote_revision, read_position, shift_traffic
from tasks.rules.ending import Ending
from tasks.rules.errors import BadInput, Refused, ShipwayError, Superseded, Temporary
from tasks.rules.request import AnyVersion, EnvironmentName, PlanPath, Reason, Restored, Scope, WaveNames
from tasks.rules.rollback import WayBack, decide_way_back
from tasks.rules.summary import worst_of
from tasks.rules.targets import is_production, place_of, waves_backwards
from tasks.story import closing_entry, recall, say, tell
from tasks.watch import watch_recovery


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
            reason=asked["reason"],
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
    reason: Reason,
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
            each = await take_back_together(phase, wave, reason=reason, version=version, bad=bad)
            return result(*worst_of(each), each=each, environment=",".join(wave))
        found = await take_back(phase, environment=environment, reason=reason, version=version, bad=bad)
        return {**found, "environment": environment}
    asked = restored or []
    return await _alone(run_id(), plan=plan, environment=environment, reason=reason, version=version, bad=bad, restored=asked)


async def _alone(
    run: str, *, plan: str, environment: EnvironmentName, reason: str, version: str, bad: str, restored: Sequence[str]
) -> State[Any]:
    """Roll back under a record of its own, which is closed at the end."""
    closed = await closing_entry(run)
    if closed is None:
        with acting_for(run):
            ending = await _go(run, plan=plan, environment=environment, reason=reason, version=version, bad=bad, restored=restored)
    else:
        ending = Ending("rolled_back" if closed.evidence["outcome"] == "rolled_back" else "failed", closed.why)
    state = await close(run, plan=plan, version=version, ending=ending)
    return Completed(name="RolledBack", message=state.message) if ending.name == "rolled_back" else state


async def _go(run: str, *, plan: str, environment: EnvironmentName, reason: str, version: str, bad: str, restored: Sequence[str]) -> Ending:
    """Roll back under a record of its own."""
    await begin_attempt(run, name=f"rollback {environment}", tags=["shipway:rollback", f"environment:{environment}"])
    await tell(
        run,
        "opened",
        f"A rollback of {environment} was asked for",
        kind="opened",
        who="operator",
        why=reason,
        evidence={"flow": "rollback", "plan": plan, "environment": environment, "version": version},
    )
    try:
        phase = await begin_phase(plan, scope=run)
        waves = waves_backwards(phase.plan, environment)
    except BadInput as error:
        return Ending("refused", str(error))
    await name_run(run, name=f"rollback {phase.plan.service} {environment}", tags=[f"service:{phase.plan.service}"])
    told = await tell_to_stop(phase.plan.service, by=run)
    if told:
        await tell(run, "told", f"Told {len(told)} release(s) under way to end", kind="rollback", evidence={"releases": told})
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
    except Temporary:
        raise  # the record stays open, so that the keeper lets it be tried again
    except Refused as error:
        return Ending("refused", str(error))
    except Exception as error:  # noqa: BLE001 - whatever could not be done is said, and somebody is alerted
        return Ending("failed", f"{type(error).__name__}: {error}")
    return Ending("rolled_back" if passed(found) else "failed", str(found["reason"]))


async def _take_all_back(
    phase: Phase, waves: Sequence[Sequence[str]], *, reason: str, version: str, bad: str, restored: Sequence[str]
) -> Result:
    """Take several targets back, wave after wave; one that cannot go back keeps no other from it.

    All are taken over before the first one moves, so that a release which is told to end does not act on the rest meanwhile.
    """
    await gather(*(_take_over(phase, environment, reason=reason) for wave in waves for environment in wave))
    found: list[Result] = []
    late: Temporary | None = None
    for wave in waves:
        try:
            found += await take_back_together(phase, wave, reason=reason, version=version, bad=bad, restored=restored)
        except Temporary as error:
            late = error
    if late is not None:
        raise late
    outcome, _ = worst_of(found)
    return result(outcome, "; ".join(str(back["reason"]) for back in found))


async def _take_over(phase: Phase, environment: str, *, reason: str) -> None:
    """Take an environment over, if it can be; its own way back says what keeps it from that, too."""
    try:
        await claim_environment(await platform_of(phase.plan, environment), owner=phase.owner, takeover=reason)
    except Superseded:
        raise
    except ShipwayError as error:
        say(f"{environment} could not be taken over: {type(error).__name__}: {error}")


async def take_back_together(
    phase: Phase, wave: Sequence[str], *, reason: str, version: str, bad: str, restored: Sequence[str] = ()
) -> list[Result]:
    """Take the targets of a wave back side by side; one that cannot go back keeps no other from it.

    Returns:
        The result of each, with its `environment` and that in its reason.

    Raises:
        Superseded: Somebody newer sees to it.
        Temporary: One does not answer; all others are back.
    """
    beside = len(wave) > 1
    found = await gather(
        *(take_back(phase, environment=one, reason=reason, version=version, bad=bad, restored=restored, beside=beside) for one in wave),
        return_exceptions=True,
    )
    for kind in (Superseded, Temporary):
        for error in found:
            if isinstance(error, kind):
                raise error
    return [_named(environment, back) for environment, back in zip(wave, found, strict=True)]


def _named(environment: str, back: Result | BaseException) -> Result:
    """Say where a way back was, in its reason too; one that could not be gone is a failed one."""
    if isinstance(back, BaseException):
        if not isinstance(back, Exception):
            raise back
        back = result("failed", f"it could not be taken back: {type(back).__name__}: {back}")
    reason = str(back["reason"])
    return {**back, "environment": environment, "reason": reason if environment in reason else f"{environment}: {reason}"}


async def take_back(
    phase: Phase,
    *,
    environment: EnvironmentName,
    reason: str,
    version: str,
    bad: str,
    restored: Sequence[str] = (),
    beside: bool = False,
) -> Result:
    """Choose the way back, go it, and see that the service is well afterwards; `beside` as for `flows.verify.verified`.

    Returns:
        `outcome` passed or failed, `reason`, and the `version` that serves.
    """
    platform = await platform_of(phase.plan, environment)
    mark = await claim_environment(platform, owner=phase.owner, takeover=reason)
    way = await _choose(phase, platform, environment=environment, reason=reason, bad=bad, to=version or "previous", restored=restored)
    if way.kind == "impossible":
        return result("failed", way.reason, version=None)
    way = await _act(phase, platform, way, environment=environment, mark=mark)
    found = await _look_after(phase, platform, way, environment=environment, beside=beside)
    await tell(
        phase.owner,
        phase.entry(f"rollback/{environment}/done"),
        f"The rollback of {environment} is over",
        kind="rollback",
        why=str(found["reason"]),
        evidence={"outcome": found["outcome"], "position": dict(await read_position(platform))},
    )
    return found


async def _choose(
    phase: Phase, platform: Platform, *, environment: str, reason: str, bad: str, to: str, restored: Sequence[str]
) -> WayBack:
    """Choose the way once: after a restart half-way, what runs by then must not turn it round."""
    key = phase.entry(f"rollback/{environment}")
    chosen = await recall(phase.owner, key)
    if chosen is None:
        position = await read_position(platform)
        fixed = phase.plan.rollback.to
        way = decide_way_back(
            baseline=position["baseline"],
            canary=position["canary"],
            previous=position["previous"],
            bad=bad or None,
            to=to,
            fallback=None if fixed == "previous" else fixed,
        )
        await expect_no_contract(phase, way, environment=environment, restored=restored)
        chosen = await tell(
            phase.owner,
            key,
            f"The way back in {environment}: {way.kind} to {way.version or 'nothing'}",
            kind="rollback",
            why=f"{reason}. {way.reason}",
            evidence={"position": dict(position), "way": asdict(way)},
        )
    return WayBack(**chosen.evidence["way"])


async def _act(phase: Phase, platform: Platform, way: WayBack, *, environment: str, mark: Mark) -> WayBack:
    """Go it; gives it with the version as it is called once it is there, which may name a former configuration."""
    if way.kind == "abort":
        await abort_canary(platform, mark=mark)
    elif way.kind == "redeploy" and way.version:
        key = f"rollback/{environment}/{way.version}"
        seconds = place_of(phase.plan, environment).ready_timeout_seconds
        there = await prepare_revision(platform, version=way.version, mark=mark, timeout_seconds=seconds, key=phase.key(f"{key}/prepare"))
        version = called(there, way.version) or way.version
        await shift_traffic(platform, version=version, percent=100, mark=mark, key=phase.key(f"{key}/shift"))
        await promote_revision(platform, version=version, mark=mark, key=phase.key(f"{key}/promote"))
        return replace(way, version=version)
    return way


async def _look_after(phase: Phase, platform: Platform, way: WayBack, *, environment: EnvironmentName, beside: bool) -> Result:
    """Verify the version that serves now, then watch it under its real traffic."""
    if way.version is None:
        return result("passed", "nothing runs there, as before", version=None)
    found: Any = await verified(phase, way.version, environment=environment, beside=beside)
    if passed(found) and is_production(environment):
        found = await watch_recovery(
            platform,
            version=way.version,
            watch_seconds=phase.plan.rollback.watch_seconds,
            max_error_ratio=phase.plan.rollback.max_error_ratio,
        )
    if not passed(found):
        await alert(
            phase.plan.notify,
            service=phase.plan.service,
            version=way.version,
            outcome="rollback not verified",
            reason=str(found["reason"]),
            run=phase.owner,
        )
        return result("failed", f"{environment} was taken back to {way.version}, but {found['reason']}", version=way.version)
    return result("passed", f"{environment} is back on {way.version}, verified and watched: {found['reason']}", version=way.version)
