"""A release of something that cannot be released: a bad plan, a bad service."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme

from tests.flows.harness import FIRST, Stage, check_closed, check_well, plan_of

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture
def untrusted() -> Iterator[str]:
    """Serve HTTPS under a certificate that no one trusts."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/version"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("mode", ["dies", "soon", "mute", "wrong", "slow", "never", "huge", "redirect"])
async def test_a_service_that_is_not_well_never_reaches_production(stage: Stage, mode: str) -> None:
    """It fails in staging, staging goes back, production is untouched."""
    before = stage.started("production")
    ran = await stage.release_through(stage.tag(f"5.1-{mode}"), plan=careful_plan(stage))
    assert stage.started("production") == before
    assert ran.state == "Failed", ran.message
    await check_closed(stage, ran, outcome="failed")
    await check_well(stage, version=FIRST)


def careful_plan(stage: Stage) -> str:
    """Write a plan that gives a version little time to come up, and asks for its health for a second and a half."""
    stability = {"successes": 8, "interval_seconds": 0.2, "timeout_seconds": 6}
    verification = {**plan_of(stage.name)["verification"], "stability": stability}
    return stage.plan(staging={"platform": f"local/{stage.name}-staging", "ready_timeout_seconds": 8}, verification=verification)


async def test_a_bad_plan_is_refused_and_nothing_moves(stage: Stage) -> None:
    """The message names the field; no environment was claimed."""
    before = {name: stage.state_of(name) for name in ("staging", "production")}
    ran = await stage.release_through(stage.tag("5.2"), plan=stage.plan(surprise=True))
    assert ran.state == "Refused", ran.message
    assert "surprise" in ran.message
    await check_closed(stage, ran, outcome="refused")
    assert {name: stage.state_of(name) for name in before} == before


async def test_a_dependency_with_broken_tls_is_not_a_dependency(stage: Stage, untrusted: str) -> None:
    """A certificate that no one vouches for is not looked over; nothing moves."""
    before = stage.started("staging")
    plan = stage.plan(dependencies=[{"name": "accounts", "url": untrusted, "version": ">=1"}])
    ran = await stage.release_through(stage.tag("5.3"), plan=plan)
    assert ran.state == "Refused", ran.message
    assert stage.started("staging") == before
    await check_closed(stage, ran, outcome="refused")
