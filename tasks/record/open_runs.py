"""Which runs are open, and what their records say of them: by the tags of the runs, and by what is kept beside the key.

Whoever has the API's password can take every tag from a run, or delete it; neither may end what looks after it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal
from uuid import UUID

from prefect import get_client, task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound

from blocks.outside_text import error_text
from tasks.lifecycle.apart import apart
from tasks.lifecycle.kept_runs import forget_open, keep_server, open_runs, server_of, still_waits
from tasks.lifecycle.lock import OPEN, change_tags
from tasks.lifecycle.retries import OBSERVE
from tasks.lifecycle.seeing import acts_now, forget_gone, see, see_deleted
from tasks.lifecycle.servers import server_of_client
from tasks.record.kept_entries import kept_entry
from tasks.record.objects import objects_of
from tasks.record.patience import patient
from tasks.record.reading import Reading, read_record
from tasks.record.storage import default_storage
from tasks.rules.lifecycle.reconcile import RunFacts
from tasks.rules.record.entries import key_of
from tasks.rules.rollout.waiting import says_it_waits, wake_time
from tasks.rules.rollout.waves import has_canary

LOG = logging.getLogger("shipway")
Part = Literal["kept", "tagged"]
Look = Callable[[], Awaitable["OpenRun | None"]]
MOST_TAGGED = 200
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
WAITING_STATES = {"PAUSED", "SCHEDULED"}  # in these states the record says whether the run means to be there


@dataclass(frozen=True)
class OpenRun:
    """An open run: its id, its name, what the keeper's rule wants to know of it, and whether a worker can start it again."""

    id: str
    name: str
    seen: RunFacts
    has_deployment: bool = True


@task(name="find open runs", **OBSERVE)
async def find_open(part: Part | None = None) -> list[OpenRun]:
    """Read every run that has not come to its end; one that lost its tag gets it back, and one that was deleted is among them.

    Args:
        part: Those that are `kept` beside the key, as each is that has begun; or some of those that are only `tagged` as open, which anyone
            with the API's password may have made by the thousand; None for both.
    """
    async with get_client() as client:
        kept = await open_runs()
        looks: dict[str, Look] = {}
        if part != "tagged" and kept:
            own = await server_of_client(client)
            looks |= {run: partial(_look_at_kept, client, run, own=own) for run in kept}
        if part != "kept":
            looks |= {str(run.id): partial(_look, client, run) for run in await _only_tagged(client, kept)}
        found = list[OpenRun]()
        for run, look in looks.items():
            with apart(f"the run {run}"):
                if (one := await look()) is not None:
                    found.append(one)
        return found


async def _only_tagged(client: PrefectClient, kept: list[str]) -> list[FlowRun]:
    """List some of the runs that have the tag and are not kept as open, the oldest first."""
    chosen: Any = {"tags": {"all_": [OPEN]}}
    if known := [run for run in kept if UUID_TEXT.fullmatch(run)]:
        chosen["id"] = {"not_any_": known}
    return await client.read_flow_runs(flow_run_filter=FlowRunFilter(**chosen), sort=FlowRunSort.START_TIME_ASC, limit=MOST_TAGGED)


async def _look_at_kept(client: PrefectClient, run: str, *, own: str) -> OpenRun | None:
    """Look at a run that is kept as open.

    Args:
        client: The server.
        run: Its flow run id.
        own: The server's name; "" if it did not say it.
    """
    try:
        found = await client.read_flow_run(UUID(run))
    except ObjectNotFound:
        return await _untagged(client, run, own=own)
    await keep_server(run, own)
    return await _look(client, found) if OPEN in found.tags else await _untagged(client, run, own=own)


async def _untagged(client: PrefectClient, run: str, *, own: str) -> OpenRun | None:
    """Look at a run that is kept as open and has no tag that says so; if its record is closed, its leases and locks may be left."""
    try:
        found = await client.read_flow_run(UUID(run))
    except ObjectNotFound:
        return await _deleted(client, run, await _read(run), own=own)
    await change_tags(client, found, add={OPEN})
    return await _look(client, found)


async def _deleted(client: PrefectClient, run: str, reading: Reading | None, *, own: str) -> OpenRun | None:
    """See a run that the server does not have; None, and it is forgotten, if it had written nothing yet and so moved nothing.

    None, too, unless this server is known to have had it: several may share a key folder, and each one's keeper cares for its own runs.
    """
    if not own or await server_of(run) != own:
        return None
    if reading is not None and not (reading.entries or reading.faults or await kept_entry(run, key_of("opened"))):
        await forget_open(run)
        return None
    return OpenRun(run, f"the deleted run {run}", await see_deleted(client, run), has_deployment=False)


async def _look(client: PrefectClient, run: FlowRun) -> OpenRun:
    seen = await see(client, run)
    if seen.state in WAITING_STATES:
        reading = await _read(str(run.id))
        seen = by_record(seen, reading, kept=await kept_entry(str(run.id), key_of("opened")) is not None)
        if reading is None:
            seen = replace(seen, waits=await still_waits(str(run.id), marked=seen.marked), exposed=True)
    if seen.state == "PAUSED" and seen.waits:
        await forget_gone(str(run.id))  # whoever resumes it starts a new process
    if seen.state == "SCHEDULED" and seen.begun:
        seen = replace(seen, queue_full=await _is_full(client, run))
    return OpenRun(str(run.id), run.name, seen, run.deployment_id is not None)


async def _is_full(client: PrefectClient, run: FlowRun) -> bool:
    """Say if the limit of a run's queue is reached by runs whose processes live, by what is kept of them; a paused one is not."""
    if run.work_queue_id is None:
        return False
    try:
        queue = await client.read_work_queue(run.work_queue_id)
    except ObjectNotFound:
        return False
    if queue.is_paused or not queue.concurrency_limit:
        return False
    others = [one for one in await open_runs() if one != str(run.id) and UUID_TEXT.fullmatch(one)]
    living = [one for one in others if await acts_now(one)]
    return sum([await _is_of(client, one, run.work_queue_id) for one in living]) >= queue.concurrency_limit


async def _is_of(client: PrefectClient, run: str, queue: UUID) -> bool:
    try:
        return (await client.read_flow_run(UUID(run))).work_queue_id == queue
    except ObjectNotFound:
        return False


def by_record(seen: RunFacts, reading: Reading | None, *, kept: bool) -> RunFacts:
    """Add what the record says to what the server says of a run.

    Args:
        seen: What the server says.
        reading: The record; None if it cannot be read now.
        kept: Whether its first entry is kept beside the key.
    """
    if reading is None or reading.unchecked:
        return replace(seen, begun=kept, exposed=True)
    entries = [] if reading.faults else reading.entries
    told = reading.entries[0].evidence if reading.entries else {}
    at = min(filter(None, (seen.wake_at, wake_time(entries))), default=None)
    facts: dict[str, Any] = {"begun": kept or bool(reading.entries or reading.faults), "waits": says_it_waits(entries), "wake_at": at}
    facts["exposed"] = bool(reading.faults) or has_canary(entries)
    return replace(seen, **facts, is_rollback=seen.is_rollback or told.get("flow") == "rollback")


async def _read(run: str) -> Reading | None:
    try:
        return await read_record(patient(objects_of(await default_storage())), run)
    except Exception as error:  # noqa: BLE001 - a record that cannot be read keeps no run from the keeper's care
        LOG.warning("the record of %s could not be read: %s", run, error_text(error))
        return None
