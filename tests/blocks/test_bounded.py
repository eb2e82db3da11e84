"""Every client reads raw bytes up to a bound: bombs, answers without an end, drips and endless headers cost little memory and time."""

from __future__ import annotations

import ast
import gzip
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from blocks import bounded
from blocks.bounded import EncodedError, TooLongError, read_chunks, read_open
from blocks.errors import Unreachable
from blocks.git import process
from blocks.kubernetes.api import client
from blocks.kubernetes.api.client import Cluster
from tests.faulty_http import FaultyHandler, FaultyHttp, running
from tests.source_trees import tree_of

ROOT = Path(__file__).parents[2]
RAW = {"aiter_raw", "iter_any"}
WHOLE = {
    "aread",
    "aiter_bytes",
    "aiter_text",
    "aiter_lines",
    "iter_bytes",
    "iter_raw",
    "iter_chunked",
    "iter_chunks",
    "communicate",
    "readexactly",
}
# These pass bytes on without keeping them, or read what a child of their own says.
FREE = {"blocks/local/router/router.py", "blocks/script/run.py", "flows/commands/_demo.py"}
CLIENTS = {"AsyncClient", "Client", "ClientSession", "ApiClient", "HTTPConnection", "HTTPSConnection", "urlopen", "build_opener"}
MEGABYTE = 1_000_000
BOMB = gzip.compress(gzip.compress(bytes(100 * MEGABYTE)))


class Handler(FaultyHandler):
    """Answers as its path says."""

    def take(self, body: bytes) -> None:
        """Answer."""
        del body
        self.answer(self.path.partition("?")[0].strip("/").rpartition("/")[2])

    def answer_well(self) -> None:
        """Send a short answer."""
        self._reply(200, b'{"items": [], "metadata": {"resourceVersion": "1"}}')

    def answer_bomb(self) -> None:
        """Send 100 MB in 100 kB, compressed twice."""
        self._reply(200, BOMB, **{"Content-Encoding": "gzip, gzip"})

    def answer_headers(self) -> None:
        """Send headers without an end."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.server.over.is_set():
            self.wfile.write(b"X-Endless: " + b"a" * 1_000 + b"\r\n")

    def answer_failure(self) -> None:
        """Refuse at a length of 1 GB."""
        self._head(500, 1_000 * MEGABYTE)
        for _ in range(1_000):
            self.wfile.write(b" " * MEGABYTE)


@pytest.fixture
def faulty() -> Iterator[FaultyHttp]:
    """Serve every fault."""
    with running(FaultyHttp(Handler)) as found:
        yield found


@pytest.fixture
def cluster(faulty: FaultyHttp, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Give the official client of this server, with small bounds."""
    kubernetes: Any = pytest.importorskip("kubernetes.client")
    monkeypatch.setattr(client, "MOST_BYTES", MEGABYTE)
    monkeypatch.setattr(client, "READ_SECONDS", 0.5)
    configuration = kubernetes.Configuration(host=faulty.url)
    configuration.retries = False
    return Cluster(kubernetes.ApiClient(configuration), "shop")


@pytest.mark.parametrize("fault", ["bomb", "gigabyte", "drip", "headers", "failure", "torn"])
async def test_an_api_server_cannot_fill_the_memory(cluster: Cluster, fault: str) -> None:
    """Whatever it sends, it is unreachable within a second and a few megabytes; the next answer is read."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(Unreachable):
            await cluster.content("GET", f"/{fault}", timeout_seconds=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * MEGABYTE
    assert time.monotonic() - began < 5
    assert b"items" in await cluster.content("GET", "/well")


@pytest.mark.parametrize("fault", ["bomb", "gigabyte", "headers"])
async def test_raw_chunks_are_read_up_to_the_bound(faulty: FaultyHttp, fault: str) -> None:
    """A bomb stays as small as it came; headers without an end are refused by the client's own bound."""
    async with httpx.AsyncClient() as http:
        if fault == "headers":
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get(f"{faulty.url}/headers")
            return
        async with http.stream("GET", f"{faulty.url}/{fault}", headers=bounded.PLAIN) as answer:
            body, cut = await read_chunks(answer.aiter_raw(), most_bytes=MEGABYTE)
    assert (len(body) <= MEGABYTE, cut) == (True, fault == "gigabyte")


class Slow:
    """An answer that drips, or is long."""

    def __init__(self, piece: bytes, *, pause: float = 0) -> None:
        """Say this again and again."""
        self.piece, self.pause = piece, pause

    def read(self, _amt: int) -> bytes:
        """Give the piece."""
        time.sleep(self.pause)
        return self.piece


def test_an_open_answer_is_bounded_in_size_time_and_encoding() -> None:
    """Each with an error of its own."""
    with pytest.raises(TooLongError):
        read_open(Slow(b"x" * 1_000), headers={}, most_bytes=5_000, seconds=60)
    with pytest.raises(TimeoutError):
        read_open(Slow(b"x", pause=0.01), headers={}, most_bytes=5_000, seconds=0.1)
    with pytest.raises(EncodedError):
        read_open(Slow(b""), headers={"Content-Encoding": "br"}, most_bytes=1, seconds=1)


async def test_a_program_that_writes_without_an_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git's output is bounded, on both streams."""
    monkeypatch.setattr(process, "MOST_BYTES", MEGABYTE)
    for stream in ("stdout", "stderr"):
        script = f"import sys\nwhile True: sys.{stream}.write('x' * 100_000)"
        ended = await process.run([sys.executable, "-c", script], folder=tmp_path, environment={}, timeout_seconds=30)
        assert (ended.exit_code, ended.output, ended.said) == (None, b"", "more than 1,000,000 bytes of output")


# What notification blocks send by is in a process of its own with bounds: tests/tasks/notify/test_outbox.py.
@pytest.mark.slow
def test_every_client_is_one_that_is_tested() -> None:
    """Whoever opens a new one gives it bounds, and a test, and names it here."""
    found = set()
    for room in ("blocks", "flows", "tasks"):
        for path in (ROOT / room).rglob("*.py"):
            names = {_name(call) for call in _calls(tree_of(path))} | {
                ast.unparse(given).rpartition(".")[2] for call in _calls(tree_of(path)) for given in call.args if _name(call) == "to_thread"
            }
            found |= {(str(path.relative_to(ROOT)), name) for name in names & CLIENTS}
    assert found == {
        ("blocks/json_http.py", "AsyncClient"),  # tests/blocks/forge/test_forge_errors.py, tests/blocks/gitops/test_by_server.py
        ("blocks/kubernetes/api/auth.py", "ApiClient"),  # above
        ("blocks/kubernetes/api/tunnel.py", "ClientSession"),  # tests/blocks/kubernetes/test_tunnel.py
        ("blocks/kubernetes/routing/gateway_metrics.py", "ClientSession"),  # tests/blocks/kubernetes/test_gateway_metrics.py
        ("blocks/local/client.py", "AsyncClient"),  # the agent's socket, which is this user's
        ("blocks/local/router/router.py", "ClientSession"),  # passes on what comes, and keeps nothing
        ("blocks/prometheus/prometheus.py", "AsyncClient"),  # tests/blocks/prometheus/test_prometheus.py
        ("blocks/server/api.py", "build_opener"),  # `read_open`, above
        ("flows/commands/_demo_prometheus.py", "urlopen"),  # `read_open`, above
        ("tasks/verification/http_check.py", "AsyncClient"),  # tests/tasks/verification/test_http_check.py
        ("tasks/windows/calendar_source.py", "AsyncClient"),  # tests/tasks/windows/test_calendars.py
    }


@pytest.mark.slow
def test_bodies_are_read_in_one_module() -> None:
    """No code reads a whole body or output by other means; raw chunks go to `read_chunks`."""
    wrong = []
    for path in sorted(file for room in ("blocks", "flows", "tasks") for file in (ROOT / room).rglob("*.py")):
        place = str(path.relative_to(ROOT))
        if place in FREE:
            continue
        tree = tree_of(path)
        right = {id(given) for call in _calls(tree) if _name(call) == "read_chunks" for given in call.args}
        wrong += [
            f"{place}:{call.lineno} {_name(call)}"
            for call in _calls(tree)
            if (isinstance(call.func, ast.Attribute) and _name(call) in WHOLE) or (_name(call) in RAW and id(call) not in right)
        ]
    assert wrong == []


def _calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
