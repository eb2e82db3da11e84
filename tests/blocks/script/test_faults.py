"""Scripts that fail in every way have a clear outcome, leave nothing running that is not said, and are not run twice."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from blocks.errors import BadInput, Permanent, RolloutFailed, Temporary
from blocks.script import run as runs
from blocks.script.run import MARK
from blocks.script.wrapper import MOST_BYTES
from tests.blocks.script.apps import App, make_app

pytestmark = pytest.mark.slow
FLOOD_SECONDS = 1.5


@pytest.fixture
def app(tmp_path: Path) -> App:
    """Give an environment in which 1.0 runs."""
    return make_app(tmp_path)


def living(mark: str) -> list[str]:
    """Name the processes whose session or environment is a run's, or whose folder is the app's."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd") == mark and (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX":  # noqa: PTH115
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found


async def fail(app: App, version: str, **more: object) -> RolloutFailed:
    """Deploy a version that fails."""
    lease = await app.begin(version, **more)
    with pytest.raises(RolloutFailed) as caught:
        await app.platform(**more).shift(100, lease)
    return caught.value


async def test_a_script_that_sends_its_output_elsewhere_is_followed_to_its_end(app: App) -> None:
    """Its exit code counts, and nothing of it is left; as scripts do that write a log of their own."""
    error = await fail(app, "1.1redirects")
    assert "exited with 3" in str(error)
    assert living(str(app.folder)) == []


@pytest.mark.parametrize(
    ("deploy", "field"),
    [("./missing.sh", "does not exist"), ("./plain.txt", "is not executable"), ("./notes", "does not exist"), ("no-such-program", "PATH")],
    ids=["missing", "not executable", "a folder", "not on PATH"],
)
async def test_a_program_that_cannot_be_run_is_found_before_anything_changes(app: App, deploy: str, field: str) -> None:
    """By `prepare`, with the field that names it."""
    (app.folder / "plain.txt").write_text("#!/bin/sh\n")
    scripts = {**app.platform().scripts.model_dump(), "deploy": [deploy, "{version}"]}
    lease = await app.platform().acquire_lease("run-1")
    with pytest.raises(BadInput, match=rf"scripts\.deploy\[0\].*{field}"):
        await app.platform(scripts=scripts).prepare("1.1", lease, timeout_seconds=5)
    position = await app.platform().current()
    assert (position["baseline"], position["canary"]) == ("1.0", None)


async def test_a_file_that_is_not_a_program_is_named(app: App) -> None:
    """The kernel's own words, and what to look at."""
    (app.folder / "text").write_text("echo I have not said who reads me\n")
    (app.folder / "text").chmod(0o755)
    scripts = {**app.platform().scripts.model_dump(), "deploy": ["./text"]}
    lease = await app.begin("1.1", scripts=scripts)
    with pytest.raises(BadInput, match="Exec format error"):
        await app.platform(scripts=scripts).shift(100, lease)


async def test_a_script_that_hangs_is_ended_with_all_that_it_started(app: App) -> None:
    """Also what left its session and its environment; what it said last is the evidence."""
    error = await fail(app, "1.1-hangs", timeout_seconds=0.7)
    assert "timed out after" in str(error)
    assert "waiting for the database" in error.evidence
    assert living(str(app.folder)) == []


async def test_a_script_that_asks_for_input_ends_at_once(app: App) -> None:
    """There is none to be had, and the question is the evidence."""
    began = time.monotonic()
    error = await fail(app, "1.1-asks")
    assert "exited with 1" in str(error)
    assert any("Password:" in line for line in error.evidence)
    assert time.monotonic() - began < 15


async def test_a_script_that_prints_without_end_fills_no_disk(app: App) -> None:
    """Two megabytes are kept, and its time limit holds."""
    error = await fail(app, "1.1-floods", timeout_seconds=FLOOD_SECONDS)
    assert "timed out" in str(error)
    kept = sum(path.stat().st_size for path in app.run_folder().iterdir())
    assert kept < 2.5 * MOST_BYTES
    assert error.evidence[-1].startswith("01234")


async def test_a_script_that_is_killed_says_by_which_signal(app: App) -> None:
    """It is not a success."""
    assert "was killed by signal 9" in str(await fail(app, "1.1-dies"))


async def test_a_script_that_fails_leaves_nothing_running_and_shows_no_secret(app: App) -> None:
    """Nothing of it may run beside the rollback; its last lines are the evidence."""
    error = await fail(app, "1.1-fails", environment={"TOKEN": "hunter2-and-more"})
    assert "exited with 3" in str(error)
    assert any("no space left" in line for line in error.evidence)
    assert "hunter2" not in f"{error} {error.evidence}"
    assert living(str(app.folder)) == []
    state = (app.folder / "notes" / "state.json").read_text()
    assert "hunter2" not in state + "".join(path.read_text() for path in app.run_folder().glob("*.json"))


async def test_a_script_that_exits_with_0_without_having_done_it_has_failed(app: App) -> None:
    """What runs is what `status` prints."""
    error = await fail(app, "1.1-lies")
    assert "exited with 0, but `status` prints `1.0`, not `1.1-lies`" in str(error)


async def test_a_version_that_is_deployed_and_not_well_has_failed_and_is_rolled_back(app: App) -> None:
    """`verify` decides, and the abort brings the baseline back."""
    error = await fail(app, "1.1-ill")
    assert "1.1-ill does not answer" in str(error)
    lease = await app.platform().acquire_lease("rollback", takeover=True)
    await app.platform().abort(lease)
    assert app.lines("version") == ["1.0"]
    assert (await app.platform().current())["ready"] == {"1.0": True}


async def test_a_script_that_asks_for_another_try_gets_it(app: App) -> None:
    """Exit code 75, EX_TEMPFAIL, is the one ending after which a script is run again."""
    lease = await app.begin("1.1-busy")
    for _ in range(2):
        with pytest.raises(Temporary, match="75"):
            await app.platform().shift(100, lease)
    await app.platform().shift(100, lease)
    assert app.lines("deployed") == ["1.1-busy"] * 3
    assert (await app.platform().current())["percent"] == 100


@pytest.mark.parametrize(
    ("dies", "why"),
    [("raise OSError(28, 'No space left on device')", r"OSError: \[Errno 28\] No space left on device"), ("", "as on a full disk")],
    ids=["with words", "without words"],
)
async def test_a_script_whose_wrapper_did_not_begin_it_says_why_and_may_be_tried_again(
    app: App, monkeypatch: pytest.MonkeyPatch, dies: str, why: str
) -> None:
    """By the last line that the wrapper wrote; one that is full could write none."""
    lease = await app.begin("1.1")
    with monkeypatch.context() as patch:
        patch.setattr(runs, "LAUNCH", dies)
        with pytest.raises(Temporary, match=f"deploy 1.1: it was not begun: .*{why}; see .*wrapper.log"):
            await app.platform().shift(100, lease)
    await app.platform().shift(100, lease)
    assert app.lines("deployed") == ["1.1"]


async def test_a_failure_stays_one_and_is_not_run_again_for_the_same_release(app: App) -> None:
    """A release that goes on after a crash is told the same; the next release may try."""
    await fail(app, "1.1-fails")
    lease = await app.platform().acquire_lease("run-1")
    with pytest.raises(RolloutFailed, match="exited with 3"):
        await app.platform().shift(100, lease)
    assert app.lines("deployed") == ["1.1-fails"]
    await app.platform().release_lease(lease)
    lease = await app.platform().acquire_lease("run-2")
    with pytest.raises(RolloutFailed, match="exited with 3"):
        await app.platform().shift(100, lease)
    assert app.lines("deployed") == ["1.1-fails"] * 2


async def test_what_a_script_leaves_that_succeeded_is_the_service_and_lives_on(app: App) -> None:
    """It holds nothing up, and goes on to print into what was the script's output."""
    lease = await app.begin("1.1-leaves")
    await app.platform().shift(100, lease)
    pid = int(app.lines("left")[0])
    try:
        await asyncio.sleep(0.5)
        os.kill(pid, 0)
        environment = Path(f"/proc/{pid}/environ").read_bytes()  # noqa: ASYNC240
        assert MARK.encode() in environment
        assert f"{pid} (" in (app.run_folder() / "result.json").read_text()
    finally:
        os.kill(pid, signal.SIGKILL)


async def test_a_status_that_cannot_be_read_stops_all_but_moves_nothing(app: App) -> None:
    """Neither a version nor nothing: it is not guessed what runs."""
    (app.folder / "version").write_text("1.0\n1.1\n")
    lease = await app.platform().acquire_lease("run-1")
    with pytest.raises(Permanent, match="must print one line"):
        await app.platform().prepare("1.1", lease, timeout_seconds=5)
    (app.folder / "version").unlink()
    with pytest.raises(Permanent, match=r"exited with 1.*No such file"):
        await app.platform().current()
    assert app.lines("deployed") == []


async def test_an_abort_before_any_script_ran_runs_none(app: App) -> None:
    """There is nothing to undo."""
    lease = await app.begin("1.1")
    await app.platform().abort(lease)
    assert not any(line.startswith("rollback") for line in app.lines("asked"))
