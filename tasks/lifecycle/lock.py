"""One release of a service at a time: a lock is a Prefect variable that names the run, kept until the release is closed.

The server's database lets a name be taken once, and a variable be deleted by its id: that makes taking a lock, and taking over one whose
holder is gone, one step each, without a lock that a killed process could leave behind. It spans suspensions, crashes and machines.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import httpx
from prefect import get_client, task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import VariableCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun, Variable
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from blocks.errors import Refused, Temporary, WorldMoved
from tasks.lifecycle.kept_runs import is_closed, is_kept_open, open_releases_of, service_of
from tasks.lifecycle.links import run_link
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.plan.types import NAME

OPEN = "shipway:open"
STOP = "shipway:stop"
OUTCOME = "outcome:"
MOST_TRIES = 10
PAGE = 200  # the most that the server gives at once
AT_ONCE = 8
SERVICE = re.compile(NAME)


@dataclass(frozen=True)
class Holder:
    """The run that holds a service: its flow run id, and its name."""

    run: str
    name: str

    def __str__(self) -> str:
        """Name it for people, with its page."""
        return f"{self.name} ({run_link(self.run)})"


@dataclass(frozen=True)
class LockResult:
    """Whether a lock was granted, and who holds the service now."""

    granted: bool
    holder: Holder


def busy(service: str, holder: Holder) -> str:
    """Say why a release is refused while another run holds its service."""
    return f"{service} is being released already by {holder}; wait for it, or cancel it"


def lock_tag(service: str) -> str:
    """Name the tag by which people and commands find a service's one running release."""
    return f"lock:{service}"


def lock_name(service: str) -> str:
    """Name the variable that is a service's lock."""
    return f"shipway-lock-{service}"


@task(name="lock service", task_run_name="lock {service}", **OBSERVE)
async def lock_service(service: str, *, run: str) -> LockResult:
    """Lock a service for a run, unless another run holds the lock.

    A lock whose run has come to its end is given up for it, by what is kept of that run beside the key; only of one of which nothing is
    kept the server's word counts.

    Args:
        service: The service.
        run: Flow run id that asks.

    Returns:
        Whether the run holds the service now, else who does.

    Raises:
        Refused: The lock is unreadable.
        Temporary: Others took and gave up the lock all the time.
    """
    async with get_client() as client:
        for _ in range(MOST_TRIES):
            if await _take(client, service, run=run):
                await change_tags(client, run, add={lock_tag(service)})
                return LockResult(granted=True, holder=Holder(run, ""))
            lock = await client.read_variable_by_name(lock_name(service))
            if lock is None:
                continue
            holder = await _holder(client, lock)
            if holder is not None:
                return LockResult(granted=False, holder=holder)
            await _delete(client, lock)
    raise Temporary(f"the lock of {service} changed hands {MOST_TRIES} times while it was asked for")


async def holder_of(client: PrefectClient, service: str) -> Holder | None:
    """Give the open run that holds a service, or None if it is free.

    Raises:
        Refused: The lock is unreadable.
    """
    lock = await client.read_variable_by_name(lock_name(service))
    return None if lock is None else await _holder(client, lock)


async def release_locks(client: PrefectClient, run: FlowRun) -> None:
    """Give up the lock that a run holds; one that another run holds by now stays.

    It is that of the service that is kept of the run. Only if none is, its tags say it, of which anyone with the API's password writes
    thousands; a lock that stays because of that is taken over once its run has ended.
    """
    kept = await service_of(str(run.id))
    tagged = [tag.removeprefix(lock_tag("")) for tag in run.tags if tag.startswith(lock_tag(""))]
    for service in [kept] if kept else [one for one in tagged if SERVICE.fullmatch(one)][:AT_ONCE]:
        lock = await client.read_variable_by_name(lock_name(service))
        if lock is not None and _run_of(lock) == str(run.id):
            await _delete(client, lock)


async def _take(client: PrefectClient, service: str, *, run: str) -> bool:
    try:
        await client.create_variable(VariableCreate(name=lock_name(service), value={"run": run}, tags=["shipway"]))
    except ObjectAlreadyExists:
        lock = await client.read_variable_by_name(lock_name(service))
        return lock is not None and _run_of(lock) == run
    return True


async def _holder(client: PrefectClient, lock: Variable) -> Holder | None:
    """Give the run that a lock names, or None if it has come to its end.

    What is kept of the run says so. Its tags, which anyone with the API's password can write, and its deletion count only if nothing is.
    """
    try:
        run = str(UUID(_run_of(lock)))
    except ValueError:
        raise Refused(
            f"the variable {lock.name!r} says which run holds the service, and names none; if nothing releases it now, delete the variable"
        ) from None
    is_open = await is_kept_open(run)
    try:
        found = await client.read_flow_run(UUID(run))
    except ObjectNotFound:
        return Holder(run, "a release that was deleted from the server") if is_open else None
    if not is_open and (await asyncio.to_thread(is_closed, run) or any(tag.startswith(OUTCOME) for tag in found.tags)):
        return None
    return Holder(run, found.name)


async def _delete(client: PrefectClient, lock: Variable) -> None:
    """Delete exactly this lock: by its id, so that never a newer one of the same name goes."""
    try:
        await client.request("DELETE", "/variables/{id}", path_params={"id": str(lock.id)})
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:  # then another process was quicker
            raise


def _run_of(lock: Variable) -> str:
    return str(lock.value.get("run", "")) if isinstance(lock.value, dict) else ""


@task(name="find releases under way", **OBSERVE)
async def under_way(service: str, *, besides: str) -> list[str]:
    """List the service's open releases, by what is kept of them beside the key since they took their plan."""
    return [run for run in await open_releases_of(service) if run != besides]


@task(name="request stop", task_run_name="stop releases under way", **OBSERVE)
async def request_stop(releases: Sequence[str], *, by: str) -> list[str]:
    """Request that open releases stop; they end at their next step, and suspended ones are resumed by the keeper.

    The label is what counts: the server merges labels in one step, while two writers of tags can undo each other. A run that was deleted
    from the server is told nothing: it ends at its next step because of that.

    Args:
        releases: Their flow run ids.
        by: The run that asks.

    Returns:
        Those that the server has.
    """
    async with get_client() as client:
        return await _tell(client, releases, by=by)


@task(name="request stop by tags", task_run_name="stop what is tagged as {service}", **OBSERVE)
async def request_stop_by_tags(service: str, *, by: str) -> list[str]:
    """Request that runs stop which only tags name as releases of the service, at most 200: anyone with the API's password makes thousands.

    Returns:
        The ids of those that are not kept as open beside the key: what is kept says where those act.
    """
    kept = set(await under_way.fn(service, besides=by)) | {by}
    async with get_client() as client:
        found = [run for tags in ([lock_tag(service)], [f"service:{service}", OPEN]) for run in await _page(client, tags, offset=0)]
        begun = {str(one.id) for one in found if "shipway:rollback" not in one.tags and not is_still_to_come(one)}
        return await _tell(client, sorted(begun - kept)[:PAGE], by=by)


async def _tell(client: PrefectClient, runs: Sequence[str], *, by: str) -> list[str]:
    """Tell runs to stop; gives those that the server has."""
    gate, told = asyncio.Semaphore(AT_ONCE), list[str]()

    async def tell_one(run: str) -> None:
        async with gate:
            with suppress(ObjectNotFound):
                await change_tags(client, run, add={STOP})
                await client.update_flow_run_labels(UUID(run), {STOP: by})
                told.append(run)

    await asyncio.gather(*map(tell_one, runs))
    return [run for run in runs if run in told]


async def is_stop_requested(run: str) -> bool:
    """Say whether a rollback requested that this run stops.

    Raises:
        WorldMoved: The run was deleted from the server.
    """
    async with get_client() as client:
        try:
            return must_stop(await client.read_flow_run(UUID(run)))
        except ObjectNotFound:
            raise WorldMoved(f"the run {run} was deleted from the server while it ran") from None


def must_stop(run: FlowRun) -> bool:
    """Say whether a run carries the order to end."""
    return STOP in run.tags or bool((run.labels or {}).get(STOP))


def is_still_to_come(run: FlowRun) -> bool:
    """Say whether a run is scheduled and was never started."""
    return run.state is not None and run.state.is_scheduled() and not run.run_count


async def tagged(client: PrefectClient, *tags: str) -> list[FlowRun]:
    """List the runs with all of these tags, the oldest first."""
    found: list[FlowRun] = []
    while len(found) % PAGE == 0:
        page = await _page(client, tags, offset=len(found))
        if not page:
            break
        found += page
    return list({run.id: run for run in found}.values())


async def _page(client: PrefectClient, tags: Iterable[str], *, offset: int) -> list[FlowRun]:
    chosen = FlowRunFilter(tags=FlowRunFilterTags(all_=list(tags)))
    return await client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.START_TIME_ASC, limit=PAGE, offset=offset)


async def change_tags(
    client: PrefectClient, run: str | FlowRun, *, add: set[str] | None = None, drop: set[str] | None = None, name: str = ""
) -> None:
    """Add and drop tags of a run, or of one that was just read; name it if a name is given; write only if that changes something."""
    found = run if isinstance(run, FlowRun) else await client.read_flow_run(UUID(run))
    tags = (set(found.tags) | (add or set())) - (drop or set())
    if tags != set(found.tags) or name not in {"", found.name}:
        await client.update_flow_run(found.id, tags=sorted(tags), name=name or None)
