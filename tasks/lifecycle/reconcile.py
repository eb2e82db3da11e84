"""What the keeper reads and does: every act is safe to repeat, and is made only while the run is still as it was seen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import State, get_client, task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import DeploymentFilter, FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter
from prefect.states import AwaitingRetry

from blocks.approvers.key_file import secret_name
from tasks.lifecycle.freezes import what_holds
from tasks.lifecycle.kept_runs import MARKED, care_of, count_start, keep_care, process_of, times_started
from tasks.lifecycle.lock import OPEN, must_stop
from tasks.lifecycle.policy import OBSERVE
from tasks.lifecycle.run_labels import HELD, PID, WAKE_AT, process_lives, run_lives, whatever_is_left
from tasks.rules.lifecycle.reconcile import AT_WORK, MOST_ATTEMPTS, Seen, is_known_dead, will_be_done

KEEPER = "keeper"
WORKER_TYPE = "prefect.worker.type"  # a label that workers write on what they start
KEPT_IDLE_RUNS = 20
MOST_ASKED = 3  # runs that settle one run, a minute
ROLLBACK = "shipway:rollback"
BEATING = {"RUNNING", "CANCELLING", "CRASHED"}


@task(name="start again", **OBSERVE)
async def start_again(
    run: str, *, state: str, reason: str, since: datetime | None = None, marked: datetime | None = None, counts: bool = True
) -> bool:
    """Let a run start again from its first line, where it is still in the state it was seen in.

    It is due when it was due at first, and so starts before every release that was requested since.

    Args:
        run: Flow run id.
        state: The type of that state.
        reason: Why, for its new state's message.
        since: When it entered that state: one that was put back to work meanwhile may be Running again, and is left alone.
        counts: Whether this is one of the few times that a run is started again; the end of a wait is not.
        marked: When its process was written on it, as it was seen: one that has written itself meanwhile is alive.

    Returns:
        Whether it was scheduled.
    """
    async with get_client() as client:
        found = await client.read_flow_run(UUID(run))
        if found.state is None or found.state.type.value != state or since not in (None, found.state.timestamp):
            return False
        if marked != await _marked(found) and state in BEATING:
            return False
        first_due = min(found.expected_start_time or datetime.now(UTC), datetime.now(UTC))
        again: State[Any] = AwaitingRetry(scheduled_time=first_due, message=f"keeper: {reason}")
        await count_start(run, counts=counts)
        await forget_gone(run)
        await client.set_flow_run_state(found.id, again, force=True)
        return True


@task(name="look for life", **OBSERVE)
async def lives(run: str) -> bool:
    """Say whether a process acts for a run, or might: a run that has not ended, and whose process is not known to be gone."""
    async with whatever_is_left(run) as (client, found):
        if found is None:
            return process_lives(await process_of(run)) is True
        alive = await run_lives(found)
        if alive and is_known_dead(await see(client, found), now=datetime.now(UTC)):
            return False
        ended = found.state is not None and (found.state.is_final() or found.state.is_paused())
        return alive is True or (alive is None and not ended)


@task(name="try again", **OBSERVE)
async def try_again(run: str, *, reason: str) -> bool:
    """Let a failed run start again, unless that was tried often.

    Returns:
        Whether it was scheduled.
    """
    async with whatever_is_left(run) as (client, found):
        if (
            found is None
            or found.state is None
            or not found.state.is_failed()
            or OPEN not in found.tags
            or max(found.run_count, await times_started(run)) >= MOST_ATTEMPTS
        ):
            return False
        if found.deployment_id is None:  # no worker would take it
            return False
        await count_start(run)  # one whose parameters are not valid fails before its first line, and before the server counts it
        await forget_gone(run)
        await client.set_flow_run_state(found.id, AwaitingRetry(message=reason), force=True)
        return True


@task(name="settle run", **OBSERVE)
async def settle_run(run: str, *, reason: str, cancelled: bool, alive: bool | None = None) -> None:
    """Start the flow that settles a run; asked again, it starts the next one a minute later, or once the one before has ended.

    The server makes no second run under one key, so others must not know it before: theirs would take the place of ours.

    Args:
        run: Flow run id.
        reason: Why.
        cancelled: Whether a person cancelled it.
        alive: Whether a process acts for it; if that cannot be known here, ten minutes go by, so that two do not chase each other.
    """
    async with get_client() as client:
        deployment = await client.read_deployment_by_name("settle/settle")
        parameters = {"run": run, "reason": f"keeper: {reason}", "cancelled": cancelled}
        minute = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M")[: None if alive is False else -1]
        for number in range(MOST_ASKED):
            key = await asyncio.to_thread(secret_name, f"settle-{run}-{minute}-{number}")
            found = await client.create_flow_run_from_deployment(deployment.id, parameters=parameters, idempotency_key=key)
            state, due = found.state_type, found.state.state_details.scheduled_time if found.state else None
            is_it = found.parameters.get("run") == run and found.deployment_id == deployment.id
            if is_it and state and will_be_done(state.value, due=due, now=datetime.now(UTC)):
                return


async def last_work(client: PrefectClient) -> datetime | None:
    """Read when the keeper last did its work: the end of its newest completed run (UTC), or None."""
    state: Any = {"type": {"any_": ["COMPLETED"]}}
    flow: Any = {"any_": [KEEPER]}
    runs = await client.read_flow_runs(
        flow_filter=FlowFilter(name=flow), flow_run_filter=FlowRunFilter(state=state), sort=FlowRunSort.END_TIME_DESC, limit=1
    )
    return runs[0].end_time if runs else None


@task(name="forget idle runs", **OBSERVE)
async def forget_idle_runs(*, busy: bool) -> int:
    """Delete the keeper's own older runs in which nothing was to be done, so that the history shows releases.

    Returns:
        How many were deleted.
    """
    context = FlowRunContext.get()
    me = context.flow_run if context else None
    if me is None or me.deployment_id is None:
        return 0
    async with get_client() as client:
        if busy:
            await client.update_flow_run(me.id, tags=sorted({*me.tags, "keeper:acted"}))
        chosen: Any = {"any_": [me.deployment_id]}
        runs = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state={"type": {"any_": ["COMPLETED", "CANCELLED"]}}),
            deployment_filter=DeploymentFilter(id=chosen),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=200,
        )
        idle = [run for run in runs if "keeper:acted" not in run.tags][KEPT_IDLE_RUNS:]
        for run in [*idle, *await _late(client, me.deployment_id)]:
            await client.delete_flow_run(run.id)
    return len(idle)


async def _late(client: PrefectClient, deployment: UUID) -> list[FlowRun]:
    """List the keeper's scheduled runs whose time has passed: this run did their work, and after an outage there are many."""
    chosen: Any = {"any_": [deployment]}
    state: Any = {"type": {"any_": ["SCHEDULED"]}}
    before: Any = {"before_": datetime.now(UTC)}
    return await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=state, expected_start_time=before), deployment_filter=DeploymentFilter(id=chosen), limit=200
    )


async def see(client: PrefectClient, run: FlowRun) -> Seen:
    """Read what the keeper's rule wants to know of a run, but for what its record says."""
    labels = dict(run.labels)
    state = run.state
    since = state.timestamp if state else datetime.now(UTC)
    alive = await run_lives(run)
    pauses = len((run.empirical_policy and run.empirical_policy.pause_keys) or ())
    return Seen(
        state=state.type.value if state else "PENDING",
        since=since,
        alive=alive,
        heard=await last_heartbeat(client, run.id) if alive is not True and state and state.type.value in BEATING else None,
        wake_at=moment_of(labels.get(WAKE_AT)),
        stop_requested=must_stop(run),
        attempts=max(run.run_count - pauses, await times_started(str(run.id))),  # each wait adds a start
        marked=await _marked(run),
        as_job=labels.get(WORKER_TYPE, "process") != "process",
        is_rollback=ROLLBACK in run.tags,
        due=run.state.state_details.scheduled_time if run.state else None,
        gone=await gone_since(str(run.id)) if state and state.type.value in AT_WORK else None,
        hold_changed=await _hold_changed(str(labels.get(HELD) or "")),
    )


async def gone_since(run: str) -> datetime | None:
    """Say when the keeper first saw a run at work whose process, as it is kept, is gone; None if it is not, or may not be."""
    process = await process_of(run)
    if not process or (process_lives(process) is not False and process.get(PID) != ""):
        return None
    known, marked = await care_of(run), str(process.get(MARKED))
    at = moment_of(known.get("gone_at")) if known.get("gone") == marked else None
    if at is None:
        at = datetime.now(UTC)
        await keep_care(run, gone=marked, gone_at=at.isoformat())
    return at


async def forget_gone(run: str) -> None:
    """Forget that a run's process is gone, as it gets a new one."""
    if "gone" in await care_of(run):
        await keep_care(run, gone="", gone_at="")


async def _hold_changed(held: str) -> bool:
    """Say if what held a run when it was suspended is not what holds its service now, as far as this machine knows."""
    service, _, then = held.partition(" ")
    return bool(then) and await asyncio.to_thread(what_holds, service) not in {then, ""}


async def last_heartbeat(client: PrefectClient, run: UUID) -> datetime | None:
    """Read when the process of a run was last heard of; its events stay when it is deleted."""
    wanted = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]), any_resource=EventAnyResourceFilter(id=[f"prefect.flow-run.{run}"])
    )
    page = await client.read_events(wanted, limit=1)
    return page.events[0].occurred if page.events else None


async def _marked(run: FlowRun) -> datetime | None:
    """Say when the process that acts for a run was written down."""
    return moment_of((await process_of(str(run.id)) or run.labels).get(MARKED))


def moment_of(text: Any) -> datetime | None:
    """Read a moment that a label names, in UTC; None if it names none, as one without a time zone."""
    try:
        found = datetime.fromisoformat(str(text)) if text else None
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None
