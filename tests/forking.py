"""A process that loads what is slow to load, and forks a child for every request: one that may be told where to die.

The script reads a JSON object a line and answers each with the child's process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
Json = dict[str, Any]
Forking = subprocess.Popen[str]


def serve(act: Callable[[Json], object], *, log: str) -> None:
    """Fork for every line; in the script.

    Args:
        act: What a child does with its request.
        log: The request's field that names a file; the child writes to the same name with the suffix `.log`.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            request = json.loads(line)
            _become(act, request, Path(request[log]).with_suffix(".log"))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become(act: Callable[[Json], object], request: Json, log: Path) -> NoReturn:
    status = 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        act(request)
        status = 0
    except BaseException:  # noqa: BLE001 - the last frame of a process
        traceback.print_exc()
    finally:
        os._exit(status)


@contextlib.contextmanager
def forking(script: Path, environment: dict[str, str] | None = None) -> Iterator[Forking]:
    """Start a script that serves, and end it with the tests; in a test."""
    env = {**os.environ, **(environment or {}), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        yield process
        process.terminate()


def fork(process: Forking, request: Json) -> int:
    """Ask for a child, and give its process id."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return int(process.stdout.readline())


async def ended(pid: int, *, timeout_seconds: float) -> None:
    """Return when a process has ended."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            ready = await asyncio.to_thread(select.select, [handle], [], [], timeout_seconds)
            assert ready[0], f"process {pid} still runs after {timeout_seconds} s"
        finally:
            os.close(handle)
