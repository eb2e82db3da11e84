"""The tunnel to a pod reads messages of an API server that may send anything: bounded in size, as the other clients are."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientSession, web

from blocks.kubernetes.api.tunnel import DATA, ERROR, PROTOCOL, Broken, open_tunnel, pipe

MEGABYTE = 1_000_000
PORT = b"\x50\x00"


class Writer:
    """A client that keeps what it is sent."""

    def __init__(self) -> None:
        """Have nothing."""
        self.got = b""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.got += data

    async def drain(self) -> None:
        """Take any amount."""


async def pour(request: web.Request) -> None:
    """Send a binary message of 1 GB, as far as it is read."""
    assert request.transport is not None
    request.transport.write(b"\x82\x7f" + (1_000 * MEGABYTE).to_bytes(8))
    for _ in range(1_000):
        if request.transport.is_closing():
            return
        request.transport.write(bytes(MEGABYTE))
        while request.transport.get_write_buffer_size() and not request.transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.fixture
async def cluster() -> AsyncIterator[Any]:
    """Serve an API server whose pods send what their name says."""

    async def forward(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse(protocols=(PROTOCOL,), compress=False)
        await answer.prepare(request)
        for message in {
            "well": [bytes((DATA,)) + PORT, bytes((ERROR,)) + PORT, bytes((DATA,)) + b"hello"],
            "long": [bytes((DATA,)) + PORT],
            "strange": [b"\x07what is this"],
            "refuses": [bytes((ERROR,)) + PORT + b"no \x1b[31m such port" + b"x" * 10_000],
        }[request.match_info["pod"]]:
            await answer.send_bytes(message)
        if request.match_info["pod"] == "long":
            await pour(request)
        await answer.close()
        return answer

    app = web.Application()
    app.router.add_get("/pods/{pod}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made = Mock(host="here")
    made.path = lambda _kind, pod, **_: f"/pods/{pod}"
    made.signed = lambda _method, path, _query: (f"{site.name}{path}", {})
    made.api.configuration = Mock(proxy=None, tls_server_name=None)
    yield made
    await runner.cleanup()


async def sent_by(cluster: Any, pod: str) -> bytes:
    """Give what reaches a client through the tunnel."""
    writer: Any = Writer()
    async with ClientSession() as session:
        tunnel = await open_tunnel(session, cluster, pod, 80)
        try:
            await asyncio.wait_for(pipe(tunnel, asyncio.StreamReader(), writer), 5)
        finally:
            await tunnel.close()
    return bytes(writer.got)


async def test_a_message_over_four_megabytes_breaks_the_tunnel_before_it_fills_the_memory(cluster: Any) -> None:
    """That is aiohttp's bound, on which this relies; what is short comes through."""
    assert await sent_by(cluster, "well") == b"hello"
    tracemalloc.start()
    try:
        with pytest.raises(Broken):
            await sent_by(cluster, "long")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * MEGABYTE


@pytest.mark.parametrize("pod", ["strange", "refuses"])
async def test_a_message_of_another_form_breaks_the_tunnel_with_few_words(cluster: Any, pod: str) -> None:
    """Whatever it says."""
    with pytest.raises(Broken) as caught:
        await sent_by(cluster, pod)
    assert len(str(caught.value)) < 1_000
    assert "\x1b" not in str(caught.value)
