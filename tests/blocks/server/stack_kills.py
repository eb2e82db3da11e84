"""Killing a server stack's processes, and waiting for their successors."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from blocks import processes
from blocks.server import lifecycle, supervisor

SERVICES = [service.name for service in supervisor.SERVICES]
READY_SECONDS = 120


def start_apart(home: Path, **asked: Any) -> None:
    """Start a server stack with keys of its own, not those of the one that other tests share, which the environment may name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SHIPWAY_KEY_FILE", raising=False)
        lifecycle.start(home, **asked)


def wait_until_ready(home: Path) -> None:
    """Return when server and worker are ready."""
    lifecycle.wait_for_server(home, timeout_seconds=READY_SECONDS)
    lifecycle.wait_for_worker(home, timeout_seconds=READY_SECONDS)


def pids(home: Path) -> dict[str, int | None]:
    """Give the process ids of the supervisor and its services; None where one does not run."""
    return {name: processes.recorded(home / "run" / f"{name}.pid") for name in ("supervisor", *SERVICES)}


def kill(home: Path, name: str) -> int:
    """Kill a process of the server stack at once, and give its id."""
    pid = pids(home)[name]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert processes.wait(pid, timeout_seconds=5)
    return pid


def wait_for_another(home: Path, name: str, than: int) -> None:
    """Return when the service has a new process."""
    deadline = time.monotonic() + READY_SECONDS
    while pids(home)[name] in (None, than):
        assert time.monotonic() < deadline
        time.sleep(0.05)
