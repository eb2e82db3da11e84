"""The example service as a process, for the tests of the example."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

EXAMPLE = Path(__file__).parents[2] / "examples" / "guestbook"


class Guestbook(NamedTuple):
    """A running service."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, kind: str = "application/json"
    ) -> tuple[int, bytes, dict[str, str]]:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    def json(self, path: str) -> Any:
        """Read a JSON answer."""
        return json.loads(self.ask(path)[1])

    def stop(self) -> int:
        """Ask it to stop, and return its exit status."""
        self.process.terminate()
        return self.process.wait(10)


Start = Callable[..., Guestbook]


def spawn(folder: Path, *options: str, port: int = 0, database: str = "guestbook.sqlite") -> tuple[subprocess.Popen[str], Path]:
    """Start the service with its log in the folder."""
    log = folder / f"{time.monotonic_ns()}.log"
    words = [sys.executable, str(EXAMPLE / "guestbook.py"), "--port", str(port), "--database", str(folder / database), *options]
    with log.open("w") as output:
        return subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, text=True), log


def wait_for(log: Path, text: str) -> str:
    """Wait for a text in the log."""
    until = time.monotonic() + 10
    while text not in (lines := log.read_text()):
        assert time.monotonic() < until, lines
        time.sleep(0.01)
    return lines


@contextlib.contextmanager
def starter(folder: Path) -> Iterator[Start]:
    """Start services that listen on a free port, and end them all afterwards."""
    running = []

    def one(*options: str) -> Guestbook:
        process, log = spawn(folder, *options)
        running.append(process)
        port = wait_for(log, "ready: schema").split("127.0.0.1:")[1].split(",")[0]
        return Guestbook(process, int(port), log)

    yield one
    for process in running:
        process.kill()
        process.wait()
