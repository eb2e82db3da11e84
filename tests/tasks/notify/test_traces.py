"""Traces arrive at a collector: a real HTTP server that reads them by OpenTelemetry's own definition of the protocol."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import pytest
from pydantic import SecretStr

from blocks.key_folder.kept_files import kept_names
from blocks.otlp.collector import Collector
from tasks.lifecycle.clock import now
from tasks.notify import traces
from tasks.rules.record.entries import Entry
from tests.rules.notify.test_trace import GOOD
from tests.tasks.notify.test_outbox import own_key, saved

__all__ = ["own_key"]
pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server", "own_key")]


class Collected:
    """What a collector took, and how it answers."""

    def __init__(self) -> None:
        """Begin."""
        self.status, self.token = 200, ""
        self.spans: list[tuple[str, str, str, bool]] = []
        self.url = ""


@pytest.fixture
def collected() -> Iterator[Collected]:
    """Serve a collector."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: PLC0415 - its import is slow

    found = Collected()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            found.token = str(self.headers.get("Authorization"))
            if found.status == 200:
                (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
                for one in (span for scope in resource.scope_spans for span in scope.spans):
                    found.spans.append((one.trace_id.hex(), one.name, one.parent_span_id.hex(), one.status.code == 2))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def run(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> str:
    """Note the trace of a closed release, with a collector."""
    block = await saved(Collector(endpoint=collected.url, headers={"Authorization": SecretStr("Bearer hunter2")}))

    async def read(_run: str) -> list[Entry]:
        return list(GOOD)

    monkeypatch.setattr(traces, "BLOCK", block)
    monkeypatch.setattr(traces, "read_entries", read)
    name = str(uuid4())
    await traces.note_trace(name)
    return name


async def test_the_trace_of_a_release_arrives_once(run: str, collected: Collected) -> None:
    """With the flow run's id as its own, so that both are found by one number; the credential goes along."""
    for _ in range(2):
        await traces.send_traces()
    assert {trace for trace, *_ in collected.spans} == {run.replace("-", "")}
    names = [name for _, name, _, _ in collected.spans]
    assert names == ["release shop 1.1", "pre-deploy", "staging", "approval", "production", "wait for people"]
    assert [bool(parent) for _, _, parent, _ in collected.spans] == [False, *[True] * 5]
    assert not any(failed for *_, failed in collected.spans)
    assert collected.token == "Bearer hunter2"


@pytest.mark.parametrize("status", [400, 307])
async def test_a_collector_that_refuses_gets_the_trace_once_it_takes_it(
    run: str, collected: Collected, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """After five minutes, for a day; after that it is given up. A redirect is not followed, and takes nothing."""
    collected.status = status
    for _ in range(2):
        await traces.send_traces()
    assert kept_names(traces.FOLDER) == [run]
    at = now() + timedelta(minutes=6)
    monkeypatch.setattr(traces, "now", lambda: at)
    collected.status = 200
    await traces.send_traces()
    assert len(collected.spans) == 6
    assert kept_names(traces.FOLDER) == []


@pytest.mark.parametrize("address", ["https://collector/v1/traces?api-key=hunter2", "https://collector/v1/traces#hunter2"])
def test_a_key_in_the_address_is_refused_without_being_quoted(address: str) -> None:
    """The address is not secret, and anyone who reads blocks sees it."""
    with pytest.raises(ValueError, match="write a key into `headers`") as caught:
        Collector(endpoint=address)
    assert "hunter2" not in str(caught.value)


async def test_a_trace_that_no_collector_took_for_a_day_is_given_up(
    run: str, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is there for whoever looks for it."""
    collected.status = 400
    at = now() + timedelta(days=1, minutes=1)
    monkeypatch.setattr(traces, "now", lambda: at)
    assert kept_names(traces.FOLDER) == [run]
    await traces.send_traces()
    assert kept_names(traces.FOLDER) == []


async def test_one_trace_in_a_turn_is_tried_while_the_collector_does_not_take_it(run: str, collected: Collected) -> None:
    """The keeper has more to do than to wait for it."""
    collected.status = 400
    others = [str(uuid4()) for _ in range(3)]
    for one in others:
        await traces.note_trace(one)
    tries = 0
    while traces._due(now()):
        before = len(traces._due(now()))
        await traces.send_traces()
        tries += 1
        assert len(traces._due(now())) == before - 1
    assert tries == 4
    assert set(kept_names(traces.FOLDER)) == {run, *others}


async def test_without_a_collector_nothing_is_sent_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for most people."""
    monkeypatch.setattr(traces, "BLOCK", f"otlp/absent-{uuid4().hex[:8]}")
    await traces.note_trace(str(uuid4()))
    await traces.send_traces()
    assert kept_names(traces.FOLDER) == []
