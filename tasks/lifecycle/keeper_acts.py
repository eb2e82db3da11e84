"""What the keeper does: every act is safe to repeat, and is made only while the run is still as it was seen.

Open runs are found in tasks/record/open_runs.py, what each needs is decided in tasks/rules/lifecycle/reconcile.py, and flows/keeper.py goes
through them.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import State, get_client, task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import DeploymentFilter, FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.states import AwaitingRetry

from blocks.errors import Refused
from blocks.key_folder.key_file import key_path
from blocks.outside_text import error_text
from blocks.server import keeper_watch
from tasks.lifecycle.asking import ask_for_run
from tasks.lifecycle.kept_runs import count_start, times_started
from tasks.lifecycle.lock import OPEN
from tasks.lifecycle.retries import OBSERVE
from tasks.lifecycle.run_labels import whatever_is_left
from tasks.lifecycle.seeing import BEATING, forget_gone, marked_at, see, see_deleted
from tasks.lifecycle.servers import note_server
from tasks.rules.lifecycle.reconcile import MOST_ATTEMPTS, may_live

KEEPER = keeper_watch.FLOW
KEPT_IDLE_RUNS = 20
MOST_ASKED = 3  # runs that settle one run, a minute


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
        if marked != await marked_at(found) and state in BEATING:
            return False
        first_due = min(found.expected_start_time or datetime.now(UTC), datetime.now(UTC))
        again: State[Any] = AwaitingRetry(scheduled_time=first_due, message=f"keeper: {reason}")
        await count_start(run, counts=counts)
        await forget_gone(run)
        await client.set_flow_run_state(found.id, again, force=True)
        return True


@task(name="look for life", **OBSERVE)
async def lives(run: str) -> bool:
    """Say whether a process acts for a run, or may, by the same rule as the keeper's."""
    async with whatever_is_left(run) as (client, found):
        seen = await see_deleted(client, run) if found is None else await see(client, found)
        return may_live(seen, now=datetime.now(UTC))


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
            key = f"settle-{run}-{minute}-{number}"
            if (await ask_for_run(client, deployment.id, parameters, key=key, names=["run"], at=datetime.now(UTC)))[1]:
                return


@task(name="note work", **OBSERVE)
async def note_work() -> None:
    """Note beside the key that the keeper did its work, and which server it is of."""
    try:
        await asyncio.to_thread(keeper_watch.note_work, datetime.now(UTC).timestamp())
        await note_server()
    except (Refused, OSError) as error:
        logging.getLogger("shipway").error("the keeper's work could not be noted beside the key: %s", error_text(error))  # noqa: TRY400


async def last_work(client: PrefectClient) -> tuple[datetime | None, bool]:
    """Read when the keeper last did its work, by what lies beside the key.

    Returns:
        When (UTC), or None if it never did; and whether only the server says so, as the key is not here: by its newest completed run.
    """
    if key_path().exists():
        noted = await asyncio.to_thread(keeper_watch.noted_work, key_path())
        return None if noted is None else datetime.fromtimestamp(noted, UTC), False
    state: Any = {"type": {"any_": ["COMPLETED"]}}
    flow: Any = {"any_": [KEEPER]}
    runs = await client.read_flow_runs(
        flow_filter=FlowFilter(name=flow), flow_run_filter=FlowRunFilter(state=state), sort=FlowRunSort.END_TIME_DESC, limit=1
    )
    return runs[0].end_time if runs else None, True


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
