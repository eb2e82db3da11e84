"""One keeper at a time: on a loaded machine keepers would pile up beside the rollbacks that they share a worker with."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from uuid import UUID

from blocks.server import deployed

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun
    from prefect.workers.base import BaseWorkerResult

    Start = Callable[..., Coroutine[Any, Any, BaseWorkerResult]]

KEEPER = "flows.keeper.keeper"
PATIENCE_SECONDS = 60.0  # after which the one at work counts as stuck, and no later one waits for it
LOG = logging.getLogger("shipway.worker")


def one_keeper(start: Start, *, skipped: Callable[[Any], BaseWorkerResult], clock: Callable[[], float] = time.monotonic) -> Start:
    """Wrap how a worker starts a run: a keeper gets no process while another one of this worker is at work, for a minute at most.

    The one at work sees the same runs, and the next one is due 20 seconds later.

    Args:
        start: Starts a run, and returns when its process has ended.
        skipped: Gives the result of a run without a process, from the task status.
        clock: Seconds that only rise.
    """
    began: dict[UUID, float] = {}

    async def run(flow_run: FlowRun, configuration: Any, task_status: Any = None) -> BaseWorkerResult:
        if deployed.known_entry_point(flow_run.deployment_id, urgent=True) != KEEPER:
            return await start(flow_run=flow_run, configuration=configuration, task_status=task_status)
        now = clock()
        if began and now - max(began.values()) < PATIENCE_SECONDS:
            await _cancel(flow_run)
            return skipped(task_status)
        began[flow_run.id] = now
        try:
            return await start(flow_run=flow_run, configuration=configuration, task_status=task_status)
        finally:
            began.pop(flow_run.id, None)

    return run


async def _cancel(flow_run: FlowRun) -> None:
    """End a run that is not needed; if that fails it stays Pending, and the next keeper ends it."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - prefect is slow to import
    from prefect.states import Cancelled  # noqa: PLC0415

    try:
        async with get_client() as client:
            await client.set_flow_run_state(flow_run.id, Cancelled(message="another keeper is at work"), force=True)
    except Exception:
        LOG.exception("%s: a keeper that is not needed could not be cancelled", flow_run.id)
