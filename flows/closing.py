"""How a release ends: back to what ran before unless it was deployed, then the record, then the claims."""

from __future__ import annotations

from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Failed

from flows.phase import Phase, Result, begin_phase, platform_of, result
from tasks.attempt import end_attempt, let_go, mark_running
from tasks.notify import alert
from tasks.report import publish_record
from tasks.rollout import give_environment_up, read_position
from tasks.rules.ending import STATE_NAMES, Ending, final_outcome
from tasks.rules.errors import BadInput, Superseded, Temporary
from tasks.rules.record import outcome_of
from tasks.rules.request import EnvironmentName
from tasks.story import recall_all, tell

BACKWARDS: tuple[EnvironmentName, ...] = ("production", "staging")


async def close(run: str, *, plan: str, version: str, ending: Ending) -> State[Any]:
    """Bring a release to its end; may be called again at any point, by another process too.

    Args:
        run: The release's flow run id.
        plan: Path of its plan.
        version: The version under release.
        ending: Why it ends.

    Returns:
        The state to end in.
    """
    await mark_running(run)
    phase = await _plan_of(plan, run)
    entries = await recall_all(run)
    outcome: str = outcome_of(entries)
    reason = ending.reason
    if outcome == "open":
        forward = bool(entries) and entries[0].evidence.get("flow") != "rollback"
        back = await go_back(phase, version=version, ending=ending) if phase and forward and ending.name != "deployed" else []
        outcome, reason = final_outcome(ending, moved_back=back)
        await tell(run, "closed", f"{version}: {outcome.replace('_', ' ')}", kind="closed", why=reason, evidence={"outcome": outcome})
    if phase is not None:
        for environment in BACKWARDS:
            await give_environment_up(await platform_of(phase.plan, environment), owner=run)
    service = phase.plan.service if phase else "unknown"
    await publish_record(run, service=service)
    if outcome != "deployed":
        await alert(phase.plan.notify if phase else [], service=service, version=version, outcome=outcome, reason=reason, run=run)
    await end_attempt(run, service=service, outcome=outcome)
    make = Completed if outcome == "deployed" else Failed
    return make(name=STATE_NAMES.get(outcome, "Failed"), message=reason)


async def end_watch(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Tell the keeper, once the final state is set, that this run needs it no more."""
    if flow_run.parent_task_run_id is None:
        await let_go(str(flow_run.id))


async def go_back(phase: Phase, *, version: str, ending: Ending) -> list[Result]:
    """Undo what this release moved: production first, then staging.

    The decision is recorded before the first step back, so that no restart goes forward again.

    Args:
        phase: The release, with its own id as the scope.
        version: The version to get away from.
        ending: Why.

    Returns:
        The result of each rollback, with its `environment`; empty where this release owned nothing.
    """
    found: list[Result] = []
    for environment in BACKWARDS:
        position = await read_position(await platform_of(phase.plan, environment))
        if position["owner"] != phase.owner:
            continue
        if environment == "staging" and phase.plan.staging.keep_on_failure:
            continue
        await tell(phase.owner, "going-back", f"{version} goes back", kind="rollback", why=ending.reason, evidence={"ending": ending.name})
        try:
            back = await _go_back_in(phase, environment, reason=ending.reason[:500] or "unknown", bad=version)
        except (Temporary, Superseded):
            raise  # the record stays open, so the keeper tries again; or somebody newer sees to it
        except Exception as error:  # noqa: BLE001 - one environment that cannot go back must not keep the other from it
            back = result("failed", f"{environment} could not be taken back: {type(error).__name__}: {error}")
        found.append({**back, "environment": environment})
    return found


async def _go_back_in(phase: Phase, environment: EnvironmentName, *, reason: str, bad: str) -> Result:
    """Roll one environment back in a child run.

    Prefect knows a child by its place among its siblings: where another environment's came first in an earlier attempt, it gives that one's
    result, and the way is gone here.
    """
    from flows.rollback import rollback, take_back  # noqa: PLC0415 - rollback, run alone, closes its own record through this module

    back: Any = await rollback(phase.path, environment=environment, reason=reason, bad=bad, release=phase.owner)
    if back["environment"] != environment:
        back = await take_back(phase, environment=environment, reason=reason, version="", bad=bad)
    return dict(back)


async def _plan_of(plan: str, run: str) -> Phase | None:
    """Take the release's plan, or None where it never had a readable one and so moved nothing."""
    try:
        return await begin_phase(plan, scope=run)
    except BadInput:
        return None
