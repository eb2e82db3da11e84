"""Probes against a real server that is wrong in many ways."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from tasks.rules.plan.credentials import Receiver
from tasks.rules.plan.plan import HealthCheck, Verification
from tasks.verification.health import probe_all, probe_health
from tasks.verification.http_check import Asker, http_client
from tests.tasks.faulty_server import FaultyServer, serving


@pytest.fixture
def service() -> Iterator[FaultyServer]:
    """A faulty server of one's own."""
    with serving() as server:
        yield server


async def asked(url: str, *, timeout_seconds: float = 5) -> Any:
    """Send one probe."""
    async with http_client() as client:
        return await Asker(client).ask(HealthCheck(), url, timeout_seconds=timeout_seconds)


async def judged(target: str, path: str, *, successes: int = 2, version: str = "1.1", **check: Any) -> dict[str, Any]:
    """Run the task for one check, in quick rounds."""
    verification = Verification.model_validate(
        {
            "health": [{"path": path, "timeout_seconds": 0.3, **check}],
            "stability": {"successes": successes, "interval_seconds": 0.01, "timeout_seconds": 0.5},
        }
    )
    return await probe_health.fn(target, verification=verification, version=version, receiver=Receiver("shop"))


@pytest.mark.parametrize("path", ["/illegal", "/garbage"])
async def test_no_bytes_of_an_answer_stand_in_its_fault(service: FaultyServer, path: str) -> None:
    """A header or a status line that HTTP forbids may hold anything: the fault names its kind."""
    probe = await asked(service.url + path)
    assert probe.error in {
        "gave no answer: RemoteProtocolError illegal header line: (bytes)",
        "gave no answer: RemoteProtocolError illegal status line: (bytes)",
    }


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/fine", 200, ""),
        ("/down", 503, ""),
        ("/redirect", 302, ""),
        ("/hang", None, "gave no answer within 0.3 s"),
        ("/drip", None, "gave no answer within 0.3 s"),
        ("/torn", None, "gave no answer: RemoteProtocolError"),
        ("/garbage", None, "gave no answer: RemoteProtocolError"),
    ],
)
async def test_every_answer_becomes_a_probe(service: FaultyServer, path: str, status: int | None, error: str) -> None:
    """Whatever the other side does, the probe has its status or its fault, in time, and never raises."""
    began = time.monotonic()
    probe = await asked(service.url + path, timeout_seconds=0.3 if path in {"/hang", "/drip"} else 10)
    assert (probe.status, probe.error[: len(error)]) == (status, error)
    assert time.monotonic() - began < 10


async def test_a_redirect_is_not_followed(service: FaultyServer) -> None:
    """Another server's health is not this one's."""
    await asked(f"{service.url}/redirect")
    assert service.asked == ["/redirect"]


async def test_an_answer_of_a_gigabyte_is_not_read(service: FaultyServer) -> None:
    """After the first megabyte the connection is closed; the record keeps 1,000 bytes."""
    probe = await asked(f"{service.url}/gigabyte", timeout_seconds=10)
    assert (probe.cut, len(probe.body)) == (True, 1000)
    assert service.megabytes < 50


async def test_a_port_where_no_one_listens_is_a_fault() -> None:
    """Refused is an answer, too."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    probe = await asked(f"http://127.0.0.1:{port}/fine")
    assert (probe.status, "ConnectError" in probe.error) == (None, True)


async def test_a_certificate_that_no_one_vouches_for_is_a_fault() -> None:
    """No health comes from a server that we cannot know."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with serving(context) as service:
        probe = await asked(f"{service.url}/fine")
        assert service.asked == []
    assert (probe.status, "certificate is not trusted" in probe.error) == (None, True)


async def test_probes_keep_the_order_of_their_checks_and_run_side_by_side(service: FaultyServer) -> None:
    """Ten that hang cost the time of one."""
    checks = [HealthCheck(path="/hang", timeout_seconds=0.3)] * 10 + [HealthCheck(path="/fine"), HealthCheck(path="/down")]
    began = time.monotonic()
    async with http_client() as client:
        found = await probe_all(Asker(client), f"{service.url}/", checks=checks, version="1.1")
    assert [one.answer.status for one in found] == [None] * 10 + [200, 503]
    assert time.monotonic() - began < 2.5


async def test_a_stable_revision_passes_with_its_table(service: FaultyServer) -> None:
    """As many good rounds in a row as the plan asks for; `{version}` is the version under release."""
    found = await judged(service.url, "/fine", successes=3, expect={"json": {"/version": "{version}"}})
    assert (found["outcome"], found["rounds"]) == ("passed", 3)
    assert found["table"][0] | {"milliseconds": 0} == {"url": f"{service.url}/fine", "status": 200, "milliseconds": 0, "fault": ""}


async def test_a_healthy_answer_of_another_version_fails(service: FaultyServer) -> None:
    """Who answers matters as much as how."""
    found = await judged(service.url, "/fine", version="1.2", expect={"json": {"/version": "{version}"}})
    assert found["outcome"] == "failed"
    assert 'has "1.1" at /version, not "1.2"' in found["reason"]


async def test_a_revision_that_comes_up_late_passes(service: FaultyServer) -> None:
    """Bad rounds at the beginning cost time only."""
    found = await judged(service.url, "/late")
    assert (found["outcome"], found["rounds"]) == ("passed", 4)


@pytest.mark.parametrize("path", ["/down", "/once", "/hang", "/redirect", "/gigabyte"])
async def test_a_revision_that_is_never_stable_fails_in_time(service: FaultyServer, path: str) -> None:
    """One good answer is luck; the reason names the fault or the count, and the rounds."""
    began = time.monotonic()
    found = await judged(service.url, path, successes=200 if path == "/once" else 2)
    assert found["outcome"] == "failed"
    assert "rounds)" in found["reason"]
    assert time.monotonic() - began < 5
