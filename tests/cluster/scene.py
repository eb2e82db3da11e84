"""podinfo with everything that a release may touch, remembered as it was, and what must be true of it after any fault."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest

from blocks.kubernetes.objects.config import CONFIG_ANNOTATION, PARTS_ANNOTATION
from blocks.kubernetes.objects.template import VERSION_ANNOTATION, VERSION_LABEL
from blocks.kubernetes.platform import KubernetesPlatform, Strategy
from blocks.platform import Lease
from tests.cluster.cluster_world import IMAGE, Gateway, World

Json = dict[str, Any]
FIRST, SECOND, THIRD = "6.9.0", "6.9.1", "6.9.2"
READY = 60.0
# The strategies beside the workload. What holds with weights is shown with these two as far as a run's time goes.
BY_PODS, BLUE_GREEN = (pytest.param(strategy, marks=pytest.mark.variant) for strategy in ("canary", "blue-green"))
BESIDE = ("canary+route", BY_PODS, BLUE_GREEN)
KINDS = ("Deployment", "StatefulSet", "Service", "HTTPRoute")


@dataclass
class Scene:
    """podinfo in a namespace, and the platform that releases it.

    Fields:
        world: The namespace.
        platform: The platform.
        url: Where users reach podinfo, or "".
        before: The specs of everything in the namespace, by kind and name, as the owner left them.
    """

    world: World
    platform: KubernetesPlatform
    url: str = ""
    before: dict[str, Json] = field(default_factory=dict)

    @property
    def shares(self) -> tuple[int, ...]:
        """Steps that the strategy can make."""
        return (50, 100) if self.platform.strategy == "canary" else (100,)

    async def specs(self) -> dict[str, Json]:
        """Read what stands in the namespace."""
        return {f"{kind} {one['metadata']['name']}": one["spec"] for kind in KINDS for one in await self.world.cluster.list(kind)}

    async def template(self) -> Any:
        """Read the Deployment's pod template."""
        found = await self.world.cluster.read("Deployment", "podinfo")
        assert found is not None
        return found["spec"]["template"]

    async def bring(self, lease: Lease, *shares: int, version: str = SECOND) -> None:
        """Prepare a version and give it these shares."""
        await self.platform.prepare(version, lease, timeout_seconds=READY)
        for share in shares:
            await self.platform.shift(share, lease)

    async def check_well(self, version: str, *, owner: str | None = None) -> None:
        """Assert that a version serves alone, ready, from the owner's own objects, which say what they said but for the version."""
        position = await self.platform.current()
        assert (position["baseline"], position["canary"], position["percent"]) == (version, None, 0), position
        assert position["owner"] == owner
        await self.world.rolled_out(kind=self.platform.kind)
        assert (await self.platform.current())["ready"] == {version: True}
        found = await self.specs()
        assert sorted(found) == sorted(self.before)
        workload = f"{self.platform.kind} {self.platform.workload}"
        assert plain(found.pop(workload), version) == plain(self.before[workload], version)
        assert found == {name: spec for name, spec in self.before.items() if name != workload}
        pods = await self.world.pods()
        assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {f"{IMAGE}:{version}"}
        for kind, name in (("Service", "podinfo"), ("HTTPRoute", self.platform.route)):
            one = await self.world.cluster.read(kind, name) if name else None
            left = ((one or {"metadata": {}})["metadata"].get("annotations") or {}).keys() - {"shipway.dev/generation"}
            assert not {key for key in left if key.startswith("shipway.dev/")}


def plain(spec: Json, version: str) -> Json:
    """Write a workload's spec as it is in a version, without what Shipway notes on the pod template."""
    found = copy.deepcopy(spec)
    metadata = found["template"]["metadata"]
    for name, ours in (("annotations", (VERSION_ANNOTATION, CONFIG_ANNOTATION, PARTS_ANNOTATION)), ("labels", (VERSION_LABEL,))):
        metadata[name] = {key: value for key, value in (metadata.get(name) or {}).items() if key not in ours}
    metadata.pop("creationTimestamp", None)
    found["template"]["spec"]["containers"][0]["image"] = f"{IMAGE}:{version}"
    return found


async def raise_scene(world: World, gateway: Gateway, what: str, *, replicas: int = 1, **more: Any) -> Scene:
    """Run podinfo's first version.

    Args:
        world: Where.
        gateway: What its route hangs on.
        what: The strategy, with `+route` where weights split the requests.
        replicas: How many pods.
        more: Fields of the block besides.
    """
    strategy, _, route = what.partition("+")
    await world.podinfo(FIRST, replicas=replicas)
    url = await world.route(gateway)
    platform = platform_of(world, strategy, route="podinfo" if route else "", url=url, **more)
    scene = Scene(world, platform, url)
    scene.before = await scene.specs()
    return scene


def platform_of(world: World, strategy: Strategy | str, **more: Any) -> KubernetesPlatform:
    """Make the platform, which may take the image over from `kubectl`."""
    settings: Json = {"drain_seconds": 3, "force_conflicts": True, "strategy": strategy, **more}
    return KubernetesPlatform(namespace=world.namespace, workload="podinfo", **settings)
