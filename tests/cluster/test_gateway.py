"""The counts of a real gateway against what a visitor saw."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable

import httpx
import pytest

from blocks.kubernetes.routing.gateway_metrics import Backend, read_counts
from tests.cluster.cluster_world import Gateway, Visitor, World

pytestmark = pytest.mark.cluster


@pytest.fixture
async def metrics_url(gateway: Gateway) -> str:
    """Return the metrics page of a gateway that is Traefik."""
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(gateway.metrics_url)
    except httpx.HTTPError as error:
        pytest.skip(f"no metrics at {gateway.metrics_url} ({error}); SHIPWAY_GATEWAY_METRICS_URL names the page of a Traefik gateway")
    if "traefik_" not in answer.text:
        pytest.skip(f"{gateway.metrics_url} is not Traefik's, the only gateway whose counts Shipway reads")
    return gateway.metrics_url


async def seconds_of(reading: Awaitable[object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    await reading
    return time.perf_counter() - began


async def test_the_gateway_counts_what_the_visitor_saw(world: World, gateway: Gateway, metrics_url: str) -> None:
    """Requests and errors of baseline and canary are exactly those of the client outside, and reading them takes milliseconds."""
    await world.podinfo("6.9.0")
    await world.podinfo("6.9.1", name="podinfo-canary", args=["--random-error"])
    backends = {name: Backend(name, world.namespace, 80) for name in ("podinfo", "podinfo-canary")}
    assert all(one["requests"] == 0 for one in (await read_counts(metrics_url, backends)).values())
    url = await world.route(gateway, backends={"podinfo": 1, "podinfo-canary": 1})
    before = await read_counts(metrics_url, backends)
    async with Visitor(url, per_second=100).visiting() as visitor:
        await asyncio.sleep(3)
    after = await read_counts(metrics_url, backends)
    assert min([await seconds_of(read_counts(metrics_url, backends)) for _ in range(5)]) < 0.1
    gained = {name: after[name]["requests"] - before[name]["requests"] for name in backends}
    assert sum(gained.values()) == len(visitor.answers)
    assert gained["podinfo"] == sum(1 for one in visitor.answers if one.version == "6.9.0")
    errors = {name: after[name]["errors"] - before[name]["errors"] for name in backends}
    assert errors == {"podinfo": 0, "podinfo-canary": sum(1 for one in visitor.answers if one.status >= 500)}
    assert errors["podinfo-canary"] > 0
    assert after["podinfo"]["buckets"]["+Inf"] == after["podinfo"]["requests"]
    assert Counter(one.status for one in visitor.answers)[0] == 0
