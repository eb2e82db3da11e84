"""Processes of a local environment, and what they do to each other."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from blocks.local.agent import process

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
TRACE = """
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, int(sys.argv[1]), None, None):  # PTRACE_ATTACH
    sys.exit(3)
print("attached", flush=True)
time.sleep(60)
"""


@pytest.fixture
def tracers() -> Iterator[list[subprocess.Popen[str]]]:
    """Keep the tracers of a test, and end them."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for one in started:
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
        one.communicate(timeout=10)


@pytest.mark.slow
@pytest.mark.parametrize("stop_seconds", [0.2, 5])
async def test_a_process_that_another_one_traces_is_ended_without_waiting_for_its_tracer(
    tmp_path: Path, tracers: list[subprocess.Popen[str]], stop_seconds: float
) -> None:
    """A version once attached to the one beside it: the agent waited for the exit status for ever, and with it every request."""
    traced = process.start(SLEEP, working_directory=tmp_path, environment=dict(os.environ), log=tmp_path / "log")
    words = [sys.executable, "-S", "-c", TRACE, str(traced.pid)]
    tracer = await asyncio.to_thread(subprocess.Popen, words, stdout=subprocess.PIPE, text=True)
    tracers.append(tracer)
    assert tracer.stdout is not None
    if await asyncio.to_thread(tracer.stdout.readline) != "attached\n":
        await process.stop(traced, stop_seconds=1)
        process.release(traced)
        pytest.skip("this machine lets no process trace its neighbour (kernel.yama.ptrace_scope); run it as root or with 0 there")
    began = time.monotonic()
    await process.stop(traced, stop_seconds=stop_seconds)
    said = process.release(traced)
    assert "held by a process that traces it" in said
    assert time.monotonic() - began < stop_seconds + process.DEATH_SECONDS + 5
    assert (Path("/proc") / str(traced.pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    os.kill(tracer.pid, signal.SIGKILL)
    await asyncio.to_thread(tracer.wait)
    other = process.start(SLEEP, working_directory=tmp_path, environment=dict(os.environ), log=tmp_path / "log")
    await process.stop(other, stop_seconds=1)
    assert process.release(other) == "was ended by SIGTERM"
    assert traced.child not in process._unburied


async def test_a_process_that_ends_says_how(tmp_path: Path) -> None:
    """Its status, or the signal."""
    command = [sys.executable, "-S", "-c", "raise SystemExit(3)"]
    one = process.start(command, working_directory=tmp_path, environment=dict(os.environ), log=tmp_path / "log")
    await asyncio.wait_for(asyncio.shield(one.exited), 20)
    assert process.release(one) == "exited with status 3"
