"""Private access to a revision through the API server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from blocks.kubernetes.api import port_forward
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.port_forward import forward
from blocks.kubernetes.api.tunnel import Broken, open_session, open_tunnel, ssl_context
from tests.cluster.cluster_world import PORT, World
from tests.cluster.cut_line import line_to

pytestmark = pytest.mark.cluster
BODY_BYTES = 64 * 1024 * 1024


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that opens as many connections as are asked for."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
        yield client
    await port_forward.close()


async def test_a_revision_answers_at_one_address_of_this_machine(world: World, client: httpx.AsyncClient) -> None:
    """The same pods have the same address, and both of them answer behind it."""
    await world.podinfo("6.9.0", replicas=2)
    url = await forward(world.cluster, selector="app=podinfo", port=PORT)
    assert url.startswith("http://127.0.0.1:")
    assert await forward(Cluster(world.cluster.api, world.namespace), selector="app=podinfo", port=PORT) == url
    answers = [(await client.get(url)).json() for _ in range(4)]
    assert {one["hostname"] for one in answers} == {pod["metadata"]["name"] for pod in await world.pods()}
    assert {one["version"] for one in answers} == {"6.9.0"}


async def test_fifty_requests_at_once_are_all_answered(world: World, client: httpx.AsyncClient) -> None:
    """Each of fifty connections that open at the same time carries its own request and answer, kept apart."""
    await world.podinfo()
    url = await forward(world.cluster, selector="app=podinfo", port=PORT)
    bodies = [f"number {number}".encode() * 1000 for number in range(50)]
    answers = await asyncio.gather(*(client.post(f"{url}/echo", content=body) for body in bodies))
    assert [one.content for one in answers] == bodies


async def test_large_bodies_come_through_whole_both_ways_and_no_one_waits(world: World, client: httpx.AsyncClient) -> None:
    """64 MB go up and come back unchanged, while the event loop goes on."""
    await world.podinfo()
    url = await forward(world.cluster, selector="app=podinfo", port=PORT)
    body, ticks = os.urandom(BODY_BYTES), 0

    async def watch_the_loop() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    watcher = asyncio.create_task(watch_the_loop())
    answer = await client.post(f"{url}/echo", content=body)
    watcher.cancel()
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(body).digest()
    assert ticks > 20


async def test_a_killed_pod_costs_only_the_connections_that_it_had(world: World, client: httpx.AsyncClient) -> None:
    """The next connection after the death of every pod ends at their successors, at the same address."""
    await world.podinfo()
    url = await forward(world.cluster, selector="app=podinfo", port=PORT)
    before = (await client.get(url)).json()["hostname"]
    slow = asyncio.create_task(client.get(f"{url}/delay/20"))
    await asyncio.sleep(0.3)
    await world.cluster.call("DELETE", world.cluster.path("Pod", before), query={"gracePeriodSeconds": "0"})
    with pytest.raises(httpx.TransportError):
        await asyncio.wait_for(slow, 15)
    await world.rolled_out()
    assert (await client.get(url)).json()["hostname"] != before


async def test_where_no_pod_is_ready_the_connection_is_closed_at_once(world: World, client: httpx.AsyncClient) -> None:
    """A client learns within a second that no one answers, and the reason is in the log."""
    url = await forward(world.cluster, selector="app=absent", port=PORT)
    began = time.monotonic()
    with pytest.raises(httpx.TransportError):
        await client.get(url)
    assert time.monotonic() - began < 1


async def test_a_connection_that_is_refused_says_why(world: World) -> None:
    """The refusal of a WebSocket has no words, so they are asked for."""
    context = await asyncio.to_thread(ssl_context, world.cluster.api)
    async with open_session(context) as session:
        with pytest.raises(Broken, match=r"absent:9898 \(404\).*not found"):
            await open_tunnel(session, world.cluster, "absent", PORT)


async def test_a_port_on_which_no_one_listens_closes_the_connection(
    world: World, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The pod's refusal closes the connection within two seconds, and the log has the node's words for it."""
    await world.podinfo()
    url = await forward(world.cluster, selector="app=podinfo", port=9)
    began = time.monotonic()
    with caplog.at_level("INFO", "shipway.kubernetes"), pytest.raises(httpx.TransportError):
        await client.get(url)
    assert time.monotonic() - began < 2
    assert "refused" in caplog.text


async def test_a_line_that_is_cut_closes_connections_and_serves_the_next_ones(world: World, client: httpx.AsyncClient) -> None:
    """While the API server cannot be reached connections are closed soon; when it is back the same address works."""
    await world.podinfo()
    async with line_to(world.cluster) as line:
        url = await forward(line.cluster, selector="app=podinfo", port=PORT)
        assert (await client.get(url)).status_code == 200
        slow = asyncio.create_task(client.get(f"{url}/delay/20"))
        await asyncio.sleep(0.3)
        line.open = False
        line.cut()
        with pytest.raises(httpx.TransportError):
            await asyncio.wait_for(slow, 3)
        with pytest.raises(httpx.TransportError):
            await asyncio.wait_for(client.get(url), 10)
        line.open = True
        assert (await client.get(url)).status_code == 200
        await port_forward.close()


async def test_an_address_ends_with_its_event_loop(world: World) -> None:
    """Nothing listens any more once the loop that asked for it has ended, without anybody closing it."""

    async def ask() -> str:
        return await forward(world.cluster, selector="app=podinfo", port=PORT)

    url = await asyncio.to_thread(asyncio.run, ask())
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
