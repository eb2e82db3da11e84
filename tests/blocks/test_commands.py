"""A program is bounded in time and output and leaves nothing behind."""

import asyncio
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from blocks.commands import run_command


async def test_exit_code_and_both_outputs_are_kept(tmp_path: Path) -> None:
    """The output is that of stdout, the tail holds both, the fault names the exit code."""
    ended = await run_command(["sh", "-c", "pwd; echo oops >&2; exit 3"], folder=tmp_path, timeout_seconds=10)
    assert ended.exit_code == 3
    assert ended.output.decode().strip() == str(tmp_path)
    assert "oops" in ended.tail
    assert "exited with 3" in ended.fault


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["no-such-program"], 127, "was not found"),
        (["a\0b"], 126, "cannot be run"),
        (["/etc"], 126, "cannot be run"),
        (["sh", "-c", "kill -9 $$"], -9, "signal 9"),
    ],
)
async def test_what_cannot_run_is_said_and_not_raised(tmp_path: Path, command: list[str], code: int, words: str) -> None:
    """Absent programs, folders and signals end in a fault."""
    ended = await run_command(command, folder=tmp_path, timeout_seconds=10)
    assert ended.exit_code == code
    assert words in ended.fault


async def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    """Shell characters in an argument arrive as they are."""
    ended = await run_command(["printf", "%s", "$(id);*"], folder=tmp_path, timeout_seconds=10)
    assert ended.output == b"$(id);*"


async def test_the_tail_begins_with_a_whole_line(tmp_path: Path) -> None:
    """Half a line could be half a secret, which nothing would find."""
    script = "print('secret' * 1000); print('x' * 5000); print('last')"
    ended = await run_command([sys.executable, "-c", script], folder=tmp_path, timeout_seconds=10)
    assert ended.tail.startswith("xxx")
    assert ended.tail.rstrip().endswith("last")


async def test_a_program_gets_the_signals_and_the_environment_of_a_shell(tmp_path: Path) -> None:
    """What starts it leaves no trace: a pipe that breaks ends a program, and no locale is there that no one named."""
    ended = await run_command(
        ["/bin/sh", "-c", "grep SigIgn /proc/self/status; env"], folder=tmp_path, timeout_seconds=10, environment={"PATH": "/usr/bin:/bin"}
    )
    ignored, *environment = ended.output.decode().split("\n")
    assert int(ignored.split()[1], 16) & (1 << 12 | 1 << 24) == 0
    assert {line.partition("=")[0] for line in environment if line} - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH", "SHIPWAY_COMMAND"}


async def test_output_is_bounded(tmp_path: Path) -> None:
    """A program that writes without end costs 2 MB and its time."""
    ended = await run_command(["yes"], folder=tmp_path, timeout_seconds=0.5)
    assert ended.exit_code is None
    assert (len(ended.output), ended.cut) == (2_000_000, True)
    assert len(ended.tail) <= 8_000


STRAYS = {
    "a child in the background": "sleep 60 & echo $! > pid; exit 0",
    "a child in a session of its own": "setsid sh -c 'echo $$ > pid; exec sleep 60' & sleep 0.3; exit 0",
    "a child that ignores the polite signal": "trap '' TERM; sleep 60 & echo $! > pid; wait; sleep 60",
}


@pytest.mark.parametrize("script", STRAYS.values(), ids=STRAYS.keys())
async def test_children_end_with_the_program(tmp_path: Path, script: str) -> None:
    """Whether the program ends or is ended, nothing that it started stays, and nothing is waited for."""
    start = time.monotonic()
    await run_command(["sh", "-c", script], folder=tmp_path, timeout_seconds=1)
    assert time.monotonic() - start < 8
    assert await is_gone(int((tmp_path / "pid").read_text()))


async def test_a_cancelled_run_ends_its_program(tmp_path: Path) -> None:
    """Cancelling the task that waits kills what it waits for, and leaks no file descriptor."""
    await run_command(["true"], folder=tmp_path, timeout_seconds=5)
    before = open_files()
    run = asyncio.create_task(run_command(["sh", "-c", "echo $$ > pid; exec sleep 60"], folder=tmp_path, timeout_seconds=60))
    assert await has_content(tmp_path / "pid")
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await is_gone(int((tmp_path / "pid").read_text()))
    await asyncio.sleep(0.05)
    assert open_files() <= before


def open_files() -> int:
    """Count this process's file descriptors."""
    return len(list(Path("/proc/self/fd").iterdir()))


def written(file: Path) -> bool:
    """Return whether a file is there and holds something."""
    return file.exists() and bool(file.read_text().strip())


async def has_content(file: Path) -> bool:
    """Wait up to 5 s until a file is written."""
    for _ in range(250):
        if written(file):
            return True
        await asyncio.sleep(0.02)
    return False


async def is_gone(pid: int) -> bool:
    """Wait up to 3 s for a process to end (an orphan is reaped by init in its own time)."""
    for _ in range(60):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        await asyncio.sleep(0.05)
    return False


async def test_a_program_ends_with_who_started_it_however_that_was_killed(tmp_path: Path) -> None:
    """A killed release leaves no smoke test behind that works beside the next attempt."""
    call = "run_command(['sh', '-c', 'echo $$ > pid; exec sleep 60'], folder='.', timeout_seconds=90)"
    code = f"import asyncio; from blocks.commands import run_command; asyncio.run({call})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=tmp_path, env=environment)
    assert await has_content(tmp_path / "pid")
    starter.kill()
    await starter.wait()
    assert await is_gone(int((tmp_path / "pid").read_text()))
