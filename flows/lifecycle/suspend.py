"""Wait without a process: suspend the run, with the wake-up time at which the keeper resumes it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from prefect.context import FlowRunContext
from prefect.flow_runs import asuspend_flow_run
from prefect.input import RunInput

from blocks.errors import Temporary
from flows.lifecycle.context import Phase, run_id
from tasks.lifecycle.clock import seconds_until
from tasks.lifecycle.kept_runs import keep_wait
from tasks.lifecycle.run_labels import set_wakeup
from tasks.record.journal import append_entry, read_entries
from tasks.rules.record.durations import HELD_BY, SUSPENDS_UNTIL, WAITS_FOR, WAITS_UNTIL
from tasks.rules.rollout.waiting import hold_name, is_suspended_until

WINDOW = "window"
GRACE_SECONDS = 6 * 3_600  # Prefect's own time-out ends a run without our code, so it comes long after the keeper's


class _WaitingIsNormal(logging.Filter):
    """Log the end of an attempt that suspended its run as what it is; Prefect logs every state but Completed as an error."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lower the record's level; every record passes."""
        if record.levelno == logging.ERROR and record.getMessage().startswith("Finished in state Suspended("):
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        return True


FLOW_RUNS = logging.getLogger("prefect.flow_runs")
WAITING_IS_NORMAL = _WaitingIsNormal()


async def _suspend(**how: Any) -> None:
    FLOW_RUNS.addFilter(WAITING_IS_NORMAL)  # added again it is there once
    await asuspend_flow_run(**how)


def asked_keys() -> set[str]:
    """Give the keys under which this run was suspended before."""
    context = FlowRunContext.get()
    return set(context.flow_run.empirical_policy.pause_keys or ()) if context and context.flow_run else set()


async def say_wait(until: datetime, *, name: str, polls: bool = False) -> None:
    """Let the record's last entry say that this run waits: one that is suspended without such an entry is woken by the keeper.

    Args:
        until: The wake-up time.
        name: What it waits for.
        polls: Whether it only looks again then, so that the time is not worth an entry.
    """
    await keep_wait(run_id(), until)
    entries = await read_entries(run_id())
    if is_suspended_until(entries, None if polls else until):
        return
    after = entries[-1].seq if entries else 0
    evidence = {WAITS_FOR: name, SUSPENDS_UNTIL: "" if polls else until.isoformat()}
    if name == WINDOW:
        evidence[WAITS_UNTIL] = until.isoformat()
    what = f"Still waiting ({name})" if polls else f"Still waiting until {until:%Y-%m-%d %H:%M} UTC ({name})"
    await append_entry(run_id(), what, kind="gate", name=f"{name} after {after}", evidence=evidence)


async def say_hold(phase: Phase, until: datetime, *, wakes: datetime, what: str, why: str, by: Sequence[str], name: str) -> None:
    """Let the record's last entry say what holds a release until a moment; one that says this already is not repeated.

    Args:
        phase: The release and its round.
        until: When what holds it may be over.
        wakes: The wake-up time, then or before.
        what: What it waits for, in a few words.
        why: Why.
        by: What holds it: the ids of freezes, or `windows:…`.
        name: What the entry is named by, besides its place in the record.
    """
    entries = await read_entries(phase.owner)
    last = entries[-1].seq if entries else 0
    named = f"{name} {hold_name(by, what, why)} after"
    if is_suspended_until(entries, wakes) and entries[-1].name == f"{named} {last - 1}":
        return
    evidence = {WAITS_FOR: WINDOW, WAITS_UNTIL: until.isoformat(), SUSPENDS_UNTIL: wakes.isoformat(), HELD_BY: list(by)}
    await phase.append(f"Waits: {what}", kind="gate", name=f"{named} {last}", why=why, evidence=evidence)


async def wait_until(at: datetime, *, name: str, polls: bool = False, held: str = "") -> None:
    """Suspend this run until a moment, or until something wakes it earlier; it goes on from its first line.

    Args:
        at: When to wake (UTC).
        name: What it waits for; each call waits anew.
        polls: Whether it only looks again then, and waits on if nothing changed.
        held: What holds it, as `set_wakeup` takes it.

    Raises:
        Temporary: The server did not suspend it; whoever goes on would go on too early.
    """
    await say_wait(at, name=name, polls=polls)
    await set_wakeup(run_id(), at=at, held=held)
    # Without a time-out, by which Prefect would end the run if the stack were down then. By a key that cannot be known before: those that
    # were used are a field of the run, and Prefect skips a suspension whose key is among them.
    await _suspend(key=f"{name}-{uuid4().hex}", timeout=None)
    raise Temporary(f"this run was not suspended, though it has to wait until {at:%Y-%m-%d %H:%M} UTC ({name})")


async def ask(form: type[RunInput], *, key: str, until: datetime) -> None:
    """Suspend this run with a form; returns at once if this question was asked before.

    Args:
        form: The form.
        key: The question; a new question needs a new key.
        until: The wake-up time, at which the keeper resumes the run without an answer.
    """
    if key in asked_keys():
        return
    await say_wait(until, name=key)
    await set_wakeup(run_id(), at=until)
    await _suspend(wait_for_input=form, key=key, timeout=int(seconds_until(until)) + GRACE_SECONDS)
