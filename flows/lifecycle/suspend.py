"""Wait without a process: suspend the run, with the wake-up time at which the keeper resumes it."""

from __future__ import annotations

from datetime import datetime

from prefect.context import FlowRunContext
from prefect.flow_runs import asuspend_flow_run
from prefect.input import RunInput

from flows.lifecycle.context import run_id
from tasks.lifecycle.clock import seconds_until
from tasks.lifecycle.run_labels import set_wakeup

GRACE_SECONDS = 6 * 3_600  # Prefect's own time-out ends a run without our code, so it comes long after the keeper's


def asked_keys() -> set[str]:
    """Give the keys under which this run was suspended before."""
    context = FlowRunContext.get()
    return set(context.flow_run.empirical_policy.pause_keys or ()) if context and context.flow_run else set()


async def wait_until(at: datetime, *, name: str) -> None:
    """Suspend this run until a moment, or until something wakes it earlier; it goes on from its first line.

    Args:
        at: When to wake (UTC).
        name: What it waits for; each call waits anew.
    """
    turn = sum(key.startswith(f"{name}-") for key in asked_keys()) + 1
    await set_wakeup(run_id(), at=at)
    await asuspend_flow_run(key=f"{name}-{turn}", timeout=int(seconds_until(at)) + GRACE_SECONDS)


async def ask(form: type[RunInput], *, key: str, until: datetime) -> None:
    """Suspend this run with a form; returns at once if this question was asked before.

    Args:
        form: The form.
        key: The question; a new question needs a new key.
        until: The wake-up time, at which the keeper resumes the run without an answer.
    """
    if key in asked_keys():
        return
    await set_wakeup(run_id(), at=until)
    await asuspend_flow_run(wait_for_input=form, key=key, timeout=int(seconds_until(until)) + GRACE_SECONDS)
