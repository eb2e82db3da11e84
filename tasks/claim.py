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
    """Tell the service's open releases that a rollback took over; they end at their next step, waiting ones are woken by the keeper.

    The label is what counts: the server merges labels in one step, while two writers of tags can undo each other.

    Returns:
        The ids of the runs that were told, the one that holds the claim first.
    """
    async with get_client() as client:
        under_way = [*await tagged(client, claim_tag(service)), *await tagged(client, f"service:{service}", OPEN)]
        told = [run for run in {str(one.id): one for one in under_way if "shipway:rollback" not in one.tags} if run != by]
        for run in told:
            await client.update_flow_run_labels(UUID(run), {STOP: by})
            await change_tags(client, run, add={STOP})
    return told


async def is_told_to_stop(run: str) -> bool:
    """Say whether a rollback told this run to end."""
    async with get_client() as client:
        return must_stop(await client.read_flow_run(UUID(run)))


def must_stop(run: FlowRun) -> bool:
    """Say whether a run carries the order to end."""
    return STOP in run.tags or bool((run.labels or {}).get(STOP))


async def tagged(client: PrefectClient, *tags: str) -> list[FlowRun]:
    """List the runs with all of these tags, the oldest first."""
    chosen = FlowRunFilter(tags=FlowRunFilterTags(all_=list(tags)))
    return await client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.START_TIME_ASC, limit=200)


async def change_tags(client: PrefectClient, run: str, *, add: set[str] | None = None, drop: set[str] | None = None) -> None:
    """Add and drop tags of a run, and write only where that changes something."""
    found = set((await client.read_flow_run(UUID(run))).tags)
    wanted = (found | (add or set())) - (drop or set())
    if wanted != found:
        await client.update_flow_run(UUID(run), tags=sorted(wanted))
