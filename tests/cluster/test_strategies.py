"""The strategies on a real cluster beside the platform's contract: no bad answer in a good release, and the exact template of before."""

from __future__ import annotations

import asyncio

import pytest

from blocks.errors import BadInput, RolloutFailed, WorldMoved
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.kubernetes.workload import FOR
from blocks.platform import Lease
from tests.cluster.cluster_world import IMAGE, Gateway, Visitor, World
from tests.cluster.scene import BESIDE as STRATEGIES_BESIDE
from tests.cluster.scene import FIRST, READY, SECOND, THIRD, Scene, raise_scene

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


@pytest.fixture
async def scene(world: World, gateway: Gateway, request: pytest.FixtureRequest) -> Scene:
    """Run three pods of the first version; the parameter is the strategy, with `+route` where weights split the requests."""
    return await raise_scene(world, gateway, request.param, replicas=3)


BESIDE = pytest.mark.parametrize("scene", STRATEGIES_BESIDE, indirect=True)
EVERY = pytest.mark.parametrize("scene", [*STRATEGIES_BESIDE, "rolling"], indirect=True)
BY_WEIGHTS = pytest.mark.parametrize("scene", ["canary+route"], indirect=True)


async def bring(scene: Scene, version: str, lease: Lease, *shares: int) -> None:
    """Prepare a version and give it these shares."""
    await scene.bring(lease, *shares, version=version)


def shares_of(platform: KubernetesPlatform) -> tuple[int, ...]:
    """Choose steps that the strategy can make."""
    return (25, 50, 100) if platform.strategy == "canary" else (100,)


@BESIDE
async def test_a_release_beside_the_workload_costs_no_answer_and_leaves_nothing_behind(scene: Scene) -> None:
    """Prepared, shifted in steps and promoted under 50 requests a second: none fails, and afterwards only the owner's objects stand."""
    platform, before = scene.platform, sorted(await scene.specs())
    lease = await platform.acquire_lease("run")
    async with Visitor(scene.url).visiting() as visitor:
        await bring(scene, SECOND, lease)
        assert (await platform.current())["percent"] == 0
        for share in shares_of(platform):
            await platform.shift(share, lease)
            assert (await platform.current())["percent"] == share
        await platform.promote(lease)
    position = await platform.current()
    assert (position["baseline"], position["canary"], position["previous"]) == (SECOND, None, FIRST)
    assert visitor.bad == []
    assert visitor.versions == {FIRST, SECOND}
    assert sorted(await scene.specs()) == before


@EVERY
async def test_an_abort_brings_back_the_exact_pod_template_that_served(scene: Scene) -> None:
    """Whatever share the canary had, the template afterwards is the one from before, and nothing of ours is left."""
    platform, template, before = scene.platform, await scene.template(), sorted(await scene.specs())
    lease = await platform.acquire_lease("run")
    await bring(scene, SECOND, lease, shares_of(platform)[0])
    await platform.abort(lease)
    await platform.abort(lease)
    position = await platform.current()
    assert (position["baseline"], position["canary"], position["percent"]) == (FIRST, None, 0)
    assert await scene.template() == template
    assert sorted(await scene.specs()) == before


@BESIDE
async def test_a_warm_baseline_takes_everything_back_without_a_bad_answer(scene: Scene) -> None:
    """A canary that got requests goes under load, and no request fails."""
    lease = await scene.platform.acquire_lease("run")
    async with Visitor(scene.url).visiting() as visitor:
        await bring(scene, SECOND, lease, shares_of(scene.platform)[0])
        await scene.platform.abort(lease)
    assert visitor.bad == []


@EVERY
async def test_a_version_that_left_comes_back_as_its_revision_was(scene: Scene) -> None:
    """A run that takes over after a promotion finds the previous pod template in the cluster's history; what it left is not previous."""
    platform, previous = scene.platform, await scene.template()
    lease = await platform.acquire_lease("run")
    await bring(scene, SECOND, lease, 100)
    await platform.promote(lease)
    lease = await platform.acquire_lease("rollback", takeover=True)
    await bring(scene, FIRST, lease, 100)
    await platform.promote(lease)
    position = await platform.current()
    assert (position["baseline"], position["canary"], position["previous"]) == (FIRST, None, None)
    assert await scene.template() == previous


@EVERY
async def test_an_image_that_belongs_to_another_is_reported_and_not_taken(scene: Scene) -> None:
    """Without leave to force, the field and its manager are named, and nothing was changed."""
    platform = scene.platform.model_copy(update={"force_conflicts": False})
    template, objects = await scene.template(), sorted(await scene.specs())
    lease = await platform.acquire_lease("run")
    with pytest.raises(WorldMoved, match=r"image belong to kubectl.*force_conflicts"):
        await platform.prepare(SECOND, lease, timeout_seconds=READY)
    assert (await scene.template(), sorted(await scene.specs())) == (template, objects)
    assert (await platform.current())["canary"] is None


@BY_WEIGHTS
async def test_a_version_that_cannot_come_up_is_named_within_seconds_and_gets_no_request(scene: Scene) -> None:
    """An image that does not exist fails `prepare` long before its deadline; after the abort nothing is left of it."""
    lease = await scene.platform.acquire_lease("run")
    async with Visitor(scene.url).visiting() as visitor, asyncio.timeout(30):
        with pytest.raises(RolloutFailed, match="Image"):
            await scene.platform.prepare("0.0.0-not-there", lease, timeout_seconds=300)
        await scene.platform.abort(lease)
    assert visitor.bad == []
    assert (await scene.platform.current())["canary"] is None


@BY_WEIGHTS
async def test_an_edit_of_the_workload_in_the_middle_stops_the_promotion_and_is_named(scene: Scene) -> None:
    """Someone sets another image while the canary serves: nothing is built on it, and the message says what runs."""
    lease = await scene.platform.acquire_lease("run")
    await bring(scene, SECOND, lease, 100)
    image = {"spec": {"template": {"spec": {"containers": [{"name": "podinfo", "image": f"ghcr.io/stefanprodan/podinfo:{THIRD}"}]}}}}
    path = scene.world.cluster.path("Deployment", "podinfo")
    await scene.world.cluster.call("PATCH", path, body=image, content_type="application/strategic-merge-patch+json")
    with pytest.raises(WorldMoved, match=f"runs {THIRD}, neither {FIRST}.*nor {SECOND}"):
        await scene.platform.promote(lease)


@BY_WEIGHTS
async def test_a_route_that_is_gone_stops_the_release_and_says_so(scene: Scene) -> None:
    """Without its route the split is unknown, and unknown is not a success."""
    lease = await scene.platform.acquire_lease("run")
    await bring(scene, SECOND, lease, 25)
    route = await scene.world.cluster.read("HTTPRoute", "podinfo")
    assert route is not None
    await scene.world.remove(route)
    position = await scene.platform.current()
    assert position["percent"] == 0
    assert "HTTPRoute podinfo does not exist" in position["trouble"]
    with pytest.raises(WorldMoved, match="HTTPRoute podinfo does not exist"):
        await scene.platform.shift(25, lease)


@BY_WEIGHTS
async def test_weights_that_were_edited_are_seen_as_they_are(scene: Scene) -> None:
    """The position tells the share that the route gives, not the one that was asked for."""
    lease = await scene.platform.acquire_lease("run")
    await bring(scene, SECOND, lease, 25)
    route = await scene.world.cluster.read("HTTPRoute", "podinfo")
    assert route is not None
    refs = [{**ref, "weight": 50} for ref in route["spec"]["rules"][0]["backendRefs"]]
    path = scene.world.cluster.path("HTTPRoute", "podinfo")
    step = {"op": "replace", "path": "/spec/rules/0/backendRefs", "value": refs}
    await scene.world.cluster.call("PATCH", path, body=[step], content_type="application/json-patch+json")
    assert (await scene.platform.current())["percent"] == 50


@BESIDE
async def test_another_owners_object_of_the_canarys_name_is_left_alone(scene: Scene) -> None:
    """A Deployment that is not ours stops the release before anything is written, and stays as it is."""
    await scene.world.podinfo(FIRST, name="podinfo-canary")
    lease = await scene.platform.acquire_lease("run")
    with pytest.raises(BadInput, match="podinfo-canary is not Shipway's"):
        await scene.platform.prepare(SECOND, lease, timeout_seconds=READY)
    found = await scene.world.cluster.read("Deployment", "podinfo-canary")
    assert found is not None
    assert FOR not in (found["metadata"].get("annotations") or {})


@EVERY
async def test_a_change_of_the_configuration_alone_is_a_release_of_its_own(scene: Scene) -> None:
    """The same version with another ConfigMap is brought in like any version, and what it replaces is named by its configuration."""
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"PODINFO_UI_MESSAGE": "old"}}
    reading = {"envFrom": [{"configMapRef": {"name": "settings"}}], "name": "podinfo"}
    await scene.world.apply(settings)
    path = scene.world.cluster.path("Deployment", "podinfo")
    patch = {"spec": {"template": {"spec": {"containers": [reading]}}}}
    await scene.world.cluster.call("PATCH", path, body=patch, content_type="application/strategic-merge-patch+json")
    await scene.world.rolled_out()
    lease = await scene.platform.acquire_lease("run")
    await bring(scene, SECOND, lease, 100)
    await scene.platform.promote(lease)
    assert (await scene.platform.current())["baseline"] == SECOND
    await scene.world.apply({**settings, "data": {"PODINFO_UI_MESSAGE": "new"}})
    position = await scene.platform.current()
    assert (position["baseline"], position.get("changed")) == (SECOND, ["ConfigMap settings: PODINFO_UI_MESSAGE changed"])
    await scene.platform.release_lease(lease)
    previous = (await scene.platform.current())["baseline"]
    assert previous is not None
    assert previous.startswith(f"{SECOND}+config.")
    lease = await scene.platform.acquire_lease("next")
    await bring(scene, SECOND, lease, 100)
    position = await scene.platform.current()
    assert (position["baseline"], position["canary"], position["percent"]) == (previous, SECOND, 100)
    await scene.platform.promote(lease)
    position = await scene.platform.current()
    assert (position["baseline"], position["previous"]) == (SECOND, previous)


@pytest.mark.parametrize("scene", ["rolling"], indirect=True)
async def test_what_ran_before_a_version_that_others_put_there_is_what_stood_there(scene: Scene) -> None:
    """By kubectl, forward and back again: the cluster's own history says it, and how old each revision is."""
    lease = await scene.platform.acquire_lease("run")
    await bring(scene, SECOND, lease, 100)
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)
    path = scene.world.cluster.path("Deployment", "podinfo")
    for version, before in ((THIRD, SECOND), (FIRST, None)):
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "podinfo", "image": f"{IMAGE}:{version}"}]}}}}
        await scene.world.cluster.call("PATCH", path, body=patch, content_type="application/strategic-merge-patch+json")
        await scene.world.rolled_out()
        position = await scene.platform.current()
        assert (position["baseline"], position["previous"], position.get("replaced")) == (version, before, SECOND)
