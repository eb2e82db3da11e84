"""How a release ends: back to what ran before unless it was deployed, then the record, then the locks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Failed

from blocks.errors import BadInput, ShipwayError, Superseded, Temporary
from blocks.outside_text import OutsideText, as_ending, as_reason, error_text
from flows.lifecycle.context import Phase, Result, acting_for, begin_phase, platform_of, result
from flows.rollout.migrations import stays_forward
from flows.rollout.revert import moved
from tasks.lifecycle.policy import as_temporary, quietly
from tasks.lifecycle.run_labels import end_attempt, let_go, mark_running
from tasks.notify import alert
from tasks.record.journal import append_entry, read_entries, say
from tasks.record.report import publish_record
from tasks.rollout.rollout import abort_canary, acquire_lease, read_position, release_lease
from tasks.rules.lifecycle.ending import STATE_NAMES, Ending, final_outcome
from tasks.rules.plan.targets import STAGING, environments_reversed, is_production, production_of, waves_reversed
from tasks.rules.record.entries import Entry, outcome_of, select
from tasks.rules.rollout.waves import left_alone, reached, staying

ONE_PRODUCTION = 2  # environments: staging, and production
MOST_SIBLINGS = 250  # twice as many as a plan has targets, and some


async def close(run: str, *, plan: str, version: str, ending: Ending, marked: bool = False) -> State[Any]:
    """Bring a release to its end; may be called again at any point, by another process too.

    Args:
        run: The release's flow run id.
        plan: Path of its plan.
        version: The version under release.
        ending: Why it ends.
        marked: Whether this process is marked already as the one that acts for the run.

    Returns:
        The state to end in.
    """
    with acting_for(run):
        if not marked:
            await mark_running(run)
        phase, late = await _plan_of(plan, run), None
        outcome, reason = await _end(phase, run, version=version, ending=ending)
        service = phase.plan.service if phase else "unknown"
        if outcome != "deployed":
            await alert(phase.plan.notify if phase else [], service=service, version=version, outcome=outcome, reason=reason, run=run)
        if phase is not None:
            late = await _give_all_up(phase, run)
        await _publish(run, service=service)
        if late is not None:
            raise late  # the keeper tries again
        await end_attempt(run, outcome=outcome)
    make = Completed if outcome == "deployed" else Failed
    return make(name=STATE_NAMES.get(outcome, "Failed"), message=reason)


async def _give_all_up(phase: Phase, run: str) -> Temporary | None:
    """Give every environment up; one that cannot be given up keeps no other from it. Gives the error of one that does not answer."""

    async def give_up(environment: str) -> Temporary | None:
        try:
            await quietly(release_lease, when=several)(await platform_of(phase.plan, environment), owner=run)
        except Exception as error:
            passing = as_temporary(error)
            if passing is not None:
                return passing
            if not isinstance(error, ShipwayError):
                raise
            say(f"{environment} could not be given up: {error_text(error)}; the next release has to take it over")
        return None

    environments = environments_reversed(phase.plan)
    several = len(environments) > ONE_PRODUCTION
    late = await asyncio.gather(*(give_up(environment) for environment in environments))
    return next((error for error in late if error is not None), None)


async def _end(phase: Phase | None, run: str, *, version: str, ending: Ending) -> tuple[str, OutsideText]:
    """Go back where that is due and close the record; a record that is closed stays so, but what it does not cover goes back."""
    entries = await read_entries(run)
    outcome: str = outcome_of(entries)
    forward = bool(entries) and entries[0].evidence.get("flow") != "rollback"
    due = phase is not None and forward and outcome != "deployed" and (outcome != "open" or ending.name != "deployed")
    back = await go_back(phase, version=version, ending=ending) if phase is not None and due else []
    if outcome != "open":
        return outcome, ending.reason
    stays = await _staying(phase) if phase and due else ()
    left = _left(phase, entries, back, stays, version=version) if phase and due else {}
    outcome, words = final_outcome(ending, moved_back=back, stays=stays, left=left)
    reason = as_ending(words)
    evidence: dict[str, Any] = {"outcome": outcome}
    if left:
        evidence["targets"] = left | {one["environment"]: str(one["reason"]) for one in back if is_production(one["environment"])}
    await append_entry(run, f"{version or 'The rollback'}: {outcome.replace('_', ' ')}", kind="closed", why=reason, evidence=evidence)
    return outcome, reason


async def _staying(phase: Phase) -> tuple[str, ...]:
    """Name the targets that keep the version although this release goes back: completed by its record, by the plan, and still its own."""
    names = [place.environment for place in production_of(phase.plan)]
    kept = staying(phase.plan, reached(await read_entries(phase.owner), "promote", names))
    ours = await asyncio.gather(*(_is_ours(phase, name) for name in kept))
    return tuple(name for name, yes in zip(kept, ours, strict=True) if yes)


async def _is_ours(phase: Phase, environment: str) -> bool:
    """Say whether a completed target still belongs to this release; one that cannot be read must keep no other from going back."""
    try:
        position = await (await platform_of(phase.plan, environment)).current()
    except Superseded:
        raise
    except ShipwayError:
        return True
    return position["owner"] == phase.owner


def _left(phase: Phase, entries: list[Entry], back: list[Result], stays: Sequence[str], *, version: str) -> dict[str, str]:
    """Say of each target that was not taken back what it ended on."""
    review = next(iter(select(entries, kind="review")), None)
    return left_alone(
        phase.plan,
        version,
        moved=[one["environment"] for one in back],
        stays=stays,
        begun=reached(entries, "prepare", [place.environment for place in production_of(phase.plan)]),
        before=review.evidence["current"] if review else {},
    )


async def _publish(run: str, *, service: str) -> None:
    """Publish the record; a storage or server that cannot take it holds no service up."""
    try:
        await publish_record(run, service=service)
    except Exception as error:  # noqa: BLE001 - the entries are safe, and `shipway report` makes the page again
        say(f"the record could not be published: {error_text(error)}; `shipway report {run}` makes it again")


async def end_watch(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Tell the keeper, once the final state is set, that this run needs it no more."""
    if flow_run.parent_task_run_id is None:
        await let_go(str(flow_run.id))


async def go_back(phase: Phase, *, version: str, ending: Ending) -> list[Result]:
    """Undo what this release moved: production first, its last target before the others, then staging; but what the plan keeps stays.

    The decision is recorded before the first step back, so that no restart goes forward again.

    Args:
        phase: The release, with its own id as the scope.
        version: The version to get away from.
        ending: Why.

    Returns:
        The result of each rollback, with its `environment`; empty where this release owned nothing.
    """
    found: list[Result] = []
    late: Temporary | None = None
    stays = await _staying(phase)
    for wave in (*waves_reversed(phase.plan), (STAGING,)):
        due = [name for name in wave if name not in stays and (name != STAGING or not (phase.plan.staging.keep_on_failure or stays))]
        try:
            found += await _send_back_or_again(phase, due, version=version, ending=ending)
        except Superseded:
            raise  # somebody newer sees to it
        except Exception as error:  # noqa: BLE001 - one environment that cannot go back must not keep the other from it
            passing = as_temporary(error)
            if passing is not None:  # it, or the server, does not answer now: nothing is known to have failed
                late = passing
                continue
            lost = f"could not be taken back: {error_text(error)}"
            found += [result("failed", f"{name} {lost}", environment=name) for name in due]
    if late is not None:
        raise late  # the record stays open, so the keeper tries again
    return found


async def _send_back_or_again(phase: Phase, environments: Sequence[str], *, version: str, ending: Ending) -> list[Result]:
    """Take environments back; several once more where that broke off for a reason that is none of theirs: who is back by then stays so."""
    try:
        return await _send_back(phase, environments, version=version, ending=ending)
    except ShipwayError:
        raise
    except Exception as error:
        if len(environments) == 1:
            raise
        say(f"the way back of {', '.join(environments)} broke off and is tried once more: {error_text(error)}")
    return await _send_back(phase, environments, version=version, ending=ending)


async def _send_back(phase: Phase, environments: Sequence[str], *, version: str, ending: Ending) -> list[Result]:
    """Take back what this release moved of some environments, side by side; gives the result of each.

    Of several, one that does not answer at once may have been moved: the way back of the others does not wait to know.
    """
    several = len(environments) > 1
    found = await asyncio.gather(*(moved(phase, name, version=version, at_once=several) for name in environments))
    due = [name for name, yes in zip(environments, found, strict=True) if yes]
    if not due:
        return []
    decided = {"ending": ending.name}
    await phase.append(f"{version} is rolled back", kind="rollback", name="decision", why=ending.reason, evidence=decided)
    if due == [STAGING] and await stays_forward(phase, STAGING):
        await _take_canary_away(phase, STAGING)
        return []
    back = await _go_back_in(phase, due, several=several, reason=as_reason(ending.reason), bad=version)
    return list(back["each"]) if several else [back]


async def _take_canary_away(phase: Phase, environment: str) -> None:
    """Take away what was half-way brought in where nothing else goes back: it would hold the next release up."""
    platform = await platform_of(phase.plan, environment)
    if (await read_position(platform))["canary"] is not None:
        await abort_canary(platform, lease=await acquire_lease(platform, owner=phase.owner))


async def _go_back_in(phase: Phase, environments: Sequence[str], *, several: bool, reason: OutsideText, bad: str) -> Result:
    """Roll an environment back in a child run, or several side by side in one.

    Prefect knows a child by its place among its siblings: where another environment's came first in an earlier attempt, it gives that one's
    result. Then the next sibling is asked for, until one is this environment's, or a new one.
    """
    from flows.rollback import rollback  # noqa: PLC0415 - rollback, run alone, closes its own record through this module

    name = ",".join(environments)
    where: dict[str, Any] = {"wave": list(environments)} if several else {"environment": name}
    for _ in range(MOST_SIBLINGS):
        back: Any = await rollback(phase.path, reason=reason, bad=bad, release=phase.owner, **where)
        if back["environment"] == name and ("each" in back) == several:
            return dict(back)
    raise Temporary(f"{MOST_SIBLINGS} children were asked for, and none took {name} back")


async def _plan_of(plan: str, run: str) -> Phase | None:
    """Take the release's plan, or None where it never had a readable one and so moved nothing."""
    try:
        return await begin_phase(plan, scope=run)
    except BadInput:
        return None
