"""What the keeper's rule wants to know of a run: from the server, and from what is kept beside the key."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

from tasks.lifecycle.freezes import what_holds
from tasks.lifecycle.kept_runs import (
    MARKED,
    beat_of,
    is_kept_open,
    keep_look,
    look_of,
    process_of,
    signs_of_life,
    times_started,
)
from tasks.lifecycle.lock import must_stop
from tasks.lifecycle.run_labels import HELD, WAKE_AT, kept_lives, run_lives
from tasks.rules.lifecycle.reconcile import AT_WORK, SILENT, RunFacts
from tasks.rules.lifecycle.standstill import look_again, read_standstill

WORKER_TYPE = "prefect.worker.type"  # a label that workers write on what they start
ROLLBACK = "shipway:rollback"
GONE, IDLE = "gone", "idle"  # what stands still, as it is kept of a run
BEATING = AT_WORK - {"PENDING"}


async def see(client: PrefectClient, run: FlowRun) -> RunFacts:
    """Read what the keeper's rule wants to know of a run, but for what its record says."""
    labels, state, name = dict(run.labels), run.state, str(run.id)
    kind = state.type.value if state else "PENDING"
    alive = await run_lives(run)
    due = state.state_details.scheduled_time if state else None
    pauses = len((run.empirical_policy and run.empirical_policy.pause_keys) or ())
    return RunFacts(
        state=kind,
        since=state.timestamp if state else datetime.now(UTC),
        alive=alive,
        heard=await _heard(client, name) if alive is not True and kind in BEATING else None,
        wake_at=moment_of(labels.get(WAKE_AT)),
        stop_requested=must_stop(run),
        attempts=max(run.run_count - pauses, await times_started(name)),  # each wait adds a start
        marked=await marked_at(run),
        as_job=labels.get(WORKER_TYPE, "process") != "process",
        is_rollback=ROLLBACK in run.tags,
        due=due,
        gone=await gone_since(name, at_work=kind in AT_WORK),
        idle=await idle_since(name, is_due=kind == "SCHEDULED" and due is not None and due <= datetime.now(UTC)),
        hold_changed=await _hold_changed(str(labels.get(HELD) or "")),
    )


async def see_deleted(client: PrefectClient, run: str) -> RunFacts:
    """See a run that the server does not have, by what is kept of it."""
    alive = kept_lives(await process_of(run))
    heard = await _heard(client, run) if alive is None else None
    return RunFacts(
        state="DELETED",
        since=datetime.now(UTC),
        alive=alive,
        heard=heard,
        wake_at=None,
        stop_requested=False,
        attempts=1,
        begun=True,
        gone=await gone_since(run, at_work=True),
    )


async def acts_now(run: str) -> bool:
    """Say if the process that is kept of a run acts: it lives here, or has shown that it lives within the time of three heartbeats."""
    lives_here = kept_lives(await process_of(run))
    if lives_here is not None:
        return lives_here
    beat = await beat_of(run)
    return beat is not None and datetime.now(UTC) - beat < SILENT


async def gone_since(run: str, *, at_work: bool) -> datetime | None:
    """Say since when a run at work has shown no sign of life beside the key, as the keeper saw it; None if it lives, or never began.

    Args:
        run: Flow run id.
        at_work: Whether its state is one in which a process acts; in another a standstill goes on, and none begins.
    """
    process = await process_of(run)
    is_watched = kept_lives(process) is not True if process else await is_kept_open(run)
    return await _stands_still(run, GONE, at_work=at_work) if is_watched else None


async def idle_since(run: str, *, is_due: bool) -> datetime | None:
    """Say since when the keeper has seen a run Scheduled and due; None if it is not, or this machine does not know that it began."""
    return await _stands_still(run, IDLE, at_work=is_due) if await is_kept_open(run) else None


async def _stands_still(run: str, name: str, *, at_work: bool) -> datetime | None:
    looks = await look_of(run)
    before = read_standstill(looks, name)
    if before is None and not at_work:
        return None
    found = look_again(before, sign=await signs_of_life(run), counts=at_work, now=datetime.now(UTC))
    await keep_look(run, looks | (found.as_facts(name) if found else {name: None}))
    return found.since if found else None


async def forget_gone(run: str) -> None:
    """Forget since when a run stands still, as it gets a new process or waits."""
    if await look_of(run):
        await keep_look(run, {})


async def _hold_changed(held: str) -> bool:
    """Say if what held a run when it was suspended is not what holds its service now, as far as this machine knows."""
    service, _, then = held.partition(" ")
    return bool(then) and await asyncio.to_thread(what_holds, service) not in {then, ""}


async def _heard(client: PrefectClient, run: str) -> datetime | None:
    """Read when the process of a run was last heard of: by the server's events, which stay when a run is deleted, or beside the key."""
    wanted = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]), any_resource=EventAnyResourceFilter(id=[f"prefect.flow-run.{run}"])
    )
    page = await client.read_events(wanted, limit=1)
    event = page.events[0].occurred if page.events else None
    return max(filter(None, (event, await beat_of(run))), default=None)


async def marked_at(run: FlowRun) -> datetime | None:
    """Say when the process that acts for a run was written down."""
    return moment_of((await process_of(str(run.id)) or run.labels).get(MARKED))


def moment_of(text: Any) -> datetime | None:
    """Read a moment that a label names, in UTC; None if it names none, as one without a time zone."""
    try:
        found = datetime.fromisoformat(str(text)) if text else None
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None
