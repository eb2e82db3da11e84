"""A real Prometheus that scrapes twice a second, for the tests of whatever asks one."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 60
CONFIGURATION = """
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
  - {{job_name: shop, honor_labels: true, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
"""
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_numbers = itertools.count(1)


@dataclass
class Exporter:
    """One process that publishes counters.

    Fields:
        labels: Labels of all its series, `instance` among them.
        count: What it counted, by status.
        slow: How many of these were slower than 0.25 s.
        silent: Whether it publishes nothing now.
    """

    labels: dict[str, str]
    count: Counter[str] = field(default_factory=Counter)
    slow: int = 0
    silent: bool = False

    def serve(self, good: int, bad: int = 0, *, slow: int = 0) -> None:
        """Count requests."""
        self.count.update({"200": good, **({"500": bad} if bad else {})})
        self.slow += slow

    def restart(self) -> None:
        """Begin again at zero, as a new process does."""
        self.count.clear()
        self.slow = 0

    def text(self) -> str:
        """Write what is scraped."""
        total = sum(self.count.values())
        lines = [self._line("http_requests_total", number, status=status) for status, number in sorted(self.count.items())]
        for bound, number in (("0.1", total - self.slow), ("0.25", total - self.slow), ("1.0", total), ("+Inf", total)):
            lines.append(self._line("http_request_duration_seconds_bucket", number, le=bound))
        return "".join([*lines, self._line("http_request_duration_seconds_count", total)])

    def _line(self, name: str, number: int, **more: str) -> str:
        labels = ",".join(f'{key}="{value.translate(ESCAPES)}"' for key, value in (self.labels | more).items())
        return f"{name}{{{labels}}} {number}\n"


class _Scrape(BaseHTTPRequestHandler):
    """Answers a scrape with what all exporters publish."""

    def do_GET(self) -> None:
        """Answer."""
        exporters: list[Exporter] = self.server.exporters  # type: ignore[attr-defined]
        body = "".join(exporter.text() for exporter in list(exporters) if not exporter.silent).encode()
        with contextlib.suppress(ConnectionError):  # a scrape that was given up; its trace would be in the output of any other test
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@dataclass
class PrometheusServer:
    """A running server, and the exporters that it scrapes, each an instance of its own."""

    port: int
    process: subprocess.Popen[bytes]
    exporters: list[Exporter]

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, query: str) -> Any:
        """Ask an expression now."""
        data = urllib.parse.urlencode({"query": query}).encode()
        with urllib.request.urlopen(f"{self.url}/api/v1/query", data, timeout=10) as answer:  # noqa: S310
            return json.load(answer)["data"]["result"]

    @contextlib.contextmanager
    def exporting(self, **labels: str) -> Iterator[Exporter]:
        """Publish counters under these labels until the end of the block."""
        exporter = Exporter({"instance": f"pod-{next(_numbers)}", **labels})
        self.exporters.append(exporter)
        try:
            yield exporter
        finally:
            self.exporters.remove(exporter)

    def scraped(self, exporter: Exporter) -> None:
        """Wait until Prometheus has what an exporter counts now."""
        query = f'http_request_duration_seconds_count{{instance="{exporter.labels["instance"]}"}} == {sum(exporter.count.values())}'
        until = time.monotonic() + START_SECONDS
        while not self.ask(query):
            assert time.monotonic() < until, query
            time.sleep(0.05)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Hold the server's process up, so that it takes requests and answers none."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def exporters() -> Iterator[tuple[int, list[Exporter]]]:
    """Serve what exporters publish on a free port until the end of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Scrape) as server:
        server.daemon_threads = True
        found: list[Exporter] = []
        server.exporters = found  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port, found
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def running(folder: Path, *options: str) -> Iterator[PrometheusServer]:
    """Run a server in a folder of its own, with more of its options."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("there is no Prometheus on this machine: apt-get install prometheus")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *options,
    ]
    with exporters() as (scraped, found), (folder / "log").open("wb") as log:
        (folder / "prometheus.yml").write_text(CONFIGURATION.format(port=scraped))
        process = subprocess.Popen([program, *words], stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        server = PrometheusServer(port, process, found)
        try:
            _until_ready(server, folder / "log")
            yield server
        finally:
            process.kill()
            process.wait()


def _until_ready(server: PrometheusServer, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{server.url}/-/ready", timeout=5).close()  # noqa: S310
            return
        assert time.monotonic() < until, log.read_text()[-2000:]
        assert server.process.poll() is None, log.read_text()[-2000:]
        time.sleep(0.05)


@pytest.fixture(scope="session")
def prometheus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """Return a server that scrapes twice a second whatever is exported; each test labels its own series."""
    with running(tmp_path_factory.mktemp("prometheus")) as server:
        yield server
