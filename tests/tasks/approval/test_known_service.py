"""A freeze that is set by a command emits its event, and warns of a service that the server does not know."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow, get_client

from tasks.approval.known_service import tell_server
from tasks.lifecycle.clock import now
from tasks.rules.windows.freeze import Freeze

pytestmark = pytest.mark.server


@flow
def something() -> None:
    """Stand for a release."""


async def test_a_command_emits_the_event_and_asks_for_the_service(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - it must run
    """In one request each, as Prefect's own way would wait for the server."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    service = f"shop-{uuid4().hex[:8]}"
    freeze = Freeze(id=uuid4().hex[:12], service=service, reason="incident", who="ada", at=now())
    assert "the server has no run of it" in await tell_server(freeze, what="frozen")
    async with get_client() as client:
        await client.create_flow_run(something, tags=[f"service:{service}"])
        assert await tell_server(freeze, what="frozen") == ""
        found: list[Any] = []
        for _ in range(50):
            wanted = {"filter": {"event": {"name": ["shipway.freeze.set"]}}}
            answered = await client._client.post("/events/filter", json=wanted)
            found = [one for one in answered.json()["events"] if one["payload"]["id"] == freeze.id]
            if found:
                break
            await asyncio.sleep(0.2)
    assert found[0]["payload"]["what"] == "frozen"
