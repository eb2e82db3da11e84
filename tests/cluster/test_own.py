"""On a real cluster a block that names another workload's Service or route is refused, and moves no request of that workload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blocks.errors import BadInput, Refused, WorldMoved
from blocks.key_folder.key_file import create_key, key_path
from blocks.kubernetes.platform import KubernetesPlatform
from tasks.approval.protection import keep_way, own_environment
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import place_of
from tests.cluster.cluster_world import Gateway, World, deployment, http_route, service
from tests.rules.policy.test_rules import plan_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]
STAGING = "podinfo-staging"


@pytest.fixture(autouse=True)
def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())


async def stand(world: World, gateway: Gateway) -> dict[str, Any]:
    """Apply production and staging in one namespace, each with Service and route, on one gateway; gives what production's say."""
    for name in ("podinfo", STAGING):
        route = http_route(gateway, name, path=f"/{world.namespace}/{name}", backends={name: 1})
        await world.apply(deployment(name, "6.9.0", replicas=0), service(name), route)
    return await said(world)


async def said(world: World) -> dict[str, Any]:
    """Read the specs of production's Service and route, and all that Shipway noted on them."""
    found: dict[str, Any] = {}
    for kind in ("Service", "HTTPRoute"):
        one = await world.cluster.read(kind, "podinfo")
        assert one is not None
        found[kind] = one["spec"], {key for key in one["metadata"].get("annotations") or {} if key.startswith("shipway.dev/")}
    return found


def block(world: World, workload: str, **fields: Any) -> KubernetesPlatform:
    """Make a block."""
    return KubernetesPlatform(namespace=world.namespace, workload=workload, force_conflicts=True, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"strategy": "blue-green", "service": "podinfo"},
        {"strategy": "canary", "service": "podinfo"},
        {"strategy": "canary", "service": "podinfo", "route": "podinfo"},
        {"strategy": "canary", "route": "podinfo"},
    ],
    ids=lambda fields: "+".join(map(str, fields.values())),
)
async def test_a_staging_that_names_what_production_has_is_refused_before_anything_is_written(
    world: World, gateway: Gateway, fields: dict[str, Any]
) -> None:
    """In the check, before the lease, and at the lease; no release was there yet, so only the cluster can say whose it is."""
    before = await stand(world, gateway)
    staging = block(world, STAGING, **fields)
    for asking in (staging.touches(), staging.preview("6.9.1"), staging.acquire_lease("run")):
        with pytest.raises(BadInput, match=r"does not select the pods|sends nothing to the Service"):
            await asking
    assert await said(world) == before


async def test_environments_beside_each_other_own_what_they_change_and_nothing_else(world: World, gateway: Gateway) -> None:
    """One namespace and one gateway for both; once production was released, no other block has its Service, whatever it selects."""
    await stand(world, gateway)
    plan = plan_of(
        staging={"platform": "kubernetes/staging"}, production={"platform": "kubernetes/production", "steps": [{"percent": 100}]}
    )
    blocks = {
        "production": block(world, "podinfo", strategy="canary", route="podinfo"),
        "staging": block(world, STAGING, strategy="blue-green"),
    }
    for claims in (False, True, False):
        for environment, platform in blocks.items():
            await own(plan, environment, platform, claims=claims)
    await world.apply(service("podinfo", selector={"app": STAGING}))
    with pytest.raises(Refused, match=r"the Service .*/podinfo, which is production of the service shop"):
        await own(plan, "staging", block(world, STAGING, strategy="blue-green", service="podinfo"), claims=True)
    with pytest.raises(BadInput, match="does not select the pods"):
        await own(plan, "production", blocks["production"], claims=False)


async def own(plan: Plan, environment: str, platform: KubernetesPlatform, *, claims: bool) -> None:
    """Look, or become the owner."""
    await own_environment.fn(plan, place_of(plan, environment), platform, claims=claims)


async def test_the_deployment_beside_a_workload_is_not_the_workload_of_another_block(world: World, gateway: Gateway) -> None:
    """It has half of production's requests, and a UID that has no owner."""
    await stand(world, gateway)
    production = block(world, "podinfo", strategy="blue-green", drain_seconds=0)
    lease = await production.acquire_lease("release")
    await production.prepare("6.9.1", lease, timeout_seconds=60)
    staging = block(world, "podinfo-canary")
    for asking in (staging.touches(), staging.acquire_lease("run")):
        with pytest.raises(BadInput, match="is a canary of Shipway's"):
            await asking
    await world.apply(service("podinfo", selector={"app": "other"}))
    await production.acquire_lease("release")  # whoever ends a release that others disturbed needs its lease once more
    with pytest.raises(WorldMoved, match="selects app=other, and not the pods of"):  # the canary is gone, and people are told
        await production.abort(await production.acquire_lease("rollback", takeover=True))
    assert await world.cluster.read("Deployment", "podinfo-canary") is None


async def test_a_workload_that_was_applied_again_is_still_productions(world: World, gateway: Gateway) -> None:
    """Its UID is new and has no owner; a staging that is pointed there brings its version to all users, and no one approves it."""
    await stand(world, gateway)
    plan = plan_of(
        staging={"platform": "kubernetes/staging"}, production={"platform": "kubernetes/production", "steps": [{"percent": 100}]}
    )
    production, place = block(world, "podinfo"), place_of(plan, "production")
    await own(plan, "production", production, claims=True)
    await keep_way.fn(place, production)
    before = await production.identity()
    for one in (deployment("podinfo", "6.9.0", replicas=0), service("podinfo")):
        await world.remove(one)
        await world.apply(one)
    assert await production.identity() != before
    for claims in (False, True):
        with pytest.raises(Refused, match="production of the service shop"):
            await own(plan, "staging", block(world, "podinfo", image="evil:{version}"), claims=claims)
        await own(plan, "staging", block(world, STAGING), claims=claims)
    await own(plan, "production", production, claims=True)
