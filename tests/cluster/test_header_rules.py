"""An HTTPRoute with a rule of its owner's by header beside the one whose weights a release moves, on a real gateway."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from blocks.kubernetes.routing.route import WEIGHT
from tests.cluster.cluster_world import Gateway, Visitor, World
from tests.cluster.scene import FIRST, SECOND, Scene, raise_scene
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(150)]
HEADER = {"X-Try": "new"}


async def route_of(scene: Scene) -> Any:
    """Read the route as the API server has it."""
    found = await scene.world.cluster.read("HTTPRoute", "podinfo")
    assert found is not None
    return found


async def add_rule_by_header(scene: Scene) -> Any:
    """Let the owner send requests with a header to the canary's Service, which stands only during a release; gives all rules."""
    (rule,) = (await route_of(scene))["spec"]["rules"]
    (match,), (ref,) = rule["matches"], rule["backendRefs"]
    headers = [{"type": "Exact", "name": name, "value": value} for name, value in HEADER.items()]
    mine = {**rule, "matches": [{**match, "headers": headers}], "backendRefs": [{**ref, "name": "podinfo-canary"}]}
    await scene.world.merge("HTTPRoute", "podinfo", {"spec": {"rules": [mine, rule]}})
    await answers_by_header(scene, httpx.codes.INTERNAL_SERVER_ERROR)
    scene.before = await scene.specs()
    return (await route_of(scene))["spec"]["rules"]


async def answers_by_header(scene: Scene, status: int) -> None:
    """Wait until requests with the header get a status: a gateway takes a route in a moment after it has said so."""

    async def holds() -> bool:
        async with httpx.AsyncClient(trust_env=False, headers=HEADER) as client:
            return (await client.get(f"{scene.url}/version")).status_code == status

    await until(holds)


async def versions_by_header(scene: Scene) -> set[str]:
    """Name the versions that answer ten requests with the header."""
    async with httpx.AsyncClient(trust_env=False, headers=HEADER) as client:
        return {(await client.get(f"{scene.url}/version")).json()["version"] for _ in range(10)}


@pytest.mark.parametrize("end", ["promote", "abort"])
async def test_a_rule_by_header_stays_its_owners_while_the_weights_of_the_others_move(world: World, gateway: Gateway, end: str) -> None:
    """Whoever sends the header gets the canary alone at any share, no one else notices, and afterwards the rules are as written."""
    scene = await raise_scene(world, gateway, "canary+route", replicas=2)
    before = await add_rule_by_header(scene)
    lease = await scene.platform.acquire_lease("run")
    async with Visitor(scene.url, per_second=20).visiting() as visitor:
        await scene.bring(lease)
        await answers_by_header(scene, httpx.codes.OK)
        for share in (25, 100):
            await scene.platform.shift(share, lease)
            by_header, by_weight = (await route_of(scene))["spec"]["rules"]
            assert by_header == before[0]
            assert [ref["weight"] for ref in by_weight["backendRefs"]] == [100 - share, share]
            assert await versions_by_header(scene) == {SECOND}
        await getattr(scene.platform, end)(lease)
    await scene.platform.release_lease(lease)
    assert visitor.bad == []
    route = await route_of(scene)
    assert route["spec"]["rules"] == before
    assert WEIGHT not in (route["metadata"].get("annotations") or {})
    await scene.check_well(SECOND if end == "promote" else FIRST)
