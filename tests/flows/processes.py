"""The process that forks runs, with the deployments that it runs, and the visitors who come meanwhile."""

from __future__ import annotations

import contextlib
import gc
import http.client
import importlib
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests import forking
from tests.forking import Forking, fork

FLOWS = ("release", "staging", "production", "rollback", "rehearse", "settle", "keeper")
RUN_SECONDS = 170  # below the time limit of a test; a run takes some tens of seconds, and several times that on a loaded machine
HERE = Path(__file__).parent
_numbers = count(1)


@dataclass
class Runner:
    """The process that forks runs."""

    process: Forking
    folder: Path

    def start(self, run: str, flow: str, *, kill_at: int | str = 0) -> tuple[int, Path]:
        """Start a run; gives its process id and the file of the points that it passes."""
        points = self.folder / f"{run}-{next(_numbers)}.points"
        request = {"run": run, "flow": f"flows.{flow}:{flow}", "points": str(points), "kill_at": kill_at}
        return fork(self.process, request), points

    async def run(self, run: str, flow: str, *, kill_at: int | str = 0) -> list[str]:
        """Run to the end of the process; gives the points that it passed."""
        pid, points = self.start(run, flow, kill_at=kill_at)
        await ended(pid)
        return points.read_text().splitlines() if points.exists() else []


async def ended(pid: int, *, timeout_seconds: float = RUN_SECONDS) -> None:
    """Return when the process of a run has ended."""
    await forking.ended(pid, timeout_seconds=timeout_seconds)


@contextlib.contextmanager
def running(folder: Path, environment: dict[str, str]) -> Iterator[Runner]:
    """Start the forking process, and end it with the tests."""
    with forking.forking(HERE / "runner.py", environment) as process:
        yield Runner(process, folder)


async def deploy_trials() -> None:
    """Make a deployment of each flow that no worker takes."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client:
        for name in FLOWS:
            flow = getattr(importlib.import_module(f"flows.{name}"), name)
            flow_id = await client.create_flow(flow)
            await client.create_deployment(
                flow_id=flow_id, name="trial", entrypoint=f"flows.{name}.{name}", tags=["shipway", "shipway:open"]
            )


async def hang_up() -> None:
    """End the connections on which this process tells the server of events."""
    from prefect.events.worker import EventsWorker  # noqa: PLC0415

    found: Any = EventsWorker.drain_all(timeout=5, at_exit=False)
    await found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@dataclass
class Traffic:
    """Visitors of one address: what each of their requests was answered, with its moment; 0 is not an answer."""

    answers: list[tuple[float, int]] = field(default_factory=list)

    def since(self, moment: float) -> list[int]:
        """Give the answers since a moment."""
        return [status for at, status in self.answers if at >= moment]


@contextlib.contextmanager
def traffic(url: str, *, rate: float = 60) -> Iterator[Traffic]:
    """Let visitors come while something else goes on."""
    seen, over = Traffic(), threading.Event()

    def visit() -> None:
        host = url.removeprefix("http://")
        while not over.wait(1 / rate):
            connection = http.client.HTTPConnection(host, timeout=10)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                seen.answers.append((time.time(), answer.status))
            except OSError:
                seen.answers.append((time.time(), 0))
            finally:
                connection.close()

    thread = threading.Thread(target=visit, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
