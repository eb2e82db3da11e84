"""An environment for the fault tests, whose script notes in files what it was asked for."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blocks import processes
from blocks.platform import Lease
from blocks.script.platform import ScriptPlatform
from tests.forking import Forking, ended, fork

SCRIPT = Path(__file__).with_name("app.sh")


@dataclass
class App:
    """One folder with the script, and what was noted in it."""

    folder: Path

    def platform(self, **more: Any) -> ScriptPlatform:
        """Give a new instance."""
        script = "./app.sh"
        fields: dict[str, Any] = {
            "service": "app",
            "address": "http://127.0.0.1:1",
            "scripts": {
                "deploy": [script, "deploy", "{version}"],
                "status": [script, "status"],
                "verify": [script, "verify", "{version}"],
                "rollback": [script, "rollback", "{previous}"],
            },
            "working_directory": str(self.folder),
            "folder": str(self.folder / "notes"),
            "timeout_seconds": 20,
            "stop_seconds": 0.2,
        }
        return ScriptPlatform(**{**fields, **more})

    async def begin(self, version: str, **more: Any) -> Lease:
        """Acquire the lease and prepare a version."""
        lease = await self.platform(**more).acquire_lease("run-1")
        await self.platform(**more).prepare(version, lease, timeout_seconds=10)
        return lease

    def lines(self, name: str) -> list[str]:
        """Read one of the script's notes."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def run_folder(self, number: int = 1) -> Path:
        """Give the folder of a run."""
        return self.folder / "notes" / "runs" / str(number)

    def work(self, workers: Forking, act: str, lease: Lease) -> int:
        """Have a worker bring an effect about; gives its process."""
        return fork(workers, {"folder": str(self.folder), "act": act, "lease": lease, "log": str(self.folder / "worker")})

    def process(self, name: str) -> int | None:
        """Give the process of the first run: `process` is its wrapper's, `script` the script's."""
        return processes.recorded(self.run_folder() / f"{name}.json")


def make_app(folder: Path) -> App:
    """Lay the script out, with 1.0 running."""
    shutil.copy(SCRIPT, folder)
    (folder / "version").write_text("1.0\n")
    return App(folder)


async def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    """Wait for something outside of this process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.02)


async def kill(worker: int) -> None:
    """Kill a worker as the kernel does when memory is short."""
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)
    await ended(worker, timeout_seconds=20)
