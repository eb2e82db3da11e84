"""The example service, run for real: what it answers and how it ends."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.examples.guestbook_service import Guestbook, Start, spawn, wait_for


def test_the_operational_pages_answer(guestbook: Guestbook) -> None:
    """Health, readiness and version answer as the plan expects."""
    assert guestbook.json("/healthz") == {"status": "ok"}
    assert guestbook.ask("/readyz")[0] == 200
    assert guestbook.json("/version") == {"service": "guestbook", "version": "1.1.0"}


def test_an_entry_is_stored_and_shown_escaped(guestbook: Guestbook) -> None:
    """What a visitor posts appears in JSON and, as text and never as markup, on the page."""
    assert guestbook.ask("/entries", "POST", '{"name": "ada", "text": "<b>hi", "place": "London"}')[0] == 201
    assert guestbook.json("/entries")["entries"][0]["text"] == "<b>hi"
    page = guestbook.ask("/")[1].decode()
    assert "&lt;b&gt;hi" in page
    assert "ada, London" in page


def test_a_form_leads_back_to_the_page(guestbook: Guestbook) -> None:
    """A browser's form is accepted and redirected."""
    status, _, headers = guestbook.ask("/entries", "POST", "name=ada&text=hello", "application/x-www-form-urlencoded")
    assert (status, headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"name": "ada"}', '{"name": 1, "text": "x"}', '{"name": "ada", "text": "\\u0000"}', "[" * 9_000]
)
def test_a_bad_entry_is_refused(guestbook: Guestbook, body: str) -> None:
    """Whatever is not an entry is a 400, and no error of the service."""
    assert guestbook.ask("/entries", "POST", body)[0] == 400
    assert "ERROR" not in guestbook.log.read_text()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/entries", 405), ("GET", "/entries?limit=0", 400), ("HEAD", "/", 200)],
)
def test_an_odd_request_gets_the_fitting_status(guestbook: Guestbook, method: str, path: str, status: int) -> None:
    """Unknown paths, methods and queries are told apart."""
    assert guestbook.ask(path, method)[0] == status


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"POST /entries HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /entries HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /entries HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
    ],
)
def test_a_malformed_request_is_answered(guestbook: Guestbook, raw: bytes, status: int) -> None:
    """Broken HTTP gets a 4xx or 5xx of its own, and the service lives on."""
    with socket.create_connection(("127.0.0.1", guestbook.port), timeout=5) as connection:
        connection.sendall(raw)
        assert connection.recv(100).split()[1] == str(status).encode()
    assert guestbook.ask("/healthz")[0] == 200


def test_a_connection_serves_many_requests(guestbook: Guestbook) -> None:
    """Keep-alive holds, and no request waits for a delayed acknowledgement."""
    connection = http.client.HTTPConnection("127.0.0.1", guestbook.port, timeout=5)
    with contextlib.closing(connection):
        connection.connect()
        first = connection.sock
        begun = time.monotonic()
        for _ in range(50):
            connection.request("GET", "/")
            assert connection.getresponse().read()
        assert connection.sock is first
    assert time.monotonic() - begun < 1


def test_metrics_are_open_metrics(start: Start) -> None:
    """A strict parser reads the exposition, and finds the requests."""
    guestbook = start("--version", "1.1.0")
    for path in ("/", "/", "/nowhere"):
        guestbook.ask(path)
    status, body, headers = guestbook.ask("/metrics")
    assert status == 200
    assert headers["content-type"].startswith("application/openmetrics-text")
    parse: Callable[[str], Any] = text_string_to_metric_families
    samples = {(s.name, *s.labels.values()): s.value for family in parse(body.decode()) for s in family.samples}
    assert samples["guestbook_requests_total", "/", "200"] == 2
    assert samples["guestbook_requests_total", "other", "404"] == 1
    assert samples["guestbook_request_duration_seconds_bucket", "0.25"] == 3


def test_sigterm_finishes_the_running_request(start: Start) -> None:
    """A slow request gets its answer, an idle connection does not hold the end up, and the status is 0."""
    guestbook = start("--slow-ratio", "1", "--slow-seconds", "0.5")
    idle = socket.create_connection(("127.0.0.1", guestbook.port))
    with idle, ThreadPoolExecutor(1) as pool:
        running = pool.submit(guestbook.ask, "/")
        time.sleep(0.2)
        assert guestbook.stop() == 0
        assert running.result()[0] == 200
    with pytest.raises(ConnectionRefusedError):
        guestbook.ask("/")


def test_two_versions_share_one_database(start: Start) -> None:
    """The older version reads and writes beside the newer one, whichever migrated first."""
    old, new = start("--version", "1.0.0"), start("--version", "1.1.0")
    for service, name in ((old, "old"), (new, "new"), (old, "again")):
        body = json.dumps({"name": name, "text": "hello", "place": "here"})
        assert service.ask("/entries", "POST", body)[0] == 201
    places = {entry["name"]: entry["place"] for entry in new.json("/entries")["entries"]}
    assert places == {"old": "", "new": "here", "again": ""}
    assert len(old.json("/entries")["entries"]) == 3


def test_a_database_that_cannot_be_opened_is_never_ready(tmp_path: Path) -> None:
    """The service listens, says why it is not ready, and is not healthy."""
    process, log = spawn(tmp_path, database="missing/guestbook.sqlite")
    try:
        wait_for(log, "cannot be migrated")
        service = Guestbook(process, int(log.read_text().split("127.0.0.1:")[1].split(",")[0]), log)
        status, body, _ = service.ask("/readyz")
        assert status == 503
        assert "unable to open" in body.decode()
        assert service.ask("/healthz")[0] == 503
        assert service.stop() == 0
    finally:
        process.kill()
        process.wait()


def test_a_port_in_use_is_named(guestbook: Guestbook, tmp_path: Path) -> None:
    """A second service on the port exits with 1 and says which port."""
    process, log = spawn(tmp_path, port=guestbook.port)
    assert process.wait(10) == 1
    assert f"ERROR cannot listen on 127.0.0.1:{guestbook.port}" in log.read_text()
