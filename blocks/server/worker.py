"""A process worker of the server stack: takes scheduled runs from one work queue of the pool and starts each in a process of its own.

Run as `python -m flows.worker HOME QUEUE`, which says what is refused without a process. There are two queues, each with a worker of its
own: `urgent` for what ends, rolls back or looks (rollback, settle, observe, keeper), without a limit, and `releases` for everything else,
with a concurrency limit. So a rollback waits neither behind requested releases nor for a worker that is busy with them.

Ended by SIGTERM it stops polling; Prefect then kills the flow processes that it started at once (SIGKILL, no `finally`), and their runs
stay Running until the keeper puts them back to work. Killed by SIGKILL it leaves them to finish.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks.errors import Refused
from blocks.server import api, deployed, keeper_watch, restore, settings
from blocks.server.keeper_limit import one_keeper
from blocks.server.warm import engine

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.workers.base import BaseWorkerResult

    Refuse = Callable[[FlowRun], Awaitable[bool]]
    Start = Callable[..., Coroutine[Any, Any, BaseWorkerResult]]

LOG = logging.getLogger("shipway.worker")
POOL, TYPE = "shipway", "process"
RELEASES, URGENT = "releases", "urgent"
RELEASES_AT_ONCE = 8  # runs of the queue `releases` that hold a process at the same time, all machines together; suspended ones hold none
REFUSALS_AT_ONCE = 1  # each asks the server a dozen times, and a rollback needs that server, too
WORKERS = {"worker": RELEASES, "urgent-worker": URGENT}  # process of the server stack: the queue that it works off
PRIORITIES = {URGENT: 1, RELEASES: 2}  # for a worker that polls the whole pool; 1 comes first
HEARTBEAT_SECONDS = 5
RESTORE_SECONDS = 30
REGISTER_SECONDS = 60


def command(home: Path, queue: str) -> list[str]:
    """Build the command of the worker of a queue."""
    return [sys.executable, "-m", "flows.worker", str(home), queue]


def worker_name(queue: str) -> str:
    """Name the worker after its machine and queue, so that a restarted one is the same to the server."""
    return f"shipway-{socket.gethostname().replace('/', '-').replace('%', '-')}-{queue}"


def job_template(home: Path) -> dict[str, Any]:
    """Build the pool's template: runs start in the project's folder, by the warm engine.

    A command and a folder spare Prefect's search for a workspace, and with it a second process a run.
    """
    from prefect.utilities.processutils import command_to_string  # noqa: PLC0415 - prefect is slow to import
    from prefect.workers.process import ProcessWorker  # noqa: PLC0415

    template = ProcessWorker.get_default_base_job_template()
    variables = template["variables"]["properties"]
    variables["command"]["default"] = command_to_string(engine.client_command(home))
    variables["working_dir"]["default"] = str(settings.PROJECT)
    variables["stream_output"]["default"] = False  # a pipe to the worker would break under a run that outlives it
    return template


async def ensure_pool(home: Path, client: PrefectClient) -> None:
    """Make the pool and its queues, or bring the template up to date; safe to call by several at once.

    A limit that an operator gave the queue of releases stays. One of another type, made by others, is made anew: it may refuse deployments.

    Args:
        home: The home directory.
        client: An open client of its server.
    """
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate  # noqa: PLC0415
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound  # noqa: PLC0415

    template = job_template(home)
    with contextlib.suppress(ObjectNotFound):
        if (found := await client.read_work_pool(POOL)).type != TYPE:
            LOG.error("the work pool %s is of type %s; it is made anew. %s", POOL, found.type, deployed.WHO)
            await client.delete_work_pool(POOL)
    with contextlib.suppress(ObjectAlreadyExists):
        await client.create_work_pool(WorkPoolCreate(name=POOL, type=TYPE, base_job_template=template))
    if (await client.read_work_pool(POOL)).base_job_template != template:
        await client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))
    for queue, priority in PRIORITIES.items():
        await _ensure_queue(client, queue, priority=priority)


async def _ensure_queue(client: PrefectClient, queue: str, *, priority: int) -> None:
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound  # noqa: PLC0415

    try:
        await client.read_work_queue_by_name(queue, work_pool_name=POOL)
    except ObjectNotFound:
        limit = RELEASES_AT_ONCE if queue == RELEASES else None
        with contextlib.suppress(ObjectAlreadyExists):
            await client.create_work_queue(queue, work_pool_name=POOL, concurrency_limit=limit, priority=priority)


async def work(home: Path, queue: str, *, refuse: Refuse) -> None:
    """Wait for the server, then work off a queue until SIGTERM.

    Args:
        home: The home directory.
        queue: `releases`, whose worker also takes what other deployments leave in the pool's default queue, or `urgent`.
        refuse: Ends a run that needs no process, and says whether it did; asked for each run of the queue `releases` before it is started.
    """
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    while not await asyncio.to_thread(api.is_healthy, home):  # noqa: ASYNC110 - a server does not announce that it is up
        await asyncio.sleep(0.2)
    # Imported no sooner: the server, for which everything waits, starts faster alone.
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.workers import process  # noqa: PLC0415

    async with get_client() as client:
        await ensure_pool(home, client)
        await keeper_watch.forget_late(client)
        await restore.restore_all(client)
    restoring = asyncio.create_task(restore_often(home)) if queue == URGENT else None
    registering = asyncio.create_task(register_block_types(home, every_seconds=REGISTER_SECONDS)) if queue == RELEASES else None
    worker = process.ProcessWorker(
        work_pool_name=POOL,
        work_queues=[RELEASES, "default"] if queue == RELEASES else [queue],
        name=worker_name(queue),
        prefetch_seconds=1,
        heartbeat_interval_seconds=HEARTBEAT_SECONDS,
    )
    if queue == RELEASES:
        worker.run = refusing(worker.run, refuse)  # type: ignore[method-assign, assignment]
    else:
        worker.run = one_keeper(worker.run, skipped=_without_process)  # type: ignore[method-assign, assignment]
    worker.run = only_deployed(worker.run, home)  # type: ignore[method-assign, assignment]
    # There is no parameter for either of them.
    worker._propose_pending_state = restore.before_pending(worker._propose_pending_state, lambda: worker.client)  # type: ignore[method-assign, assignment]  # noqa: SLF001
    worker._record_work_pool_snapshot = restore.with_template(worker._record_work_pool_snapshot, job_template(home))  # type: ignore[method-assign, assignment]  # noqa: SLF001
    process.load_flow_from_flow_run = load_deployed  # type: ignore[assignment, attr-defined]
    worker._worker_metadata = no_metadata  # type: ignore[method-assign]  # noqa: SLF001 - there is no setting for it
    try:
        await worker.start()
    finally:
        for beside in (registering, restoring):
            if beside is not None:
                beside.cancel()


async def restore_often(home: Path) -> None:
    """Put the pool and changed deployments right again and again: by a broken template, schema or queue no run is ever started."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    while True:
        await asyncio.sleep(RESTORE_SECONDS)
        try:
            async with get_client() as client:
                missing = await restore.restore_all(client)
                await ensure_pool(home, client)
            if missing:
                await restore.deploy_again(missing)
        except Exception:
            LOG.exception("pool and deployments could not be put right; the next try is soon")


def refusing(start: Start, refuse: Refuse) -> Start:
    """Wrap how a worker starts a run: one that is refused gets no process; if that cannot be decided, the run decides it itself."""
    gate = asyncio.Semaphore(REFUSALS_AT_ONCE)

    async def run(flow_run: FlowRun, configuration: Any, task_status: Any = None) -> BaseWorkerResult:
        try:
            async with gate:
                is_refused = await refuse(flow_run)
        except Exception:
            LOG.exception("%s: could not look whether it is to be refused", flow_run.id)
            is_refused = False
        if not is_refused:
            return await start(flow_run=flow_run, configuration=configuration, task_status=task_status)
        return _without_process(task_status)

    return run


def only_deployed(start: Start, home: Path) -> Start:
    """Wrap how a worker starts a run: one that is not what was deployed ends as refused, and no code of it runs.

    A rollback, `settle` and the keeper are started as they were deployed: a change by the API must not stop what brings a service back.
    """
    from prefect.settings import get_current_settings  # noqa: PLC0415
    from prefect.utilities.processutils import command_to_string  # noqa: PLC0415

    command = command_to_string(engine.client_command(home))

    async def run(flow_run: FlowRun, configuration: Any, task_status: Any = None) -> BaseWorkerResult:
        environment = {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}
        deployment = configuration._related_objects["deployment"]  # noqa: SLF001 - the very one that the configuration was made of
        fault = deployed.changed(deployment, job_variables=flow_run.job_variables) or deployed.other_process(
            configuration, command=command, folder=settings.PROJECT, environment=environment
        )
        if not fault:
            configuration.env |= deployed.entry_point(deployment)
        elif entry_point := deployed.known_entry_point(flow_run.deployment_id, urgent=True):
            LOG.error("%s: %s. It is started as it was deployed, as nothing may stop a rollback. %s", flow_run.id, fault, deployed.FIX)
            configuration.command, configuration.working_dir = command, settings.PROJECT
            kept = {name: value for name, value in configuration.env.items() if name in deployed.ATTRIBUTION}
            configuration.env = environment | kept | {"PREFECT__FLOW_RUN_ID": str(flow_run.id), deployed.ENTRY_POINT: entry_point}
        else:
            await _end_refused(flow_run, f"this run is not what was deployed: {fault}. {deployed.FIX}")
            return _without_process(task_status)
        return await start(flow_run=flow_run, configuration=configuration, task_status=task_status)

    return run


async def load_deployed(flow_run: FlowRun) -> Any:
    """Load the flow whose hooks are due after its process has ended, by the entry point that was deployed.

    Prefect does this in the worker's own process, and would read the deployment and run its pull steps.

    Raises:
        Refused: It was not deployed here, or fetches its code: its hooks do not run, and the keeper ends what it leaves.
    """
    from prefect.flows import load_flow_from_entrypoint  # noqa: PLC0415

    entry_point = deployed.known_entry_point(flow_run.deployment_id)
    if not entry_point:
        raise Refused(f"the hooks of {flow_run.name} do not run, as its deployment fetches code or was not made by `shipway up`")
    return await asyncio.to_thread(load_flow_from_entrypoint, entry_point, use_placeholder_flow=False)


async def _end_refused(flow_run: FlowRun, reason: str) -> None:
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.states import Failed  # noqa: PLC0415

    LOG.error("%s: %s", flow_run.id, reason)
    async with get_client() as client:
        await client.set_flow_run_state(flow_run.id, Failed(name="Refused", message=reason), force=True)


def _without_process(task_status: Any) -> BaseWorkerResult:
    from prefect.workers.process import ProcessWorkerResult  # noqa: PLC0415

    if task_status is not None:
        task_status.started(0)
    return ProcessWorkerResult(status_code=0, identifier="refused")


async def no_metadata() -> None:
    """Report none of the collections that are installed to the server: to name them, a worker imports them all."""


async def register_block_types(home: Path, *, every_seconds: float) -> None:
    """Do what a Prefect server does at its start unless its settings forbid it, once for each set of versions, in a process of its own.

    A server that begins with it imports every collection first, and everything waits for it.

    Args:
        home: The home directory.
        every_seconds: How long to leave the machine to who has just started the stack, and how soon to try again if it failed.
    """
    done = home / "run" / "block-types"
    wanted = _versions()
    while not done.exists() or done.read_text() != wanted:
        await asyncio.sleep(every_seconds)
        command, env = [sys.executable, "-m", "blocks.server.block_types"], settings.server_environment(home)
        process = await asyncio.create_subprocess_exec(*command, env=env, cwd=settings.PROJECT)
        try:
            if await process.wait() == 0:
                done.write_text(wanted)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _versions() -> str:
    """Name Prefect's version, and those of the collections that are installed."""
    collections = {entry.dist.name: entry.dist.version for entry in metadata.entry_points(group="prefect.collections") if entry.dist}
    return json.dumps({"prefect": metadata.version("prefect"), **collections}, sort_keys=True)


def last_seen(home: Path, queue: str) -> dict[str, Any] | None:
    """Read how the server sees this machine's worker of a queue (`status`, `last_heartbeat_time`); None if it never saw it.

    Raises:
        OSError: The server is not reached.
    """
    workers = api.ask(home, f"/work_pools/{POOL}/workers/filter", {})
    return next((seen for seen in workers if seen["name"] == worker_name(queue)), None)
