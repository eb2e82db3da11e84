"""The keeper: sees to releases whose time has come, whose process died, or that ended with their record open. It keeps no state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from prefect import flow, get_run_logger

from flows.lifecycle.context import run_id
from flows.lifecycle.parameters import drops_unknown_parameters
from flows.lifecycle.quietest import TURN_SECONDS, renew_quietest
from tasks.lifecycle.apart import apart
from tasks.lifecycle.clock import now
from tasks.lifecycle.keeper_acts import forget_idle_runs, note_work, settle_run, start_again
from tasks.lifecycle.observed import start_due_looks
from tasks.lifecycle.strays import choose_again, end_strays
from tasks.notify import deliver_due, tell_unobserved
from tasks.notify.deployments import send_deployments
from tasks.notify.traces import send_traces
from tasks.record.exposition import write_exposition
from tasks.record.open_runs import OpenRun, Part, find_open
from tasks.record.retention import remove_old
from tasks.record.storage import show_machine
from tasks.rollout.due import tell_git_what_is_due
from tasks.rollout.late_rollback import pursue_rollbacks
from tasks.rules.lifecycle.reconcile import AFTER_CRASH, Care, decide_at_second_look, is_known_dead, wants_second_look
from tasks.windows.calendars import refresh_calendars

T = TypeVar("T")
CALENDAR_SECONDS = 10
DELIVERY_SECONDS = 25
LOOKS_SECONDS = 10
METRICS_SECONDS = 15
PARTS: tuple[Part, ...] = ("kept", "tagged")


@drops_unknown_parameters
@flow(name="keeper", flow_run_name="keeper", persist_result=False)
async def keeper() -> list[str]:
    """Look after every open run once; safe to run at any moment, and twice at once.

    A run that looks dead is looked at twice before it is started again: its new process may not have written itself on it yet.

    Returns:
        What was done, a line each; empty where all is as it should be.
    """
    await show_machine(run_id())
    done, faults = list[str](), list[Exception]()
    for part in PARTS:  # what has begun comes first: anyone with the API's password can make runs that only look open
        try:
            done += await _look_after(part)
        except Exception as error:  # noqa: BLE001 - raised at the end: without its list a part was not looked after
            faults.append(error)
    if not faults:
        await note_work()  # here, as nothing that follows is what it is missed for
    with apart("what lost its process and has no record"):
        done += [f"{name}: ended, because its process is gone" for name in await end_strays()]
    with apart("choices of a candidate whose process died"):
        done += [f"{name}: again, because its process died while it chose" for name in await choose_again()]
    await _within(CALENDAR_SECONDS, "the calendars of windows", refresh_calendars)
    with apart("what Git has still to be told"):
        done += await tell_git_what_is_due(run_id())
    await _within(DELIVERY_SECONDS, "the messages that receivers have not acknowledged", deliver_due)
    ended = await _within(LOOKS_SECONDS, "the rollbacks of what fails after its deployment", pursue_rollbacks)
    done += [f"rollback {run}: it has ended, an observation requested it" for run in ended or ()]
    await _within(LOOKS_SECONDS, "looks at what was deployed", start_due_looks)
    await _within(DELIVERY_SECONDS, "what is not observed", tell_unobserved)
    done += await _within(TURN_SECONDS, "the quietest windows", renew_quietest) or ()
    with apart("what is kept of runs that ended long ago"):
        await remove_old()
    await _within(METRICS_SECONDS, "the metrics for Prometheus", write_exposition)
    await _within(DELIVERY_SECONDS, "the deployments that forges show", send_deployments)
    await _within(DELIVERY_SECONDS, "the traces of releases", send_traces)
    with apart("the keeper's own older runs"):
        await forget_idle_runs(busy=bool(done))
    if faults:
        raise faults[0]
    return done


async def _within(seconds: float, what: str, act: Callable[[], Awaitable[T]]) -> T | None:
    """Do a part of the turn, for so long at most; None if it failed, which keeps no other part from its turn."""
    with apart(what):
        async with asyncio.timeout(seconds):
            return await act()
    return None


async def _look_after(part: Part) -> list[str]:
    """Look after a part of the open runs; gives what was done, a line each."""
    first, looked, done = await find_open(part), now(), list[str]()
    runs = first
    if any(_needs_second_look(run, at=looked) for run in first):
        await asyncio.sleep(AFTER_CRASH.total_seconds())  # rather than lose a whole turn
        runs = await find_open(part)
    before = {run.id: run.seen for run in first}
    for run in runs:
        with apart(f"the run {run.id}"):
            moment = now()
            care = decide_at_second_look(before.get(run.id), run.seen, apart=moment - looked, now=moment)
            done += await _care_for(run, care)
    return done


def _needs_second_look(run: OpenRun, *, at: datetime) -> bool:
    with apart(f"the run {run.id}"):
        return wants_second_look(run.seen, now=at)
    return False


async def _care_for(run: OpenRun, care: Care) -> list[str]:
    """Give a run the care that it needs; gives what was done as one line, or none."""
    if care.act == "leave":
        return []
    if care.act in {"wake", "again"} and run.has_deployment:
        since = None if is_known_dead(run.seen, now=now()) else run.seen.since  # others may write a new state all the time
        await start_again(run.id, state=run.seen.state, reason=care.reason, since=since, marked=run.seen.marked, counts=care.counts)
    else:
        await settle_run(run.id, reason=care.reason, cancelled=run.seen.state in {"CANCELLED", "CANCELLING"}, alive=run.seen.alive)
    done = f"{run.name}: {care.act}, because {care.reason}"
    get_run_logger().info(done)
    return [done]
