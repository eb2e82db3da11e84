"""Runs that hold a process, or should, and have no record that the keeper could settle: they end when their process died."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from prefect import get_client, task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import AwaitingRetry, Cancelled, Crashed

from tasks.lifecycle.apart import apart
from tasks.lifecycle.lock import OPEN
from tasks.lifecycle.retries import OBSERVE
from tasks.lifecycle.run_labels import run_lives
from tasks.lifecycle.schedule import CANDIDATE, expected_at, latest_of_candidate
from tasks.lifecycle.seeing import see
from tasks.rules.lifecycle.reconcile import chooses_again, decide_stray

MOST_CRASHED = 20  # choices of a candidate that died, the newest ones, of which most are over
LONGEST_CHOICE = timedelta(days=8)  # a day more than `within_minutes` may say


@dataclass(frozen=True)
class Stray:
    """A run that holds a process, or should, and has no record that the keeper could settle.

    Fields:
        run: It.
        flow: Its flow's name; the run itself has a random one until it begins.
        since: When it entered its state (UTC).
    """

    run: FlowRun
    flow: str
    since: datetime

    @property
    def name(self) -> str:
        """Name the run with its flow."""
        return self.run.name if self.flow in self.run.name else f"{self.flow} {self.run.name}"


@task(name="end strays", **OBSERVE)
async def end_strays() -> list[str]:
    """End runs without a record of their own whose process died: nothing else would, and `shipway down` would wait for them for ever.

    Returns:
        The names of those that were ended.
    """
    async with get_client() as client:
        now = datetime.now(UTC)
        ended = list[str]()
        for stray in await strays(client):
            with apart(f"the run {stray.run.id}"):
                care = decide_stray(await see(client, stray.run), now=now)
                if care.act == "end" and await _end_stray(client, stray.run, reason=care.reason):
                    ended.append(stray.name)
        return ended


@task(name="choose again", **OBSERVE)
async def choose_again() -> list[str]:
    """Start each choice of a candidate again whose process died, while its release may still begin: else what waits would not go out.

    It asks for one release, however often it is started.

    Returns:
        The names of those that were started again.
    """
    async with get_client() as client:
        now, started = datetime.now(UTC), list[str]()
        for run in await _crashed_choices(client, since=now - LONGEST_CHOICE):
            with apart(f"the run {run.id}"):
                if run.state is None or run.deployment_id is None or await run_lives(run) is True:
                    continue
                crashes = [state for state in await client.read_flow_run_states(run.id) if state.is_crashed()]
                if chooses_again(run.state.timestamp, latest_of_candidate(run), crashes=len(crashes), now=now):
                    again: Any = AwaitingRetry(scheduled_time=expected_at(run) or now, message="keeper: its process died while it chose")
                    if await _is_as_seen(client, run):
                        await client.set_flow_run_state(run.id, again, force=True)
                        started.append(run.name)
        return started


async def _crashed_choices(client: PrefectClient, *, since: datetime) -> list[FlowRun]:
    chosen: Any = {"state": {"type": {"any_": ["CRASHED"]}}, "expected_start_time": {"after_": since}, "tags": {"all_": ["shipway"]}}
    return await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[CANDIDATE])),
        flow_run_filter=FlowRunFilter(**chosen),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=MOST_CRASHED,
    )


async def end_those_of_before(client: PrefectClient, *, before: datetime) -> list[str]:
    """End the stray runs of an earlier life of this server stack: all its processes were gone at a moment.

    Args:
        client: Of the server.
        before: That moment (UTC); a run that changed since is left alone.

    Returns:
        The names of those that were ended.
    """
    found = [stray for stray in await strays(client) if stray.since < before and await run_lives(stray.run) is not True]
    return [stray.name for stray in found if await _end_stray(client, stray.run, reason="it was under way when Shipway was stopped")]


async def strays(client: PrefectClient) -> list[Stray]:
    """List the runs of our deployments that hold a process, or should, and have no record that the keeper could settle."""
    chosen: Any = {
        "tags": {"all_": ["shipway"]},
        "state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}},
        "parent_task_run_id": {"is_null_": True},
    }
    found = await client.read_flow_runs(flow_run_filter=FlowRunFilter(**chosen), sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=200)
    flows = await client.read_flows(flow_filter=FlowFilter(id=cast("Any", {"any_": list({run.flow_id for run in found})}))) if found else []
    names = {flow.id: flow.name for flow in flows}
    return [Stray(run, names.get(run.flow_id, "?"), run.state.timestamp) for run in found if OPEN not in run.tags and run.state]


async def cancel_stray(client: PrefectClient, run: FlowRun) -> str | None:
    """Cancel a run without a record that was handed out and holds no process here: nothing else would carry the order out.

    Returns:
        Its name; None if it is another kind of run.
    """
    found = next((stray for stray in await strays(client) if stray.run.id == run.id and stray.run.state_type is StateType.PENDING), None)
    if found is None or await run_lives(found.run) is True:
        return None
    await client.set_flow_run_state(run.id, Cancelled(message="cancelled in the terminal"), force=True)
    return found.name


async def _end_stray(client: PrefectClient, run: FlowRun, *, reason: str) -> bool:
    """End a run if its state is still the one that was seen."""
    if run.state is None or not await _is_as_seen(client, run):
        return False
    make = Cancelled if run.state.is_cancelling() else Crashed
    await client.set_flow_run_state(run.id, make(message=f"{reason}; start it again if it is still wanted"), force=True)
    return True


async def _is_as_seen(client: PrefectClient, run: FlowRun) -> bool:
    """Say if a run's state is still the one that was seen: people may have started it again meanwhile."""
    found = await client.read_flow_run(run.id)
    return found.state is not None and run.state is not None and found.state.id == run.state.id
