"""Roll back to the version before: stop what is under way, act, verify, watch. Nothing exempts it from its verification."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from prefect import Flow, State, flow
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort, ParameterBindError, ParameterTypeError
from prefect.states import Completed

from blocks.errors import BadInput, Refused, Superseded
from blocks.outside_text import ENDING_LIMIT, UNKNOWN, OutsideText, as_ending, as_name, as_reason, error_text
from flows.lifecycle.acting import acting_for
from flows.lifecycle.context import Phase, platform_of, run_id
from flows.lifecycle.finalize import end_watch, finalize
from flows.lifecycle.parameters import drops_unknown_parameters
from flows.rollout.bad_version import expect_known, expect_moved, version_to_leave_by
from flows.rollout.left import newer_rollback
from flows.rollout.overtaken import done_in, overtaken_in, stops_releases
from flows.rollout.plan_of_rollback import begin_rollback, environments_in, how_it_differs
from flows.rollout.revert import roll_back_waves
from flows.rollout.under_release import note_version_under_release
from tasks.evidence.releases_there import releases_there
from tasks.lifecycle.asked import asked_by_record
from tasks.lifecycle.links import run_link
from tasks.lifecycle.lock import request_stop, request_stop_by_tags
from tasks.lifecycle.retries import as_temporary, retried
from tasks.lifecycle.run_labels import begin_attempt, let_go, name_run, unmark
from tasks.record.journal import append_entry, closing_entry, read_entry, say
from tasks.record.without_key import rolling_back
from tasks.rules.lifecycle.ending import Ending
from tasks.rules.lifecycle.results import worst_of
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.request import AnyReason, AnyRequester, AnyVersion, EnvironmentName, PlanAsItIs, PlanPath, Restored
from tasks.rules.plan.targets import waves_reversed
from tasks.rules.record.asked import OF_ROLLBACK, changed_parameters
from tasks.rules.rollout.unread import ends_releases


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """What was asked for: the parameters of `rollback`."""

    plan: str
    reason: OutsideText
    requester: OutsideText
    environment: str
    version: str
    bad: str
    restored: Sequence[str]
    plan_as_it_is: bool = False


async def finish_cancelled(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Finish a rollback that was cancelled: half a rollback is worse than either end of it."""
    run = str(flow_run.id)
    try:
        await finish(run, flow_run.parameters)
        await retried(let_go)(run)
    finally:
        await retried(unmark)(run)


async def finish(run: str, parameters: dict[str, Any]) -> State[Any]:
    """Go on with a rollback whose process is gone, to its end.

    Args:
        run: Its flow run id.
        parameters: Its own; they count only if its record, and what lies beside the key, do not say what was asked for.

    Returns:
        The state to end in.

    Raises:
        BadInput: Neither says what was asked for.
    """
    with rolling_back():
        opened = await read_entry(run, "opened")
    given: dict[str, Any] = {"environment": "production", "version": "", "bad": ""}
    given |= asked_by_record(opened.evidence).parameters if opened else _validated(parameters)
    reason, requester = as_reason(given.get("reason")), as_name(given.get("requester"))
    wanted = {name: given[name] for name in ("plan", "environment", "version", "bad")}
    more: dict[str, Any] = {"restored": given.get("restored") or [], "plan_as_it_is": bool(given.get("plan_as_it_is"))}
    return await _to_the_end(run, RollbackRequest(reason=reason, requester=requester, **wanted, **more))


def _validated(parameters: dict[str, Any]) -> dict[str, Any]:
    """Check the parameters of a run that has no first entry: anyone with the API's password can change them."""
    try:
        return rollback.validate_parameters(parameters)
    except (ParameterTypeError, ParameterBindError) as error:
        text = f"this rollback has no record, and its parameters are not those of one: {error_text(error)}"
        raise BadInput(text, field="parameters", fix="Ask for the rollback again.") from None


def can_start_with(parameters: dict[str, Any]) -> bool:
    """Say if a run with these parameters would come to its first line: one whose parameters others broke would fail each time."""
    names = inspect.signature(rollback.fn).parameters
    try:
        rollback.validate_parameters({name: value for name, value in parameters.items() if name in names})
    except (ParameterTypeError, ParameterBindError):
        return False
    return True


@drops_unknown_parameters
@flow(
    name="rollback",
    flow_run_name="rollback {environment}",
    persist_result=True,
    result_serializer="json",
    on_cancellation=[finish_cancelled],
    on_completion=[end_watch],
    on_failure=[end_watch],
)
async def rollback(
    plan: PlanPath,
    reason: AnyReason,
    requester: AnyRequester = UNKNOWN,
    environment: EnvironmentName = "production",
    version: AnyVersion = "",
    bad: AnyVersion = "",
    restored: Restored | None = None,
    plan_as_it_is: PlanAsItIs = False,  # noqa: FBT002 - a form field
) -> State[Any]:
    """Roll an environment back to an earlier version, verified and watched; a release under way is stopped.

    Args:
        plan: Path of the plan file.
        reason: What is wrong, for the record: "critical bug 812: orders are lost".
        requester: Your name, for the record.
        environment: Where; `production` means each of the plan's targets, the last wave first.
        version: The version to return to; empty takes the one before.
        bad: The version to get rid of; empty takes the newest there, or what the last rollback left if no release was promoted since.
        restored: Contract migrations whose effect you have undone by hand, by name; without them no rollback crosses one.
        plan_as_it_is: Go by the plan file although releases acted by another block or service.
    """
    asked = RollbackRequest(plan, reason, requester, environment, version, bad, restored or [], plan_as_it_is)
    return await _to_the_end(run_id(), asked)


async def _to_the_end(run: str, asked: RollbackRequest) -> State[Any]:
    """Roll back under a record of its own, which is closed at the end."""
    with rolling_back():
        closed = await closing_entry(run)
        if closed is None:
            with acting_for(run):
                ending = await _attempt(run, asked)
        else:
            ending = Ending("rolled_back" if closed.evidence["outcome"] == "rolled_back" else "failed", as_ending(closed.why))
        state = await finalize(run, plan=asked.plan, version=asked.version, ending=ending, on_demand=True)
    return Completed(name="RolledBack", message=state.message) if ending.name == "rolled_back" else state


async def _leave_to_newer_copy(phase: Phase, environments: Sequence[str], error: Superseded) -> None:
    """Stop here without an ending if another process acts for this very run: it goes on, and closes the record."""
    for environment in environments:
        if (await (await platform_of(phase.plan, environment)).current())["owner"] == phase.owner:
            raise Abort(f"another process acts for this run now: {error}") from error


async def _opened(run: str, asked: RollbackRequest) -> RollbackRequest:
    """Open the record; gives what was asked for when it was opened first: the parameters of a run can be changed through the API."""
    given = {name: getattr(asked, name) for name in OF_ROLLBACK} | {"restored": list(asked.restored)}
    what = f"A rollback of {asked.environment} was asked for"
    evidence = {"flow": "rollback", **given, "run": run_link(run)}
    opened = await append_entry(run, what, kind="opened", who=asked.requester, why=asked.reason, evidence=evidence)
    if changed := changed_parameters(opened, given):
        what = f"{', '.join(changed)} of this run changed after it began, and only the API can do that; they do not count"
        await append_entry(run, what, kind="note", name="changed parameters")
    first = replace(asked, **{name: opened.evidence[name] for name in changed})
    return replace(first, reason=as_reason(opened.why), requester=as_name(opened.who))


async def _decided(phase: Phase, environments: Sequence[str], asked: RollbackRequest, *, file: Plan | None) -> tuple[Phase, str]:
    """Decide what the rollback is about before it stops anything; if the platforms cannot be read, the releases stop all the same."""
    try:
        phase = await expect_known(phase, environments, version=asked.version)
        bad = await version_to_leave_by(phase, environments, to=asked.version, bad=asked.bad, restored=asked.restored)
    except Exception as error:
        if as_temporary(error) is not None or ends_releases(error):
            await note_version_under_release(phase, environments)
            await _stop_releases(phase, environments, asked, file=file)
        raise
    return phase, bad


async def _stop_releases(phase: Phase, environments: Sequence[str], asked: RollbackRequest, *, file: Plan | None) -> None:
    """Tell the releases under way to stop, also those that act where the file says, if it is not the plan of this rollback."""
    there = {*await releases_there(phase.plan, environments, besides=phase.owner)}
    if file is not None:
        there |= {*await releases_there(file, environments_in(file, asked.environment), besides=phase.owner)}
    stopped = await request_stop(sorted(there), by=phase.owner)
    if stopped:
        what = f"{len(stopped)} release(s) under way must stop"
        await phase.append(what, kind="rollback", name="stop requested", evidence={"releases": stopped})


async def _stop_the_rest(phase: Phase) -> None:
    """Tell what only tags name, once the environments are taken over and rolled back: it may be made up, by the thousand."""
    try:
        await retried(request_stop_by_tags)(phase.plan.service, by=phase.owner)
    except Exception as error:  # noqa: BLE001 - the rollback is done
        say(f"runs that only tags name as releases of {phase.plan.service} could not be told to stop: {error_text(error)}")


async def _attempt(run: str, asked: RollbackRequest) -> Ending:
    """Open the record, stop the releases under way, find the bad version, roll back; gives how that ended."""
    await retried(begin_attempt)(run, name=f"rollback {asked.environment}", tags=["shipway:rollback"])
    asked = await _opened(run, asked)
    if asked.bad and asked.bad == asked.version:
        return Ending("refused", as_ending(f"{asked.bad} is named as the bad version and as the one to return to; nothing was stopped"))
    try:
        phase, file = await begin_rollback(run, asked.plan, environment=asked.environment, as_it_is=asked.plan_as_it_is)
        waves = waves_reversed(phase.plan, asked.environment)
    except BadInput as error:
        return Ending("refused", as_ending(error))
    tags = [f"service:{phase.plan.service}", f"environment:{asked.environment}"]
    await retried(name_run)(run, name=f"rollback {phase.plan.service} {asked.environment}", tags=tags)
    ending = await _rolled_back(phase, waves, asked, file=file)
    differs = await how_it_differs(phase)
    return replace(ending, reason=as_ending(f"{ending.reason}. Note: {differs}")) if differs else ending


async def _rolled_back(phase: Phase, waves: Sequence[Sequence[str]], asked: RollbackRequest, *, file: Plan | None) -> Ending:
    environments = [name for wave in waves for name in wave]
    try:
        phase, bad = await _decided(phase, environments, asked, file=file)
        done, came = await done_in(phase, environments), await overtaken_in(phase, environments)
        stops = stops_releases(environments, done=done, overtaken=[*came.faults, *came.unread])
        if stops:
            await _stop_releases(phase, environments, asked, file=file)
        way: dict[str, Any] = {"reason": asked.reason, "to": asked.version, "bad": bad, "restored": asked.restored}
        overtaken = {name: fault for name, fault in came.faults.items() if name not in done}
        found = list((await roll_back_waves(phase, waves, **way, overtaken=overtaken, rests=[*done, *came.unread])).values())
        if stops:
            await _stop_the_rest(phase)
        await expect_moved(phase, environments)
    except Refused as error:
        return Ending("refused", as_ending(error))
    except Superseded as error:
        await _leave_to_newer_copy(phase, environments, error)
        newer = await newer_rollback(phase, environments)
        return Ending("failed", as_ending(f"the rollback {newer} goes on with it: {error_text(error)}" if newer else error_text(error)))
    except Exception as error:
        if as_temporary(error) is not None:
            raise  # the record stays open, so that the keeper lets it be tried again
        return Ending("failed", error_text(error, limit=ENDING_LIMIT))
    found.sort(key=lambda one: one.passed)  # what failed stands first, where no cut reaches it
    return Ending("rolled_back" if worst_of(found).passed else "failed", as_ending("; ".join(one.reason for one in found)))
