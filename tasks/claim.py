"""One release of a service at a time: a claim is a tag on a flow run, given out under a lock and kept until the release is closed.

It spans suspensions, crashes and machines, because it lives in the run history and not in a process.
"""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import UUID

from prefect import get_client, task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.concurrency.asyncio import concurrency
from prefect.exceptions import ObjectAlreadyExists

from tasks.policy import OBSERVE

OPEN = "shipway:open"
STOP = "shipway:stop"
LOCK_WAIT_SECONDS = 120


def claim_tag(service: str) -> str:
    """Name the tag that a service's one running release carries."""
    return f"claim:{service}"


@task(name="claim service", **OBSERVE)
async def claim_service(service: str, *, run: str) -> dict[str, Any]:
    """Claim a service for a run, unless another run holds it.

    Args:
        service: The service.
        run: Flow run id that asks.

    Returns:
        `granted`, and where it was not: `holder` (id) and `holder_name`.
    """
    name = f"shipway-claim-{service}"
    async with get_client() as client:
        with contextlib.suppress(ObjectAlreadyExists):  # somebody else asked for this service for the first time, too
            await client.upsert_global_concurrency_limit_by_name(name, limit=1)
        async with concurrency(name, strict=True, timeout_seconds=LOCK_WAIT_SECONDS):
            holders = [one for one in await tagged(client, claim_tag(service)) if str(one.id) != run]
            if holders:
                return {"granted": False, "holder": str(holders[0].id), "holder_name": holders[0].name}
            await change_tags(client, run, add={claim_tag(service)})
    return {"granted": True, "holder": run, "holder_name": ""}


@task(name="tell to stop", **OBSERVE)
async def tell_to_stop(service: str, *, by: str) -> list[str]:
    """Tell the service's open release that a rollback took over; it ends at its next step, a waiting one is woken by the keeper.

    Returns:
        The ids of the runs that were told.
    """
    async with get_client() as client:
        told = [str(one.id) for one in await tagged(client, claim_tag(service)) if str(one.id) != by]
        for run in told:
            await change_tags(client, run, add={STOP})
    return told


async def is_told_to_stop(run: str) -> bool:
    """Say whether a rollback told this run to end."""
    async with get_client() as client:
        return STOP in (await client.read_flow_run(UUID(run))).tags


async def tagged(client: PrefectClient, tag: str) -> list[FlowRun]:
    """List the runs with a tag, the oldest first."""
    chosen = FlowRunFilter(tags=FlowRunFilterTags(all_=[tag]))
    return await client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.START_TIME_ASC, limit=200)


async def change_tags(client: PrefectClient, run: str, *, add: set[str] | None = None, drop: set[str] | None = None) -> None:
    """Add and drop tags of a run, and write only where that changes something."""
    found = set((await client.read_flow_run(UUID(run))).tags)
    wanted = (found | (add or set())) - (drop or set())
    if wanted != found:
        await client.update_flow_run(UUID(run), tags=sorted(wanted))
