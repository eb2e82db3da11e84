"""A process that is gone, or shows no life beside the key, stays gone, whatever is written of its run."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from blocks.errors import Refused
from blocks.key_folder.kept_files import write_kept
from flows.lifecycle.acting import acting_for
from tasks.lifecycle import beats, kept_runs
from tasks.lifecycle.beats import beat
from tasks.lifecycle.kept_runs import (
    BEAT,
    MARKED,
    beat_of,
    count_attempt,
    count_start,
    forget_open,
    keep_open,
    keep_process,
    keep_wait,
    process_of,
    times_started,
)
from tasks.lifecycle.run_labels import HOST, PID, STARTED, is_this_process, machine, this_process
from tasks.lifecycle.seeing import acts_now, forget_gone, gone_since, idle_since
from tasks.record.open_runs import _is_full

DEAD: dict[str, Any] = {HOST: machine(), PID: 999_999_999, STARTED: 1.0, MARKED: "2026-01-01T00:00:00+00:00"}


ELSEWHERE = DEAD | {HOST: "another/boot"}
REBOOTED = DEAD | {HOST: f"{machine().partition('/')[0]}/the boot before"}


@pytest.mark.parametrize(
    "process",
    [DEAD, DEAD | {PID: ""}, ELSEWHERE, REBOOTED],
    ids=["dead", "ended", "of another machine", "of an earlier boot"],
)
async def test_the_moment_is_kept_until_it_gets_a_new_process(process: dict[str, Any]) -> None:
    """The first one counts, for as long as the same process is meant; whatever the server says meanwhile."""
    before = datetime.now(UTC)
    await keep_process("r1", process)
    assert await gone_since("r1", at_work=False) is None
    first = await gone_since("r1", at_work=True)
    assert first is not None
    assert first >= before
    assert await gone_since("r1", at_work=True) == await gone_since("r1", at_work=False) == first
    await keep_process("r1", process | {MARKED: "2026-01-01T00:00:01+00:00"})
    second = await gone_since("r1", at_work=True)
    assert second is not None
    assert second > first, "of the next attempt"
    await forget_gone("r1")
    third = await gone_since("r1", at_work=True)
    assert third is not None
    assert third > second, "it was started again"
    await forget_open("r1")
    assert await gone_since("r1", at_work=True) is None


async def test_a_process_elsewhere_lives_for_as_long_as_it_shows_it_beside_the_key() -> None:
    """Two owners of one release are worse than none: each sign that it keeps begins the time anew."""
    await keep_process("r1", ELSEWHERE)
    first = await gone_since("r1", at_work=True)
    assert not await acts_now("r1")
    write_kept(BEAT, "r1", {MARKED: ELSEWHERE[MARKED], "at": datetime.now(UTC).isoformat()}, what="a sign")
    second = await gone_since("r1", at_work=True)
    assert await acts_now("r1")
    assert first is not None
    assert second is not None
    assert second > first
    await keep_wait("r1", datetime.now(UTC))
    third = await gone_since("r1", at_work=True)
    assert third is not None
    assert third > second, "it waited, and whoever resumes it starts a new process"
    await forget_open("r1")


async def test_one_of_which_no_process_is_kept_stands_still_if_it_has_begun() -> None:
    """Labels and process numbers on the server are anyone's words."""
    assert await gone_since("r1", at_work=True) is None
    assert await idle_since("r1", is_due=True) is None
    await keep_open("r1")
    assert await gone_since("r1", at_work=True) is not None
    assert await idle_since("r1", is_due=False) is None
    assert await idle_since("r1", is_due=True) is not None
    await forget_open("r1")


async def test_this_process_lives_and_shows_it() -> None:
    """It keeps itself if that failed as it began; a newer process, of the same number or not, is left as it is."""
    beat("r1")
    assert await process_of("r1") == {}, "it has not begun"
    await keep_open("r1")
    beat("r1")
    kept = await process_of("r1")
    assert is_this_process(kept)
    beat("r1")
    shown = await beat_of("r1")
    assert shown is not None
    assert await acts_now("r1")
    assert await gone_since("r1", at_work=True) is None
    for other in (ELSEWHERE, this_process() | {STARTED: 1.0}, kept | {PID: ""}):
        await keep_process("r1", other | {MARKED: "2026-01-01T00:00:01+00:00"})
        beat("r1")
        assert await beat_of("r1") is None, "what it showed is not the other's"
        assert not await acts_now("r1")
    await forget_open("r1")


async def test_whatever_acts_for_a_run_shows_that_it_lives_until_it_does_not_act_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while it computes: a thread of its own does it. A worker that carried a cancellation out lives on, and shows nothing then."""
    monkeypatch.setattr(beats, "BEAT_SECONDS", 0.01)
    await keep_process("r1", this_process())
    with acting_for("r1"):
        while await beat_of("r1") is None:
            time.sleep(0.01)  # noqa: ASYNC251 - nothing else of this process goes on
    while any("r1" in thread.name for thread in threading.enumerate()):
        time.sleep(0.01)  # noqa: ASYNC251
    await forget_open("r1")


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
            await gone_since(run, at_work=True)
            await forget_gone(run)
    assert await times_started(run) == count
    await forget_open(run)
    assert await times_started(run) == 0


async def test_of_many_starts_at_once_none_is_lost(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The keeper counts one while the run's process counts another; a folder that cannot be written is said."""
    run = "count-at-once"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: asyncio.run(count_start(run)), range(16)))
    assert await times_started(run) == 16
    await forget_open(run)

    def full(*_: Any, **__: Any) -> None:
        raise Refused("no space is left")

    monkeypatch.setattr(kept_runs, "write_kept", full)
    await count_start(run)
    assert "a start of the run count-at-once could not be counted: no space is left" in caplog.text


R3, R4 = "33333333-2222-3333-4444-555555555555", "44444444-2222-3333-4444-555555555555"
ME = DEAD | {PID: psutil.Process().pid, STARTED: psutil.Process().create_time()}


@pytest.mark.parametrize(
    ("limit", "paused", "process", "queue", "full"),
    [
        (1, False, ME, "q", True),
        (2, False, ME, "q", False),
        (1, True, ME, "q", False),
        (1, False, DEAD, "q", False),
        (1, False, ELSEWHERE, "q", False),
        (1, False, ME, "another", False),
        (None, False, ME, "q", False),
    ],
    ids=["lives", "a place is free", "paused", "dead", "waits, of another machine", "of another queue", "no limit"],
)
async def test_a_queue_is_full_by_runs_that_live(
    limit: int | None, process: dict[str, Any], queue: str, *, paused: bool, full: bool
) -> None:
    """Whoever makes runs that look alive on the server does not fill it; a paused one takes nothing."""
    await keep_open(R3)
    await keep_process(R3, process)
    found = SimpleNamespace(concurrency_limit=limit, is_paused=paused)

    async def read(_: object) -> Any:
        return found

    async def read_run(_: object) -> Any:
        return SimpleNamespace(work_queue_id=queue)

    client: Any = SimpleNamespace(read_work_queue=read, read_flow_run=read_run)
    run: Any = SimpleNamespace(id=R4, work_queue_id="q")
    assert await _is_full(client, run) is full
    assert not await _is_full(client, SimpleNamespace(id=R4, work_queue_id=None))  # type: ignore[arg-type]
    await forget_open(R3)
