"""How a release ends: back to what ran before unless it was deployed, then the record, then the claims."""

from __future__ import annotations

from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Failed

from flows.migrations import stays_forward
from flows.phase import Phase, Result, acting_for, begin_phase, platform_of, result
from tasks.attempt import end_attempt, let_go, mark_running
from tasks.notify import alert
from tasks.report import publish_record
from tasks.rollout import give_environment_up, read_position
from tasks.rules.ending import STATE_NAMES, Ending, final_outcome
from tasks.rules.errors import BadInput, Superseded, Temporary
from tasks.rules.record import outcome_of
from tasks.rules.request import EnvironmentName
from tasks.story import recall, recall_all, say, tell

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
    with acting_for(run):
        await mark_running(run)
        phase = await _plan_of(plan, run)
        outcome, reason = await _end(phase, run, version=version, ending=ending)
        service = phase.plan.service if phase else "unknown"
        if outcome != "deployed":
            await alert(phase.plan.notify if phase else [], service=service, version=version, outcome=outcome, reason=reason, run=run)
        if phase is not None:
            for environment in BACKWARDS:
                await give_environment_up(await platform_of(phase.plan, environment), owner=run)
        await _publish(run, service=service)
        await end_attempt(run, outcome=outcome)
    make = Completed if outcome == "deployed" else Failed
    return make(name=STATE_NAMES.get(outcome, "Failed"), message=reason)


async def _end(phase: Phase | None, run: str, *, version: str, ending: Ending) -> tuple[str, str]:
    """Go back where that is due and close the record; a record that is closed stays so, but what it does not cover goes back."""
    entries = await recall_all(run)
    outcome: str = outcome_of(entries)
    forward = bool(entries) and entries[0].evidence.get("flow") != "rollback"
    due = phase is not None and forward and outcome != "deployed" and (outcome != "open" or ending.name != "deployed")
    back = await go_back(phase, version=version, ending=ending) if phase is not None and due else []
    if outcome != "open":
        return outcome, ending.reason
    outcome, reason = final_outcome(ending, moved_back=back)
    await tell(
        run, "closed", f"{version or 'The rollback'}: {outcome.replace('_', ' ')}", kind="closed", why=reason, evidence={"outcome": outcome}
    )
    return outcome, reason


async def _publish(run: str, *, service: str) -> None:
    """Publish the record; a storage or server that cannot take it holds no service up."""
    try:
        await publish_record(run, service=service)
    except Exception as error:  # noqa: BLE001 - the entries are safe, and `shipway report` makes the page again
        say(f"the record could not be published: {type(error).__name__}: {error}; `shipway report {run}` makes it again")


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
        if environment == "staging" and phase.plan.staging.keep_on_failure:
            continue
        try:
            if not await _moved(phase, environment, version=version):
                continue
            decided = {"ending": ending.name}
            await tell(phase.owner, "going-back", f"{version} goes back", kind="rollback", why=ending.reason, evidence=decided)
            if environment == "staging" and await stays_forward(phase, environment):
                continue
            back = await _go_back_in(phase, environment, reason=ending.reason[:500] or "unknown", bad=version)
        except (Temporary, Superseded):
            raise  # the record stays open, so the keeper tries again; or somebody newer sees to it
        except Exception as error:  # noqa: BLE001 - one environment that cannot go back must not keep the other from it
            back = result("failed", f"{environment} could not be taken back: {type(error).__name__}: {error}")
        found.append({**back, "environment": environment})
    return found


async def _moved(phase: Phase, environment: EnvironmentName, *, version: str) -> bool:
    """Say whether this release may have moved an environment: it owns it, and the version did not serve there before."""
    position = await read_position(await platform_of(phase.plan, environment))
    if position["owner"] != phase.owner:
        return False
    review = await recall(phase.owner, "review")
    before = review.evidence["current"].get(environment) if review else None
    return before != version or position["canary"] is not None


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
