"""The keeper: sees to releases whose time has come, whose process died, or that ended with their record open. It keeps no state."""

from __future__ import annotations

import asyncio

from prefect import flow, get_run_logger

from flows.lifecycle.context import run_id
from tasks.lifecycle.clock import now
from tasks.lifecycle.reconcile import find_open, forget_idle_runs, settle_run, start_again
from tasks.record.storage import show_machine
from tasks.rules.lifecycle.reconcile import AFTER_CRASH, decide_care, died_just_now


@flow(name="keeper", flow_run_name="keeper", persist_result=False)
async def keeper() -> list[str]:
    """Look after every open run once; safe to run at any moment, and twice at once.

    Returns:
        What was done, a line each; empty where all is as it should be.
    """
    await show_machine(run_id())
    runs, done = await find_open(), list[str]()
    if any(died_just_now(run.seen, now=now()) for run in runs):
        await asyncio.sleep(AFTER_CRASH.total_seconds())  # rather than lose a whole turn
        runs = await find_open()
    for run in runs:
        care = decide_care(run.seen, now=now())
        if care.act == "leave":
            continue
        if care.act in {"wake", "again"}:
            await start_again(run.id, state=run.seen.state, reason=care.reason, since=run.seen.since)
        else:
            await settle_run(run.id, reason=care.reason, cancelled=run.seen.state in {"CANCELLED", "CANCELLING"}, alive=run.seen.alive)
        done.append(f"{run.name}: {care.act}, because {care.reason}")
        get_run_logger().info(done[-1])
    await forget_idle_runs(busy=bool(done))
    return done
