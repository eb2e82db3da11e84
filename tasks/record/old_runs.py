"""Old runs of Prefect and their artifacts: of our own deployments alone, as another team's runs may be on the same server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    ArtifactCollectionFilter,
    ArtifactCollectionFilterLatestId,
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import Artifact, ArtifactCollection, FlowRun
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort
from prefect.exceptions import ObjectNotFound

from blocks.server import deployed
from tasks.lifecycle.kept_runs import RUN
from tasks.lifecycle.lock import OPEN, tagged
from tasks.record.needed import Needed
from tasks.rules.lifecycle.retention import Item, Retention

PAGE = 100
DEEPEST = 10  # levels of phases; ours have two
ENDED = ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"]
T = TypeVar("T")
EVER = datetime.min.replace(tzinfo=UTC)


async def oldest_open(client: PrefectClient, kept: Collection[str]) -> datetime | None:
    """Say when the oldest open run was made; the beginning of time if one of them cannot be dated, so that nothing is removed then.

    Args:
        client: Of the server.
        kept: The runs that are open by what is kept beside the key.
    """
    made = [run.created for run in await tagged(client, OPEN)]
    for name in sorted(kept):
        try:
            made.append((await client.read_flow_run(UUID(name))).created if RUN.fullmatch(name) else None)
        except (ObjectNotFound, ValueError):
            made.append(None)
    return min((at or EVER for at in made), default=None)


async def old_runs(client: PrefectClient, rules: Retention, needed: Needed, *, now: datetime) -> list[Item]:
    """List the ended runs of our deployments that may be removed, with their phases and artifacts: what is below a run comes before it.

    Args:
        client: Of the server.
        rules: How long things are kept.
        needed: What stays whatever its age.
        now: Now.
    """
    days = [one for one in (rules.runs_days, rules.artifacts_days) if one is not None]
    if not days:
        return []
    items = list[Item]()
    async for runs in _ended(client, before=now - timedelta(days=min(days))):
        for run in runs:
            below, is_whole = await _below(client, run.id)
            items += await _of_family(client, [*below, run], rules, needed, is_whole=is_whole)
    return items


async def remove_run(client: PrefectClient, run: str) -> None:
    """Remove a run; that there is none is fine."""
    with suppress(ObjectNotFound):
        await client.delete_flow_run(UUID(run))


async def remove_artifact(client: PrefectClient, artifact: str) -> None:
    """Remove an artifact; that there is none is fine."""
    with suppress(ObjectNotFound):
        await client.delete_artifact(UUID(artifact))


async def _ended(client: PrefectClient, *, before: datetime) -> AsyncIterator[list[FlowRun]]:
    """Read the runs of our deployments that ended before a moment, the oldest first; whoever removes some of them does so afterwards."""
    ours = [UUID(one) for one in await asyncio.to_thread(deployed.known)]
    chosen: Any = {"state": {"type": {"any_": ENDED}}, "end_time": {"before_": before}, "deployment_id": {"any_": ours}}
    offset = 0
    while ours:
        found = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(**chosen), sort=FlowRunSort.START_TIME_ASC, limit=PAGE, offset=offset
        )
        if found:
            yield found
        if len(found) < PAGE:
            return
        offset += PAGE


async def _below(client: PrefectClient, top: UUID) -> tuple[list[FlowRun], bool]:
    """List the phases of a run, and theirs, the lowest first, and say if that is all.

    It is not if one is named twice or they go too deep: which run another one is below is a field that anyone with the API's password sets.
    """
    below, seen, parents = list[FlowRun](), {top}, [top]
    for _ in range(DEEPEST):
        found = await _phases(client, parents)
        parents = [one.id for one in found]
        below = [*found, *below]
        if not found or not seen.isdisjoint(parents):
            return below, not found
        seen.update(parents)
    return below, False


async def _phases(client: PrefectClient, parents: list[UUID]) -> list[FlowRun]:
    above = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=parents))
    return await _all(partial(client.read_flow_runs, flow_run_filter=above, sort=FlowRunSort.ID_DESC))


async def _all(read: Callable[..., Awaitable[list[T]]]) -> list[T]:
    """Read every page of a list."""
    found = list[T]()
    while len(found) % PAGE == 0:
        page = await read(limit=PAGE, offset=len(found))
        if not page:
            break
        found += page
    return found


async def _of_family(client: PrefectClient, family: list[FlowRun], rules: Retention, needed: Needed, *, is_whole: bool) -> list[Item]:
    """List a run with what is below it: artifacts first, so that a run that is removed leaves none behind that nothing names any more."""
    at = family[-1].end_time
    is_open = any(OPEN in one.tags or one.end_time is None or str(one.id) in needed.open for one in family)
    why = next((needed.records[str(one.id)] for one in family if str(one.id) in needed.records), "")
    if not is_whole:
        why = f"by the server it is below itself, or runs are more than {DEEPEST} levels below it"
    artifacts = await _artifacts(client, family)
    newest = {one.latest_id: one.key for one in await _newest(client, [one.id for one in artifacts])}
    found = [
        Item("artifact", str(one.id), at, one.key or str(one.type), is_open, "it is the newest of its name" if one.id in newest else why)
        for one in artifacts
    ]
    if rules.runs_days is None:
        return found
    if newest and not why:
        why = f"its artifact {min(newest.values())} is the newest of its name"
    return found + [Item("run", str(one.id), at, one.name, is_open, why) for one in family]


async def _artifacts(client: PrefectClient, family: list[FlowRun]) -> list[Artifact]:
    of = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[one.id for one in family]))
    return await _all(partial(client.read_artifacts, artifact_filter=of, sort=ArtifactSort.ID_DESC))


async def _newest(client: PrefectClient, artifacts: list[UUID]) -> list[ArtifactCollection]:
    """List those of some artifacts that are the newest of their name."""
    found = list[ArtifactCollection]()
    for begin in range(0, len(artifacts), PAGE):
        of = ArtifactCollectionFilter(latest_id=ArtifactCollectionFilterLatestId(any_=artifacts[begin : begin + PAGE]))
        found += await client.read_latest_artifacts(artifact_filter=of, limit=PAGE)
    return found
