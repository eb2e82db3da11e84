"""StatefulSets in steps by their partition, and pods of several containers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from blocks.errors import RolloutFailed
from tests.cluster.cluster_world import IMAGE, PATH, World, deployment, service
from tests.cluster.scene import FIRST, SECOND, Scene, platform_of
from tests.cluster.test_jobs import GOOD

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(150)]


def stateful_set(*, partition: int | None = None, replicas: int = 2) -> dict[str, Any]:
    """Write podinfo as a StatefulSet."""
    manifest = deployment("podinfo", FIRST, replicas=replicas, change={"serviceName": "podinfo"})
    if partition is not None:
        manifest["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    return {**manifest, "kind": "StatefulSet"}


async def raised(world: World, manifest: dict[str, Any]) -> Scene:
    """Run a workload by its manifest, and remember how it was."""
    await world.apply(manifest, service("podinfo"))
    await world.rolled_out(kind=manifest["kind"])
    scene = Scene(world, platform_of(world, "rolling", kind=manifest["kind"], container="podinfo"))
    scene.before = await scene.specs()
    return scene


async def images(scene: Scene) -> list[str]:
    """Name the versions of the pods, in the order of their names."""
    pods = sorted(await scene.world.pods(), key=lambda pod: str(pod["metadata"]["name"]))
    return [str(pod["spec"]["containers"][0]["image"]).rpartition(":")[2] for pod in pods]


async def test_a_stateful_set_is_released_in_steps(world: World) -> None:
    """Half of its pods, the highest, then all, each step twice; afterwards its manifest says what its owner wrote."""
    scene = await raised(world, stateful_set())
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 50)
    async with asyncio.timeout(20):
        await scene.platform.shift(50, lease)
    assert await images(scene) == [FIRST, SECOND]
    assert (await scene.platform.current())["percent"] == 50
    await scene.platform.shift(100, lease)
    assert await images(scene) == [SECOND, SECOND]
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)
    await scene.check_well(SECOND)


async def test_a_stateful_set_goes_back_from_half_way_without_bringing_the_rest_over_first(world: World) -> None:
    """The pods that never ran the version are not touched by the rollback."""
    scene = await raised(world, stateful_set())
    before = {pod["metadata"]["uid"] for pod in await world.pods()}
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 50)
    (stayed,) = before & {pod["metadata"]["uid"] for pod in await world.pods()}
    await scene.platform.abort(lease)
    await scene.platform.release_lease(lease)
    assert stayed in {pod["metadata"]["uid"] for pod in await world.pods()}
    await scene.check_well(FIRST)


async def test_a_stateful_set_goes_back_from_a_version_that_never_becomes_ready(world: World) -> None:
    """It would wait for the pod whose image is not there before it changed any; the others and the owner's partition stay."""
    scene = await raised(world, stateful_set(partition=1))
    before = {pod["metadata"]["uid"] for pod in await world.pods()}
    lease = await scene.platform.acquire_lease("run")
    with pytest.raises(RolloutFailed, match="Image"):
        await scene.bring(lease, 50, version="0.0.0-not-there")
    async with asyncio.timeout(60):
        await scene.platform.abort(lease)
    await scene.platform.release_lease(lease)
    assert len(before & {pod["metadata"]["uid"] for pod in await world.pods()}) == 1
    await scene.check_well(FIRST)


async def test_a_stateful_set_has_its_owners_partition_after_a_release(world: World) -> None:
    """A release moves it, and gives it back at its end."""
    scene = await raised(world, stateful_set(partition=1))
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 100)
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)
    assert await images(scene) == [SECOND, SECOND]
    await scene.check_well(SECOND)


async def test_a_stateful_set_is_over_when_its_pods_have_been_ready_for_as_long_as_it_says(world: World) -> None:
    """Ready is one good answer: with `minReadySeconds` a release returns once all pods are available."""
    manifest = stateful_set()
    manifest["spec"]["minReadySeconds"] = 8
    scene = await raised(world, manifest)
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 100)
    found = await world.cluster.read("StatefulSet", "podinfo")
    assert found is not None
    assert (found["status"]["availableReplicas"], await images(scene)) == (2, [SECOND, SECOND])
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)
    await scene.check_well(SECOND)


async def test_several_containers_and_an_init_container_are_kept_as_they_are(world: World) -> None:
    """Only the image of the container that carries the version changes, and all of it comes back."""
    manifest = deployment("podinfo", FIRST)
    pod = manifest["spec"]["template"]["spec"]
    aside = {"image": f"{IMAGE}:6.9.2", "imagePullPolicy": "IfNotPresent", "env": [PATH]}
    elsewhere = ["podinfo", "--port=9000", "--level=warn"]
    pod["containers"].append({**aside, "name": "sidecar", "command": elsewhere})
    pod["initContainers"] = [{**aside, "name": "first", "command": GOOD}]
    scene = await raised(world, manifest)
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 100)
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)
    await scene.check_well(SECOND)
    lease = await scene.platform.acquire_lease("rollback", takeover=True)
    await scene.bring(lease, 100, version=FIRST)
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)
    await scene.check_well(FIRST)
