"""The tests' own cluster: what the fixtures promise to the tests that stand on them."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster.cluster_world import Gateway, Visitor, World

pytestmark = pytest.mark.cluster


async def test_podinfo_answers_a_visitor_through_the_gateway(world: World, gateway: Gateway) -> None:
    """A Deployment, its Service and a route of its own come up, and every request of a visitor is answered by that version."""
    await world.podinfo("6.9.0", replicas=2)
    url = await world.route(gateway)
    async with Visitor(url, per_second=50).visiting() as visitor:
        await asyncio.sleep(2)
    assert len(visitor.answers) >= 90
    assert not visitor.bad
    assert visitor.versions == {"6.9.0"}
