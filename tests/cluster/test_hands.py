"""Others act in the middle of a release, people with kubectl or an autoscaler: it goes on where that is harmless, or says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from blocks.errors import Refused, RolloutFailed, WorldMoved
from blocks.platform import Lease
from tests.cluster.cluster_world import IMAGE, Gateway, World, service
from tests.cluster.scene import BESIDE, BLUE_GREEN, FIRST, SECOND, THIRD, Scene, raise_scene

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(150)]
EVERY = [*BESIDE, "rolling"]


async def scale(scene: Scene, replicas: int, *, manager: str = "kubectl") -> None:
    """Scale the workload as `kubectl scale` or an autoscaler does."""
    kind = scene.platform.kind
    path = scene.world.cluster.path(kind, "podinfo", below="scale")
    patch = {"spec": {"replicas": replicas}}
    await scene.world.cluster.call("PATCH", path, body=patch, query={"fieldManager": manager}, content_type="application/merge-patch+json")
    scene.before[f"{kind} podinfo"]["replicas"] = replicas


async def set_template(scene: Scene, template: Any) -> None:
    """Change the pod template as kubectl does."""
    path = scene.world.cluster.path(scene.platform.kind, "podinfo")
    body = {"spec": {"template": template}}
    await scene.world.cluster.call(
        "PATCH", path, body=body, query={"fieldManager": "kubectl"}, content_type="application/strategic-merge-patch+json"
    )


async def restart(scene: Scene) -> None:
    """Do what `kubectl rollout restart` does; the owner's manifest says so from then on."""
    annotations = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    await set_template(scene, {"metadata": {"annotations": annotations}})
    template = scene.before[f"{scene.platform.kind} podinfo"]["template"]
    template["metadata"].setdefault("annotations", {}).update(annotations)


async def finish(scene: Scene, lease: Lease, version: str) -> None:
    """Promote, give it up, and check."""
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)
    await scene.check_well(version)


async def give_up(scene: Scene, lease: Lease, version: str) -> None:
    """Go back, give it up, and check."""
    await scene.platform.abort(lease)
    await scene.platform.release_lease(lease)
    await scene.check_well(version)


@pytest.mark.parametrize("what", BESIDE)
async def test_a_workload_scaled_up_and_down_during_a_canary_keeps_what_it_was_given(world: World, gateway: Gateway, what: str) -> None:
    """Its replicas are never ours: they are after the promotion what someone last made of them."""
    scene = await raise_scene(world, gateway, what)
    lease = await scene.platform.acquire_lease("run")
    await scale(scene, 3)
    await scene.bring(lease, scene.shares[0])
    await scale(scene, 2)
    for share in scene.shares[1:]:
        await scene.platform.shift(share, lease)
    await scale(scene, 3)
    await finish(scene, lease, SECOND)


@pytest.mark.parametrize("what", EVERY)
async def test_a_workload_scaled_to_nothing_and_back_is_taken_back_well(world: World, gateway: Gateway, what: str) -> None:
    """Nothing of the rollback hangs on how many pods someone wants at the moment."""
    scene = await raise_scene(world, gateway, what)
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, scene.shares[0])
    await scale(scene, 0)
    await scale(scene, 2)
    await give_up(scene, lease, FIRST)


@pytest.mark.parametrize("what", BESIDE)
async def test_a_restart_of_the_workload_is_harmless_to_a_canary(world: World, gateway: Gateway, what: str) -> None:
    """`rollout restart` in the middle changes no version: the release goes on, and the restart's lease stays."""
    scene = await raise_scene(world, gateway, what)
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, scene.shares[0])
    await restart(scene)
    for share in scene.shares[1:]:
        await scene.platform.shift(share, lease)
    await finish(scene, lease, SECOND)


@pytest.mark.parametrize("what", BESIDE)
async def test_a_restart_of_the_workload_does_not_stop_the_rollback(world: World, gateway: Gateway, what: str) -> None:
    """The canary goes; the workload stays as whoever restarted it left it, since a canary never touches it."""
    scene = await raise_scene(world, gateway, what)
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, scene.shares[0])
    await restart(scene)
    await give_up(scene, lease, FIRST)


@pytest.mark.parametrize("what", BESIDE)
async def test_another_image_in_the_middle_is_named_and_stays(world: World, gateway: Gateway, what: str) -> None:
    """Whoever set it is not overruled: the promotion stops and says so, and the abort takes only the canary away."""
    scene = await raise_scene(world, gateway, what)
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, *scene.shares)
    await set_template(scene, {"spec": {"containers": [{"name": "podinfo", "image": f"{IMAGE}:{THIRD}"}]}})
    with pytest.raises(WorldMoved, match=f"runs {THIRD}, neither {FIRST}.*nor {SECOND}"):
        await scene.platform.promote(lease)
    await give_up(scene, lease, THIRD)


async def test_an_undo_of_a_rolling_update_is_seen_and_stays(world: World, gateway: Gateway) -> None:
    """`rollout undo` after all pods came over: it is not made the baseline, the message says what runs, and going back finds it there."""
    scene = await raise_scene(world, gateway, "rolling")
    found = await world.cluster.read("Deployment", "podinfo")
    assert found is not None
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 100)
    change = [{"op": "replace", "path": "/spec/template", "value": found["spec"]["template"]}]
    path = world.cluster.path("Deployment", "podinfo")
    await world.cluster.call("PATCH", path, body=change, query={"fieldManager": "kubectl"}, content_type="application/json-patch+json")
    with pytest.raises(WorldMoved, match=f"{SECOND} does not run everywhere"):
        await scene.platform.promote(lease)
    await give_up(scene, lease, FIRST)


async def test_a_route_deleted_in_the_middle_ends_the_release_with_what_to_do(world: World, gateway: Gateway) -> None:
    """The step fails and names the route and the fix; the canary goes all the same, and the route once applied again is the owner's."""
    scene = await raise_scene(world, gateway, "canary+route")
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 50)
    await world.remove({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "podinfo"}})
    with pytest.raises(WorldMoved, match=r"HTTPRoute podinfo does not exist.*Apply it again"):
        await scene.platform.shift(100, lease)
    with pytest.raises(WorldMoved, match=f"was removed and {FIRST} runs as before, but the HTTPRoute podinfo does not exist"):
        await scene.platform.abort(lease)
    await scene.platform.abort(lease)
    assert sorted(await scene.specs()) == ["Deployment podinfo", "Service podinfo"]
    await world.route(gateway)
    await scene.platform.release_lease(lease)
    await scene.check_well(FIRST)


@pytest.mark.parametrize("what", ["canary", BLUE_GREEN])
async def test_a_service_deleted_in_the_middle_keeps_no_canary(world: World, gateway: Gateway, what: str) -> None:
    """What splits the requests is gone: the position says so, and going back takes the canary away and says what to apply again."""
    scene = await raise_scene(world, gateway, what)
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, scene.shares[0])
    await world.remove(service("podinfo"))
    assert "has no Service" in (await scene.platform.current())["trouble"]
    with pytest.raises(WorldMoved, match=r"was removed.*has no Service"):
        await scene.platform.abort(lease)
    await world.apply(service("podinfo"))
    scene.before["Service podinfo"] = (await scene.specs())["Service podinfo"]  # it has another address now
    await scene.platform.release_lease(lease)
    await scene.check_well(FIRST)


async def test_a_route_that_no_gateway_accepts_any_more_fails_the_step_and_is_cleaned(world: World, gateway: Gateway) -> None:
    """Its parent was changed to one that is not there: the step says that no gateway took it in, and the abort leaves the owner's rules."""
    scene = await raise_scene(world, gateway, "canary+route")
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease)
    await world.merge("HTTPRoute", "podinfo", {"spec": {"parentRefs": [{"name": "absent"}]}})
    scene.before["HTTPRoute podinfo"]["parentRefs"] = [{"name": "absent", "group": "gateway.networking.k8s.io", "kind": "Gateway"}]
    with pytest.raises(RolloutFailed, match="HTTPRoute podinfo is not in force"):
        await scene.platform.shift(50, lease)
    with pytest.raises(WorldMoved, match=r"was removed.*HTTPRoute podinfo is not in force"):
        await scene.platform.abort(lease)
    await give_up(scene, lease, FIRST)


async def test_a_route_to_a_wrong_port_fails_the_release_before_a_request_moves(world: World, gateway: Gateway) -> None:
    """The gateway cannot resolve the reference, which is said with its own words; it was so before, so the rollback is well."""
    scene = await raise_scene(world, gateway, "canary+route")
    wrong = service("podinfo")
    wrong["spec"]["ports"] = [{"name": "http", "port": 81, "targetPort": 9898}]
    await world.remove(service("podinfo"))
    await world.apply(wrong)
    scene.before = await scene.specs()
    lease = await scene.platform.acquire_lease("run")
    with pytest.raises(RolloutFailed, match=r"HTTPRoute podinfo is not in force: .*ResolvedRefs"):
        await scene.bring(lease, 50)
    await give_up(scene, lease, FIRST)


@pytest.mark.parametrize("what", ["canary+route", "rolling"])
async def test_of_two_claims_at_once_exactly_one_acts(world: World, gateway: Gateway, what: str) -> None:
    """Eight releases claim one service at the same moment: one owns it, all others are told whose it is and can write nothing."""
    scene = await raise_scene(world, gateway, what)
    claims = await asyncio.gather(*(scene.platform.acquire_lease(f"run-{number}") for number in range(8)), return_exceptions=True)
    leases = [one for one in claims if not isinstance(one, BaseException)]
    assert len(leases) == 1
    assert all(
        isinstance(one, Refused) and f"owned by {leases[0]['owner']}" in str(one) for one in claims if isinstance(one, BaseException)
    )
    for number in range(8):
        if f"run-{number}" != leases[0]["owner"]:
            with pytest.raises(Refused, match="Acquire the lease before acting"):
                await scene.platform.prepare(SECOND, Lease(owner=f"run-{number}", generation=1), timeout_seconds=5)
    await scene.bring(leases[0], *scene.shares)
    await finish(scene, leases[0], SECOND)


@pytest.mark.parametrize("what", [*BESIDE, "rolling"])
async def test_an_autoscaler_keeps_its_say_through_a_release(world: World, gateway: Gateway, what: str) -> None:
    """It changes the replicas before each step, under its own name: each number stands, and the field stays the autoscaler's."""
    scene = await raise_scene(world, gateway, what)
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease)
    for number, share in enumerate(scene.shares):
        await scale(scene, 2 + number, manager="horizontal-pod-autoscaler")
        await scene.platform.shift(share, lease)
    await scale(scene, 2, manager="horizontal-pod-autoscaler")
    await finish(scene, lease, SECOND)
    found = await world.cluster.read("Deployment", "podinfo")
    assert found is not None
    owners = {one["manager"] for one in found["metadata"]["managedFields"] if "f:replicas" in one["fieldsV1"].get("f:spec", {})}
    assert owners == {"horizontal-pod-autoscaler"}
