"""How a release ends, from top to bottom: rolled back unless it was deployed, then its record is closed, then its locks are released.

It may be called again at any point, by another process too: what is done is recorded, and what is not done converges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Failed

from blocks.errors import BadInput, Refused, ShipwayError, Superseded, Tampered, Temporary
from blocks.outside_text import OutsideText, as_ending, as_reason, error_text
from flows.lifecycle.acting import acting_for
from flows.lifecycle.closing import close_record, ending_while_closing, is_ours
from flows.lifecycle.context import Phase, begin_phase, platform_of
from flows.lifecycle.deployments import note_deployment_ends
from flows.lifecycle.observed import observe_deployed
from flows.lifecycle.publishing import publish
from flows.rollout.migrations import stays_forward
from flows.rollout.moved import was_moved
from flows.rollout.revert import roll_back_moved, tell_failed
from tasks.evidence.begun import forget_begun
from tasks.lifecycle.retries import as_temporary, named, retried
from tasks.lifecycle.run_labels import end_attempt, let_go, mark_running
from tasks.notify import alert
from tasks.notify.traces import note_trace
from tasks.record.deployed import keep_deployed
from tasks.record.journal import closing_entry, read_entries, read_entry, say
from tasks.record.kept_times import measure_times
from tasks.record.without_key import rolling_back
from tasks.rollout.rollout import abort_canary, acquire_lease, read_position, release_lease
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.ending import QUIET, STATE_NAMES, Ending, final_outcome
from tasks.rules.lifecycle.results import RollbackResult
from tasks.rules.plan.targets import STAGING, environments_reversed, is_production, production_of, waves_reversed
from tasks.rules.record.asked import as_opened
from tasks.rules.record.entries import Entry, outcome_of, select
from tasks.rules.rollout.left_out import with_hosts
from tasks.rules.rollout.waves import deployed_to, left_alone, reached, staying


async def finalize(run: str, *, plan: str, version: str, ending: Ending, marked: bool = False, on_demand: bool = False) -> State[Any]:
    """Bring a release to its end.

    Args:
        run: The release's flow run id.
        plan: Path of its plan; both are as the record was opened with them, if it can be read.
        version: The version under release.
        ending: Why it ends.
        marked: Whether this process is marked already as the one that acts for the run.
        on_demand: Whether the run is a rollback on demand, which is not rolled back itself; known from the run, not from its record.

    Returns:
        The state to end in.

    Raises:
        Temporary: A platform does not answer; the keeper tries again.
    """
    with rolling_back():
        plan, version = as_opened(await read_entry(run, "opened"), plan=plan, version=version)
        ending = await ending_while_closing(run, ending, owns=partial(_owns_production, plan, run))
    with acting_for(run), rolling_back(on=ending.name != "deployed"):
        if not marked:
            await retried(mark_running)(run)
        phase, late = await phase_to_end(plan, run), None
        outcome, reason = await _close_record(phase, run, version=version, ending=ending, on_demand=on_demand)
        if phase and outcome == "deployed":
            await measure_times(phase.plan, run=run)
        service = phase.plan.service if phase else "unknown"
        if phase is not None:
            late = await release_leases(phase, run, environments_reversed(phase.plan))
        if outcome != "skipped":  # once all is done that others wait for: a receiver may take its time
            told = phase.plan.notify if phase else []
            await alert(told, service=service, version=version, outcome=outcome, reason=reason, run=run, is_rollback=on_demand)
        await publish(phase, run, service=service)
        if late is not None:
            raise late
        await note_trace(run)
        await note_deployment_ends(phase, run, outcome=outcome, on_demand=on_demand)
        await retried(end_attempt)(run, outcome=outcome)
        await forget_begun(run)
    make = Completed if outcome in QUIET else Failed
    return make(name=STATE_NAMES.get(outcome, "Failed"), message=reason)


async def phase_to_end(plan: str, run: str) -> Phase | None:
    """Take the release's plan, or None if it never had a readable one and so moved nothing.

    If the remembered plan was changed by others, or cannot be read without the key, the file says where to look: only what this release
    owns is rolled back.
    """
    try:
        try:
            return await begin_phase(plan, scope=run)
        except (Refused, Tampered) as error:
            say(f"{error_text(error)}. It is rolled back by the plan file as it is now")
            return await begin_phase(plan, scope=run, anew=True)
    except BadInput as error:
        entries = await read_entries(run)
        if outcome_of(entries) == "open" and select(entries, kind="effect"):
            raise Temporary(
                f"this release moved something, and its plan cannot be read: {error_text(error)}. Restore the plan file"
            ) from error
        return None


async def _close_record(phase: Phase | None, run: str, *, version: str, ending: Ending, on_demand: bool = False) -> tuple[str, OutsideText]:
    """Roll back what is due and close the record; a closed record stays as it is, but what it does not cover is rolled back.

    A record of which nothing can be trusted keeps no version where it is: the platforms say what the release owns and moved.

    Raises:
        Temporary: The record is closed, and the storage does not say how; or it cannot be closed now.
    """
    await closing_entry(run)
    entries = await read_entries(run)
    outcome: str = outcome_of(entries)
    if not entries and not on_demand:
        say(f"nothing in the record of {run} can be trusted; the platforms decide what it moved, and that is rolled back")
    due = not on_demand and outcome != "deployed" and (outcome != "open" or ending.name != "deployed")
    back = await roll_back_release(phase, version=version, ending=ending) if phase and due else {}
    if outcome != "open":
        await _keep_version(phase, run, entries, version=version, outcome=outcome)  # its process may have ended right before
        return outcome, as_ending(with_hosts(ending.reason, entries, outcome=outcome, stays=()))
    stays = await _staying(phase) if phase and due else ()
    left = _left_alone(phase, entries, back, stays, version=version) if phase and due else {}
    outcome, words = final_outcome(ending, rolled_back=list(back.values()), stays=stays, left=left)
    reason = as_ending(with_hosts(words, entries, outcome=outcome, stays=stays))
    if phase and outcome == "deployed":
        await keep_deployed(run, entries, service=phase.plan.service, version=version)
    targets = left | {name: one.reason for name, one in back.items() if is_production(name)}
    evidence = {"targets": targets} if left else {}
    await close_record(phase, run, version=version, outcome=outcome, reason=reason, evidence=evidence, on_demand=on_demand)
    await _keep_version(phase, run, entries, version=version, outcome=outcome)
    return outcome, reason


async def _keep_version(phase: Phase | None, run: str, entries: Sequence[Entry], *, version: str, outcome: str) -> None:
    """Keep beside the key that a closed record says `deployed`: a rollback returns to the version although the storage is away.

    From then on the version is observed, if the plan says so.
    """
    if phase and outcome == "deployed":
        await keep_deployed(run, entries, service=phase.plan.service, version=version, closed=True)
        await observe_deployed(phase, run, entries, version=version)


async def roll_back_release(phase: Phase, *, version: str, ending: Ending) -> dict[str, RollbackResult]:
    """Roll back what this release moved: the last wave first, then staging; but what the plan keeps stays.

    The decision is recorded before the first step, so that no restart goes forward again.

    Args:
        phase: The release, with its own id as the scope.
        version: The version to get rid of.
        ending: Why.

    Returns:
        The result of each rollback, by environment; empty if this release owned nothing.

    Raises:
        Superseded: A newer run sees to it.
        Temporary: One does not answer; all others are rolled back, and the record stays open for another try.
    """
    found: dict[str, RollbackResult] = {}
    late: Temporary | None = None
    stays = await _staying(phase)
    for wave in (*waves_reversed(phase.plan), (STAGING,)):
        due = [name for name in wave if name not in stays and (name != STAGING or not (phase.plan.staging.keep_on_failure or stays))]
        try:
            found |= await roll_back_or_again(phase, due, version=version, ending=ending)
        except Superseded:
            raise
        except Exception as error:  # noqa: BLE001 - one environment that cannot be rolled back must not keep the other from it
            passing = as_temporary(error)
            if passing is not None:  # it, or the server, does not answer now: it is not known whether anything failed
                late = passing
                continue
            found |= {name: not_rolled_back(name, error) for name in due}
        await tell_failed(phase, found.values(), waits=False)
    await tell_failed(phase, found.values())
    if late is not None:
        raise late
    return found


def not_rolled_back(environment: str, error: Exception) -> RollbackResult:
    """Say that an environment could not be rolled back."""
    reason = as_ending(f"{environment} could not be rolled back: {error_text(error)}")
    return RollbackResult(outcome=Outcome.FAILED, reason=reason, environment=environment, version=None)


async def _staying(phase: Phase) -> tuple[str, ...]:
    """Name the targets that keep the version although this release is rolled back: completed, kept by the plan, and still its own."""
    names = [place.environment for place in production_of(phase.plan)]
    kept = staying(phase.plan, reached(await read_entries(phase.owner), "promote", names))
    ours = await asyncio.gather(*(is_ours(phase, name) for name in kept))
    return tuple(name for name, yes in zip(kept, ours, strict=True) if yes)


async def _owns_production(plan: str, run: str) -> bool:
    """Say whether what this run deployed to in production still belongs to it, also where that cannot be read."""
    with acting_for(run):
        phase, opened = await phase_to_end(plan, run), await read_entry(run, "opened")
        names = deployed_to(phase.plan, opened.evidence if opened else {}) if phase else []
        return phase is None or all(await asyncio.gather(*(is_ours(phase, name) for name in names)))


async def roll_back_or_again(phase: Phase, environments: Sequence[str], *, version: str, ending: Ending) -> dict[str, RollbackResult]:
    """Roll a wave back; once more if that broke off for a reason that is none of ours: what is rolled back by then stays so.

    The second time no child run is asked for: the server makes none for a run that was deleted, and the rollback needs none.
    """
    try:
        return await _roll_back_wave(phase, environments, version=version, ending=ending)
    except ShipwayError:
        raise
    except Exception as error:  # noqa: BLE001 - as of the machine or the server
        say(f"the rollback of {', '.join(environments)} broke off and is tried once more: {error_text(error)}")
    return await _roll_back_wave(phase, environments, version=version, ending=ending, as_child=False)


async def _roll_back_wave(
    phase: Phase, environments: Sequence[str], *, version: str, ending: Ending, as_child: bool = True
) -> dict[str, RollbackResult]:
    """Roll back what this release moved of a wave side by side, in a child run if that can be made."""
    moved = await asyncio.gather(*(was_moved(phase, name, version=version) for name in environments))
    due = [name for name, yes in zip(environments, moved, strict=True) if yes is not False]
    if not due:
        return {}
    known = f"{version} is rolled back" if any(moved) else f"{version} is rolled back where it moved anything"
    silent = ", ".join(name for name, yes in zip(environments, moved, strict=True) if yes is None)
    what = f"{known}; {silent} did not answer when asked whether it was moved" if silent else known
    await phase.append(what, kind="rollback", name="decision", why=ending.reason, evidence={"ending": ending.name})
    if due == [STAGING] and await stays_forward(phase, STAGING):
        await _remove_canary(phase, STAGING)
        return {}
    reason = as_reason(ending.reason)
    undo = roll_back_moved if as_child else roll_back_moved.fn
    back: Any = await undo(phase.path, phase.owner, due, version=version, reason=reason)
    return dict(back)


async def _remove_canary(phase: Phase, environment: str) -> None:
    """Abort a canary that was left half-way where nothing else is rolled back: it would hold the next release up."""
    platform = await platform_of(phase.plan, environment)
    if (await retried(read_position)(platform))["canary"] is not None:
        await named(abort_canary, f"abort the canary in {environment}")(
            platform, lease=await retried(acquire_lease)(platform, owner=phase.owner)
        )


def _left_alone(
    phase: Phase, entries: list[Entry], back: dict[str, RollbackResult], stays: Sequence[str], *, version: str
) -> dict[str, str]:
    """Say of each target that was not rolled back what it ended on."""
    review = next(iter(select(entries, kind="review")), None)
    return left_alone(
        phase.plan,
        version,
        moved=list(back),
        stays=stays,
        begun=reached(entries, "prepare", [place.environment for place in production_of(phase.plan)]),
        before=review.evidence["current"] if review else {},
    )


async def release_leases(phase: Phase, run: str, environments: Sequence[str]) -> Exception | None:
    """Release the leases of environments; one that fails keeps no other from it. Gives the error that is to be raised."""

    async def release(environment: str) -> Exception | None:
        try:
            await retried(release_lease)(await platform_of(phase.plan, environment), owner=run)
        except Exception as error:  # noqa: BLE001 - it is raised once the others are released
            passing = as_temporary(error)
            if passing is not None or not isinstance(error, ShipwayError):
                return passing or error
            say(f"the lease of {environment} could not be released: {error_text(error)}; the next release has to take it over")
        return None

    with rolling_back():  # by what is kept: the lease is where this release acquired it, whatever its block says now
        late = await asyncio.gather(*map(release, environments))
    return next((error for error in late if error is not None), None)


async def end_watch(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Tell the keeper, once the final state is set, that this run needs it no more."""
    if flow_run.parent_task_run_id is None:
        await retried(let_go)(str(flow_run.id))
