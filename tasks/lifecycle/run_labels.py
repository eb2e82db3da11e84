"""Who acts: the marks on a flow run by which the keeper knows whether its process lives and its wake-up time.

Which process acts is kept beside the key, too: that counts, and the labels, which anyone with the API can write, only where nothing is
kept. A run may be deleted from the server while its record is open: what is written on it then goes nowhere.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from prefect import State, get_client, task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound

from tasks.lifecycle.kept_runs import MARKED, count_attempt, forget_open, is_closed, is_kept_open, keep_process, process_of
from tasks.lifecycle.lock import OPEN, OUTCOME, STOP, change_tags, lock_tag, release_locks
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.lifecycle.reconcile import UNMARKED

HOST, PID, STARTED, WAKE_AT = "shipway.host", "shipway.pid", "shipway.process-started", "shipway.wake-at"
HELD = "shipway.held"  # the service, and what held it when its run was suspended
OF_A_RUN = ("prefect", "engine_client")  # what the command of a run's process contains


@asynccontextmanager
async def whatever_is_left(run: str) -> AsyncIterator[tuple[PrefectClient, FlowRun | None]]:
    """Open a client, and read a run; None if it was deleted from the server."""
    async with get_client() as client:
        try:
            found: FlowRun | None = await client.read_flow_run(UUID(run))
        except ObjectNotFound:
            found = None
        yield client, found


def machine() -> str:
    """Name this machine and its boot, so that a process number is only looked up on the machine where it means something."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}/{boot.read_text().strip() if boot.exists() else ''}"


@task(name="begin attempt", **OBSERVE)
async def begin_attempt(run: str, *, name: str, tags: list[str]) -> None:
    """Mark a run as open and its process as the one that acts for it.

    Args:
        run: Flow run id.
        name: What the run is called; "" leaves its name.
        tags: What people look for: service, version, environment.
    """
    async with whatever_is_left(run) as (client, found):
        await count_attempt(run)
        await mark_process(client, run, is_there=found is not None)
        if found is not None:
            await change_tags(client, found, add={OPEN, *tags}, name=name)


@task(name="name run", **OBSERVE)
async def name_run(run: str, *, name: str, tags: list[str]) -> None:
    """Name a run and tag it with what is known by now, as `begin_attempt` does."""
    async with whatever_is_left(run) as (client, found):
        if found is not None:
            await change_tags(client, found, add={*tags}, name=name)


@task(name="mark running", **OBSERVE)
async def mark_running(run: str) -> None:
    """Mark this process as the one that acts for a run, which may not be its own."""
    async with whatever_is_left(run) as (client, found):
        await mark_process(client, run, is_there=found is not None)


@task(name="unmark", **OBSERVE)
async def unmark(run: str) -> None:
    """Say that no process acts for a run any more."""
    if process := await process_of(run):
        await keep_process(run, process | {PID: ""})
    async with whatever_is_left(run) as (client, found):
        if found is not None:
            await client.update_flow_run_labels(UUID(run), {PID: ""})


def this_process() -> dict[str, Any]:
    """Describe this process, as the one that acts for a run from now on."""
    me, marked = psutil.Process(), datetime.now(UTC).isoformat()
    return {HOST: machine(), PID: me.pid, STARTED: round(me.create_time(), 2), MARKED: marked, WAKE_AT: "", HELD: ""}


def is_this_process(kept: dict[str, Any]) -> bool:
    """Say if what is kept of a run names this process."""
    mine = this_process()
    return all(kept.get(name) == mine[name] for name in (HOST, PID, STARTED))


async def mark_process(client: PrefectClient, run: str, *, is_there: bool = True) -> None:
    """Write this process's number and start time beside the key and on a run, and when they were written.

    Args:
        client: Of the server.
        run: Flow run id.
        is_there: Whether the server has the run.
    """
    labels = this_process()
    await keep_process(run, labels)
    if is_there:
        await client.update_flow_run_labels(UUID(run), labels)


def process_lives(labels: dict[str, Any]) -> bool | None:
    """Say whether the process that a run's labels name still runs; None if this machine cannot know."""
    if labels.get(HOST) != machine() or not labels.get(PID):
        return None
    try:
        process = psutil.Process(int(labels[PID]))
        return bool(abs(process.create_time() - float(labels[STARTED])) < 1 and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, KeyError, ValueError):
        return False


async def run_lives(run: FlowRun) -> bool | None:
    """Say if a process acts for a run: the one that is kept of it, or the one that a worker of this machine started for it.

    A worker writes down what it started before or while the run becomes Running, when what is kept may still be of an earlier attempt.
    Labels count only for a run that has not begun, as far as this machine can see.

    Returns:
        None if this machine cannot know.
    """
    kept = await process_of(str(run.id))
    if kept and not _may_be_starting(run, kept):
        return kept_lives(kept)
    if not kept and await is_kept_open(str(run.id)):
        return None
    return True if _started_process_lives(run.infrastructure_pid) else kept_lives(kept) if kept else process_lives(dict(run.labels))


def kept_lives(kept: dict[str, Any]) -> bool | None:
    """Say whether the process that is kept of a run still runs; one that gave the run up does not act for it any more."""
    return False if kept.get(PID) == "" else process_lives(kept)


def _may_be_starting(run: FlowRun, kept: dict[str, Any]) -> bool:
    """Say whether a process may act for a run that has not written itself yet: then what the worker started counts, but not for ever."""
    since = run.state.timestamp if run.state else datetime.now(UTC)
    return str(kept.get(MARKED, "")) < since.isoformat() and datetime.now(UTC) - since < UNMARKED


def _started_process_lives(infrastructure: str | None) -> bool:
    """Say if `host:pid`, as a process worker writes it, is a process of a run on this machine."""
    host, _, pid = (infrastructure or "").rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        process = psutil.Process(int(pid))
        command = " ".join(process.cmdline())
        return process.status() != psutil.STATUS_ZOMBIE and any(word in command for word in OF_A_RUN)
    except psutil.Error:
        return False


def has_ended(run: FlowRun) -> bool:
    """Say if a run is in a final state that is final."""
    return run.state is not None and run.state.is_final() and not is_unclosed(run)


def is_unclosed(run: FlowRun) -> bool:
    """Say if a run is in a final state that is not final: it is open and has no outcome, so the keeper starts it again, or settles it."""
    is_open = OPEN in run.tags and not any(tag.startswith(OUTCOME) for tag in run.tags)
    return run.state is not None and run.state.is_final() and is_open


async def set_wakeup(run: str, *, at: datetime, held: str = "") -> None:
    """Set the wake-up time at which the keeper resumes this run.

    Args:
        run: Flow run id.
        at: When (UTC).
        held: The service and what holds it, see `tasks.lifecycle.freezes.what_holds`: if that changes, the run is resumed earlier.
    """
    async with get_client() as client:
        await client.update_flow_run_labels(UUID(run), {WAKE_AT: at.isoformat(), HELD: held})


@task(name="wake by", **OBSERVE)
async def wake_by(run: str, *, at: datetime) -> None:
    """Have another run that waits resumed at a moment, if that is before its own wake-up time; one that was deleted has no wake-up time."""
    async with whatever_is_left(run) as (client, found):
        said = str(found.labels.get(WAKE_AT) or "") if found is not None else ""
        if found is not None and said and datetime.fromisoformat(said) > at:
            await client.update_flow_run_labels(UUID(run), {WAKE_AT: at.isoformat()})


@task(name="end attempt", **OBSERVE)
async def end_attempt(run: str, *, outcome: str) -> None:
    """Give up the service's lock and mark the run with its outcome; on the server it stays open until its final state is set.

    What is kept of it is forgotten last: whoever dies before that leaves a run that the keeper settles, whatever its tags say.
    """
    async with whatever_is_left(run) as (client, found):
        if found is not None:
            await release_locks(client, found)
            locks = {tag for tag in found.tags if tag.startswith(lock_tag(""))}
            await change_tags(client, found, add={f"{OUTCOME}{outcome}"}, drop={*locks, STOP})
    await forget_open(run)


@task(name="let go", **OBSERVE)
async def let_go(run: str) -> None:
    """Take a run that ended out of the keeper's sight; one whose record is open is left for the keeper to settle, whatever its tags say."""
    if await is_kept_open(run):
        return
    if await asyncio.to_thread(is_closed, run):
        await forget_open(run)  # what was kept of it while it was being closed
    async with whatever_is_left(run) as (client, found):
        if found is not None and any(tag.startswith(OUTCOME) for tag in found.tags):
            await change_tags(client, found, drop={OPEN})


@task(name="forget", **OBSERVE)
async def forget_unbegun(run: str) -> bool:
    """Take a run that ended before its first step out of the keeper's sight: it moved nothing.

    Returns:
        Whether it was such a run.
    """
    async with whatever_is_left(run) as (client, found):
        if await _began_here(run) or (found is not None and HOST in found.labels):
            return False
        await _forget(client, run, found)
        return True


@task(name="forget idle", **OBSERVE)
async def forget_idle(run: str) -> bool:
    """Take a run that moves nothing, as the server names its flow, out of the keeper's sight; not one of which a process is kept.

    The server's word alone never ends what looks after a run that began here: it may be a release under a flow of another name.

    Returns:
        Whether it was taken out of sight.
    """
    async with whatever_is_left(run) as (client, found):
        if await _began_here(run):
            return False
        await _forget(client, run, found)
        return True


async def _began_here(run: str) -> bool:
    return bool(await process_of(run)) or await is_kept_open(run)


async def _forget(client: PrefectClient, run: str, found: FlowRun | None) -> None:
    await forget_open(run)
    if found is not None:
        await change_tags(client, found, drop={OPEN})


@task(name="end as", **OBSERVE)
async def end_as(run: str, *, state: State[Any]) -> None:
    """Let a run that cannot end by itself end in this state; one that a person cancelled stays cancelled."""
    async with whatever_is_left(run) as (client, found):
        if found is not None and (found.state is None or found.state.type is not StateType.CANCELLED):
            await client.set_flow_run_state(UUID(run), state, force=True)
