"""Roll back to the version before: stop what is under way, act, verify, watch. Nothing exempts it from its verification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import Flow, State, flow
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed

from blocks.errors import BadInput, Refused
from blocks.outside_text import ENDING_LIMIT, OutsideText, as_ending, as_reason, error_text
from flows.lifecycle.context import acting_for, begin_phase, run_id
from flows.lifecycle.finalize import end_watch, finalize
from flows.rollout.bad_version import common_version_to_leave, expect_known, version_under_release
from flows.rollout.revert import roll_back_waves
from tasks.lifecycle.lock import request_stop
from tasks.lifecycle.policy import as_temporary, retried
from tasks.lifecycle.run_labels import begin_attempt, let_go, name_run, unmark
from tasks.record.journal import append_entry, closing_entry
from tasks.rules.lifecycle.ending import Ending
from tasks.rules.lifecycle.results import worst_of
from tasks.rules.plan.request import AnyReason, AnyVersion, EnvironmentName, PlanPath, Restored
from tasks.rules.plan.targets import waves_reversed


async def finish_cancelled(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Finish a rollback that was cancelled: half a rollback is worse than either end of it."""
    asked = {"environment": "production", "version": "", "bad": "", **flow_run.parameters}
    run = str(flow_run.id)
    try:
        names = ("plan", "environment", "version", "bad")
        reason = as_reason(asked.get("reason"))
        await _to_the_end(run, reason=reason, **{name: asked[name] for name in names}, restored=asked.get("restored") or [])
        await retried(let_go)(run)
    finally:
        await retried(unmark)(run)


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
    environment: EnvironmentName = "production",
    version: AnyVersion = "",
    bad: AnyVersion = "",
    restored: Restored | None = None,
) -> State[Any]:
    """Roll an environment back to an earlier version, verified and watched; a release under way is stopped.

    Args:
        plan: Path of the plan file.
        reason: What is wrong, for the record: "critical bug 812: orders are lost".
        environment: Where; `production` means each of the plan's targets, the last wave first.
        version: The version to return to; empty takes the one before.
        bad: The version to get rid of; empty takes the newest there.
        restored: Contract migrations whose effect you have undone by hand, by name; without them no rollback crosses one.
    """
    asked = restored or []
    return await _to_the_end(run_id(), plan=plan, environment=environment, reason=reason, version=version, bad=bad, restored=asked)


async def _to_the_end(
    run: str, *, plan: str, environment: str, reason: OutsideText, version: str, bad: str, restored: Sequence[str]
) -> State[Any]:
    """Roll back under a record of its own, which is closed at the end."""
    closed = await closing_entry(run)
    if closed is None:
        with acting_for(run):
            ending = await _attempt(run, plan=plan, environment=environment, reason=reason, version=version, bad=bad, restored=restored)
    else:
        ending = Ending("rolled_back" if closed.evidence["outcome"] == "rolled_back" else "failed", as_ending(closed.why))
    state = await finalize(run, plan=plan, version=version, ending=ending)
    return Completed(name="RolledBack", message=state.message) if ending.name == "rolled_back" else state


async def _attempt(
    run: str, *, plan: str, environment: str, reason: OutsideText, version: str, bad: str, restored: Sequence[str]
) -> Ending:
    """Open the record, stop the releases under way, find the bad version, roll back; gives how that ended."""
    await retried(begin_attempt)(run, name=f"rollback {environment}", tags=["shipway:rollback", f"environment:{environment}"])
    evidence = {"flow": "rollback", "plan": plan, "environment": environment, "version": version}
    what = f"A rollback of {environment} was asked for"
    await append_entry(run, what, kind="opened", who="operator", why=reason, evidence=evidence)
    try:
        phase = await begin_phase(plan, scope=run)
        waves = waves_reversed(phase.plan, environment)
    except BadInput as error:
        return Ending("refused", as_ending(error))
    await retried(name_run)(run, name=f"rollback {phase.plan.service} {environment}", tags=[f"service:{phase.plan.service}"])
    stopped = await request_stop(phase.plan.service, by=run)
    if stopped:
        what = f"{len(stopped)} release(s) under way must stop"
        await append_entry(run, what, kind="rollback", name="stop requested", evidence={"releases": stopped})
    environments = [name for wave in waves for name in wave]
    bad = bad or await version_under_release(run, environments)
    try:
        await expect_known(phase, environments, version=version)
        bad = bad or await common_version_to_leave(phase, environments, to=version)
        found = list((await roll_back_waves(phase, waves, reason=reason, to=version, bad=bad, restored=restored)).values())
    except Refused as error:
        return Ending("refused", as_ending(error))
    except Exception as error:
        if as_temporary(error) is not None:
            raise  # the record stays open, so that the keeper lets it be tried again
        return Ending("failed", error_text(error, limit=ENDING_LIMIT))
    found.sort(key=lambda one: one.passed)  # what failed stands first, where no cut reaches it
    return Ending("rolled_back" if worst_of(found).passed else "failed", as_ending("; ".join(one.reason for one in found)))
