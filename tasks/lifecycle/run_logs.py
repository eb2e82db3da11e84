"""What a run and its phases logged, in the order of time, page after page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
    LogFilterTimestamp,
)
from prefect.client.schemas.objects import FlowRun, Log
from prefect.client.schemas.sorting import FlowRunSort, LogSort

PAGE = 200
MOST_RUNS = 2_000  # of a family; whoever has the API's password can make more


async def family_of(client: PrefectClient, run: FlowRun) -> dict[UUID, str]:
    """Give the names of a run and of all that it called, by their ids.

    Args:
        client: Of the server.
        run: The run.
    """
    found, parents = {run.id: run.name}, [run.id]
    while parents and len(found) < MOST_RUNS:
        chosen = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=parents))
        children = [one async for one in _runs(client, chosen) if one.id not in found]
        found |= {one.id: one.name for one in children}
        parents = [one.id for one in children]
    return found


async def _runs(client: PrefectClient, chosen: FlowRunFilter) -> AsyncIterator[FlowRun]:
    for offset in range(0, MOST_RUNS, PAGE):
        page = await client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.START_TIME_ASC, limit=PAGE, offset=offset)
        for one in page:
            yield one
        if len(page) < PAGE:
            return


async def read_lines(client: PrefectClient, runs: Collection[UUID], *, since: datetime | None = None) -> AsyncIterator[Log]:
    """Read the log lines of runs, the oldest first.

    Args:
        client: Of the server.
        runs: Their ids.
        since: From this moment on; None from the beginning.
    """
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=list(runs)), timestamp=LogFilterTimestamp(after_=since) if since else None)
    offset = 0
    while True:
        page = await client.read_logs(log_filter=chosen, sort=LogSort.TIMESTAMP_ASC, limit=PAGE, offset=offset)
        for line in page:
            yield line
        if len(page) < PAGE:
            return
        offset += PAGE
