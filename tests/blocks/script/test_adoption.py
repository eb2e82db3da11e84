"""A worker that dies before, inside or after a script: what runs is found and followed, and nothing is run twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import RolloutFailed, Superseded
from blocks.platform import Lease
from blocks.script import run as runs
from blocks.script import state
from tests.blocks.script.apps import App, kill, make_app, until
from tests.forking import Forking, forking

pytestmark = pytest.mark.slow
SLOW, QUICK, HANGS = "1.1-slow", "1.1", "1.1-hangs"
RUN: Any = {"id": "1"}
MOMENTS = [number / 20 for number in range(16)]


@pytest.fixture
def app(tmp_path: Path) -> App:
    """Give an environment in which 1.0 runs."""
    return make_app(tmp_path)


@pytest.fixture(scope="module")
def workers() -> Iterator[Forking]:
    """Give the process that forks workers."""
    with forking(Path(__file__).with_name("workers.py")) as process:
        yield process


async def killed_inside(app: App, workers: Forking) -> Lease:
    """Have a worker killed while its script runs, and give the lease of its next attempt."""
    lease = await app.begin(SLOW)
    worker = app.work(workers, "shift", lease)
    await until(lambda: app.process("script") is not None and app.lines("deployed") == [SLOW])
    await kill(worker)
    return await app.platform().acquire_lease("run-1")


async def expect_deployed(app: App, *, times: int = 1) -> None:
    """Assert that the version runs, well, and that its script ran so often."""
    position = await app.platform().current()
    assert (position["canary"], position["percent"], position["ready"][SLOW]) == (SLOW, 100, True)
    assert app.lines("deployed") == [SLOW] * times


async def test_a_worker_killed_inside_of_a_script_finds_it_and_follows_it(app: App, workers: Forking) -> None:
    """It outlives the worker, and its ending counts."""
    lease = await killed_inside(app, workers)
    assert app.process("process") is not None
    assert any("runs for" in line for line in await app.platform().progress())
    (app.folder / "go").touch()
    await app.platform().shift(100, lease)
    await expect_deployed(app)


async def test_a_worker_killed_after_a_script_finds_what_it_did(app: App, workers: Forking, caplog: pytest.LogCaptureFixture) -> None:
    """The exit code was written without it, and is in the log of the next attempt, once."""
    caplog.set_level("INFO", logger="shipway.script")
    lease = await killed_inside(app, workers)
    (app.folder / "go").touch()
    await until((app.run_folder() / "result.json").exists)
    for _ in range(2):
        await app.platform().shift(100, lease)
    await expect_deployed(app)
    (said,) = [line for line in caplog.messages if "ended before this process looked: it exited with 0" in line]
    assert "run 1 ended" in said


async def test_a_worker_killed_before_its_script_began_has_it_run_once(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run was noted, and its wrapper never came: under the lock that is certain."""
    lease = await app.begin(SLOW)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "begin", die)
        with pytest.raises(KeyboardInterrupt):
            await app.platform().shift(100, lease)
    assert state.load(app.folder / "notes", service="app")["run"] is not None
    (app.folder / "go").touch()
    lease = await app.platform().acquire_lease("run-1")
    await app.platform().shift(100, lease)
    await expect_deployed(app)


async def test_a_wrapper_that_is_slow_to_begin_is_waited_for(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds the lock until its process is written down, so its script is not taken for one that never began."""
    lease = await app.begin(QUICK)
    slow = "import time; from blocks import processes; note = processes.record; "
    slow += "processes.record = lambda *what: (time.sleep(0.5), note(*what)); from blocks.script.wrapper"
    with monkeypatch.context() as patch:
        patch.setattr(runs, "LAUNCH", runs.LAUNCH.replace("from blocks.script.wrapper", slow))
        caller = asyncio.ensure_future(app.platform().shift(100, lease))
        await until(lambda: app.run_folder().exists())
        await asyncio.sleep(0.2)
        caller.cancel()
    assert app.lines("deployed") == []
    lease = await app.platform().acquire_lease("run-1")
    await app.platform().shift(100, lease)
    await asyncio.sleep(0.7)  # longer than the wrapper was slow
    assert app.lines("deployed") == [QUICK]


async def test_half_an_order_begins_nothing(app: App) -> None:
    """A starter that dies while it hands its order over leaves no script behind."""
    (app.folder / "notes").mkdir()
    place = app.folder / "notes" / "runs" / "1"
    place.mkdir(parents=True)
    with state.locked(app.folder / "notes") as lock:
        words = [sys.executable, "-I", "-S", "-c", runs.LAUNCH, runs.PROJECT, str(place), str(lock)]
        ended = await asyncio.to_thread(
            subprocess.run, words, input=b'{"command": ["touch", ', check=False, pass_fds=[lock], stderr=subprocess.DEVNULL
        )
    assert ended.returncode != 0
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("owner", ["rollback", "run-1"], ids=["on demand", "automatic"])
@pytest.mark.parametrize("is_followed", [True, False], ids=["followed", "its wrapper was killed"])
async def test_a_rollback_ends_a_script_that_hangs_with_its_tree_and_then_undoes_it(
    app: App, workers: Forking, owner: str, *, is_followed: bool
) -> None:
    """Two scripts never act at once; the worker that was superseded changes nothing more."""
    lease = await app.begin(HANGS)
    worker = app.work(workers, "shift", lease)
    try:
        await until(lambda: app.process("script") is not None and app.lines("deployed") == [HANGS])
        if not is_followed:
            os.kill(app.process("process") or 0, signal.SIGKILL)
        taken = await app.platform().acquire_lease(owner, takeover=True)
        if owner != "run-1":
            with pytest.raises(Superseded):
                await app.platform().shift(100, lease)
        await app.platform().abort(taken)
    finally:
        await kill(worker)
    position = await app.platform().current()
    assert (position["baseline"], position["canary"], app.lines("version")) == ("1.0", None, ["1.0"])
    assert [line for line in app.lines("asked") if not line.startswith(("status", "verify"))] == [f"deploy {HANGS}", "rollback 1.0"]
    assert app.process("script") is None
    if is_followed:
        assert "as a rollback took over" in runs.ended(app.folder / "notes", RUN).in_words()


async def test_the_script_of_another_rollback_is_followed_to_its_end(app: App, workers: Forking) -> None:
    """It brings a good version, and half of it would be worse; the same rollback in a new process follows it, too."""
    taken = await app.platform().acquire_lease("rollback", takeover=True)
    await app.platform().prepare(SLOW, taken, timeout_seconds=10)
    worker = app.work(workers, "shift", taken)
    await until(lambda: app.process("script") is not None and app.lines("deployed") == [SLOW])
    await kill(worker)
    taken = await app.platform().acquire_lease("another", takeover=True)
    following = asyncio.ensure_future(app.platform().abort(taken))
    await asyncio.sleep(0.7)  # longer than a wrapper takes to see that it is to end
    assert not following.done()
    (app.folder / "go").touch()
    await following
    assert [line for line in app.lines("asked") if line.startswith("rollback")] == ["rollback 1.0"]


async def test_a_script_gone_without_an_exit_code_is_decided_by_status_and_not_run_again(app: App, workers: Forking) -> None:
    """As after a power cut: what was not done has failed, and the abort finds the baseline well."""
    lease = await killed_inside(app, workers)
    for name in ("process", "script"):
        if (pid := app.process(name)) is not None:
            os.kill(pid, signal.SIGKILL)
    await until(lambda: app.process("script") is None)
    with pytest.raises(RolloutFailed, match="gone without an exit code"):
        await app.platform().shift(100, lease)
    assert app.lines("deployed") == [SLOW]
    await app.platform().abort(lease)
    position = await app.platform().current()
    assert (position["baseline"], position["canary"], position["ready"]) == ("1.0", None, {"1.0": True})


async def test_a_script_gone_without_an_exit_code_that_did_it_has_done_it(app: App, workers: Forking) -> None:
    """`status` prints the version, and `verify` finds it well."""
    lease = await killed_inside(app, workers)
    for name in ("process", "script"):
        if (pid := app.process(name)) is not None:
            os.kill(pid, signal.SIGKILL)
    (app.folder / "version").write_text(f"{SLOW}\n")
    await until(lambda: app.process("script") is None)
    await app.platform().shift(100, lease)
    await expect_deployed(app)


async def test_a_script_that_outlives_its_wrapper_is_followed_to_its_end(app: App, workers: Forking) -> None:
    """Without an exit code; what it did is seen."""
    lease = await killed_inside(app, workers)
    os.kill(app.process("process") or 0, signal.SIGKILL)
    await until(lambda: app.process("process") is None)
    assert app.process("script") is not None
    (app.folder / "go").touch()
    await app.platform().shift(100, lease)
    await expect_deployed(app)


@pytest.mark.faults
@pytest.mark.parametrize("seconds", MOMENTS)
async def test_whenever_a_worker_is_killed_each_script_runs_once(app: App, workers: Forking, seconds: float) -> None:
    """Before, inside and after each effect; the next worker finishes it."""
    lease = await app.begin(QUICK)
    for act, ends in (("shift", (QUICK, 100)), ("abort", (None, 0))):
        worker = app.work(workers, act, lease)
        await asyncio.sleep(seconds)
        await kill(worker)
        lease = await app.platform().acquire_lease("run-1")
        await (app.platform().shift(100, lease) if act == "shift" else app.platform().abort(lease))
        position = await app.platform().current()
        assert (position["baseline"], position["canary"], position["percent"]) == ("1.0", *ends)
    assert [line for line in app.lines("asked") if not line.startswith(("status", "verify"))] == [f"deploy {QUICK}", "rollback 1.0"]
