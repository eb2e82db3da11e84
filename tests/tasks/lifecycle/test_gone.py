"""A process of this machine that is gone stays gone, whatever is written of its run."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tasks.lifecycle.kept_runs import (
    MARKED,
    count_attempt,
    count_start,
    forget_open,
    forget_process,
    keep_open,
    keep_process,
    keep_wait,
    times_started,
)
from tasks.lifecycle.reconcile import forget_gone, gone_since
from tasks.lifecycle.run_labels import HOST, PID, STARTED, machine
from tasks.record.open_runs import _is_full

DEAD: dict[str, Any] = {HOST: machine(), PID: 999_999_999, STARTED: 1.0, MARKED: "2026-01-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("process", "gone"),
    [(DEAD, True), (DEAD | {PID: ""}, True), (DEAD | {HOST: "another/boot"}, False), ({}, False)],
    ids=["dead", "ended", "of another machine", "none"],
)
async def test_the_moment_is_kept_until_it_gets_a_new_process(process: dict[str, Any], *, gone: bool) -> None:
    """The first one counts, for as long as the same process is meant."""
    before = datetime.now(UTC)
    if process:
        await keep_process("r1", process)
    first = await gone_since("r1")
    assert (first is not None and first >= before) is gone
    assert await gone_since("r1") == first
    if first is None:
        return
    await keep_process("r1", process | {MARKED: "2026-01-01T00:00:01+00:00"})
    second = await gone_since("r1")
    assert second is not None
    assert second > first, "of the next attempt"
    await forget_gone("r1")
    third = await gone_since("r1")
    assert third is not None
    assert third > second, "it was started again"
    await forget_process("r1")
    assert await gone_since("r1") is None


def process(at: datetime) -> dict[str, Any]:
    """Give a process that was written down at a moment."""
    return DEAD | {MARKED: at.isoformat()}


@pytest.mark.parametrize(
    ("steps", "count"),
    [
        ("b", 1),
        ("bkb", 2),
        ("bkbkb", 3),
        ("bbb", 3),
        ("kkk", 3),
        ("bkkb", 3),
        ("bwb", 1),
        ("bwub", 1),
        ("bwubb", 2),
        ("bwbkb", 2),
        ("bwbwbwb", 1),
    ],
)
async def test_each_start_counts_once_whoever_starts_the_run(steps: str, count: int) -> None:
    """A process (b)egins, the (k)eeper starts it again, it (w)aits, the keeper wakes it (u)p: the ends of its own waits are free."""
    run = f"count-{steps}"
    for step in steps:
        if step == "b":
            await count_attempt(run)
            await keep_process(run, process(datetime.now(UTC)))
        elif step == "w":
            await keep_wait(run, datetime.now(UTC))
        else:
            await count_start(run, counts=step == "k")
            await gone_since(run)
            await forget_gone(run)
    assert await times_started(run) == count
    await forget_open(run)
    assert await times_started(run) == 0


@pytest.mark.parametrize(
    ("limit", "paused", "alive", "full"),
    [(1, False, True, True), (2, False, True, False), (1, True, True, False), (1, False, False, False), (None, False, True, False)],
)
async def test_a_queue_is_full_by_runs_that_live(limit: int | None, alive: bool, full: bool, *, paused: bool) -> None:  # noqa: FBT001
    """Whoever makes runs that look alive on the server does not fill it; a paused one takes nothing."""
    me = psutil.Process()
    process = DEAD | ({PID: me.pid, STARTED: me.create_time()} if alive else {})
    await keep_open("r3")
    await keep_process("r3", process)
    queue = SimpleNamespace(concurrency_limit=limit, is_paused=paused)

    async def read(_: object) -> Any:
        return queue

    client: Any = SimpleNamespace(read_work_queue=read)
    run: Any = SimpleNamespace(id="r4", work_queue_id="q")
    assert await _is_full(client, run) is full
    assert not await _is_full(client, SimpleNamespace(id="r4", work_queue_id=None))  # type: ignore[arg-type]
    await forget_open("r3")
