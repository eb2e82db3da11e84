"""The requests leave a bad canary, whatever refuses, delays or counts wrongly what else a rollback does; on an API server in memory."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as some

from blocks.errors import BadInput, RolloutFailed, ShipwayError, Unreachable, WorldMoved
from blocks.kubernetes.leases import acquire_lease
from blocks.kubernetes.routing.select import traffic_of
from blocks.kubernetes.routing.traffic import Traffic
from blocks.kubernetes.snapshot import position_of, read_view
from blocks.kubernetes.strategies import beside
from blocks.kubernetes.strategies.canary import MOST_TIMES, STABLE, stable_before
from blocks.kubernetes.strategies.prescale import ENOUGH_SECONDS
from blocks.kubernetes.workload import Target
from blocks.platform import Lease
from tests.blocks.kubernetes.fake_cluster import FakeCluster, replica_set, service, template, workload
from tests.blocks.kubernetes.test_route import parent, route

Json = dict[str, Any]
SPLITS = {"pods": ("canary", ""), "weights": ("canary", "web"), "switch": ("blue-green", "")}


class Cluster(FakeCluster):
    """Refuses what a test says, as admission does.

    Fields:
        refuses: By path of a patch step on the workload the error.
    """

    def __init__(self, *objects: Json) -> None:
        """Refuse nothing yet."""
        super().__init__(*objects)
        self.refuses: dict[str, ShipwayError] = {}

    async def patch(self, kind: str, name: str, body: Any, **options: Any) -> Json:
        """Patch, or refuse it."""
        for step in body if (kind, name) == ("Deployment", "web") and isinstance(body, list) else []:
            if step["path"] in self.refuses:
                raise self.refuses[step["path"]]
        return await super().patch(kind, name, body, **options)


class Scene(NamedTuple):
    """A canary that has requests.

    Fields:
        cluster: Its API server.
        target: The workload.
        traffic: How the requests are split.
        lease: Our lease.
        waits: What was waited for, with the canary's share at that moment.
        hangs: What never comes to an end: the workloads by name, and `pods` of the baseline.
    """

    cluster: Cluster
    target: Target
    traffic: Traffic
    lease: Lease
    waits: list[tuple[str, int]]
    hangs: set[str]

    async def autoscaled(self, replicas: int) -> None:
        """Take idle pods away, as an autoscaler does."""
        live = self.cluster.objects["Deployment", "web"]
        fields = [{"manager": "kube-controller-manager", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
        live["metadata"]["managedFields"] = fields
        live["spec"]["replicas"] = live["status"]["availableReplicas"] = replicas
        self.cluster.put(live)


Scenes = Callable[..., Awaitable[Scene]]


@pytest.fixture
def scenes(monkeypatch: pytest.MonkeyPatch) -> Scenes:
    """Give a maker of scenes."""
    waits: list[tuple[str, int]] = []
    hangs: set[str] = set()
    traffics: list[Traffic] = []

    async def rollout(_: Target, found: Json, **__: Any) -> None:
        name = found["metadata"]["name"]
        waits.append((name, await traffics[0].read()))
        if name in hangs:
            raise RolloutFailed(f"{name} does not become ready")

    async def come(target: Target, _: Lease, *, pods: int, timeout_seconds: float) -> bool:
        waits.append((f"{pods} pods for {timeout_seconds:g} s", await traffics[0].read()))
        live = target.cluster.objects["Deployment", "web"]  # type: ignore[attr-defined]
        if "pods" not in hangs:
            live["status"]["availableReplicas"] = live["spec"]["replicas"]
        return bool(live["status"]["availableReplicas"] >= pods)

    for module in ("beside", "canary"):
        monkeypatch.setattr(f"blocks.kubernetes.strategies.{module}.await_rollout", rollout)
    monkeypatch.setattr("blocks.kubernetes.strategies.prescale.await_available", come)

    async def make(split: str, *, percent: int = 100) -> Scene:
        strategy, named = SPLITS[split]
        cluster = Cluster(workload(template("1.0"), replicas=4), replica_set(1, template("1.0")), service(), route(parent()))
        target = Target(cluster=cluster, workload="web", service="web", route=named, drain_seconds=0)
        traffic = traffic_of(target, strategy)
        traffics[:] = [traffic]
        lease = await acquire_lease(target, "run", takeover=False)
        await beside.prepare(target, traffic, "1.1", lease, timeout_seconds=1)
        labels = cluster.objects["Deployment", "web-canary"]["spec"]["template"]["metadata"]["labels"]
        for number in range(4):
            cluster.put({"kind": "Pod", "metadata": {"name": f"canary-{number}", "labels": labels, "creationTimestamp": "now"}})
        await beside.shift(target, traffic, percent, lease)
        assert await traffic.read() == percent
        waits.clear()
        return Scene(cluster, target, traffic, lease, waits, hangs)

    return make


@pytest.mark.parametrize("hangs", [True, False])
@pytest.mark.parametrize("split", SPLITS)
async def test_the_requests_are_back_before_a_rollback_waits_for_the_workload(scenes: Scenes, split: str, *, hangs: bool) -> None:
    """A promotion had updated it already: until it is as it was may take minutes, or for ever, and the canary does not serve so long."""
    scene = await scenes(split)
    scene.hangs.add("web")
    with pytest.raises(RolloutFailed):
        await beside.promote(scene.target, scene.traffic, scene.lease)
    assert position_of(scene.target, await read_view(scene.target, None)).get("under_way") == "promotion"
    scene.waits.clear()
    if not hangs:
        scene.hangs.clear()
        await beside.abort(scene.target, scene.traffic, scene.lease)
        assert ("Deployment", "web-canary") not in scene.cluster.objects
    else:
        for _ in range(2):  # tried again, it is the same
            with pytest.raises(RolloutFailed, match="web does not become ready"):
                await beside.abort(scene.target, scene.traffic, scene.lease)
            assert await scene.traffic.read() == 0
    assert set(scene.waits) == {("web", 0)}
    assert (await scene.target.read())["spec"]["template"] == template("1.0")


@pytest.mark.parametrize("what", ["its revision is gone", "admission refuses it"])
@pytest.mark.parametrize("split", SPLITS)
async def test_a_workload_that_cannot_be_made_as_it_was_does_not_keep_the_requests(scenes: Scenes, split: str, what: str) -> None:
    """A promotion had begun to update it: some of its pods may still be those of before, and none is worse than the canary."""
    scene = await scenes(split)
    scene.hangs.add("web")
    with pytest.raises(RolloutFailed):
        await beside.promote(scene.target, scene.traffic, scene.lease)
    if what == "its revision is gone":
        del scene.cluster.objects["ReplicaSet", "web-1"]
    else:
        scene.cluster.refuses["/spec/template"] = RolloutFailed("admission rejects it")
    with pytest.raises((RolloutFailed, WorldMoved), match=r"not in the cluster's history|admission rejects it"):
        await beside.abort(scene.target, scene.traffic, scene.lease)
    assert await scene.traffic.read() == 0
    assert ("Deployment", "web-canary") in scene.cluster.objects


@pytest.mark.parametrize("percent", [50, 100])
@pytest.mark.parametrize("split", ["pods", "weights"])
async def test_a_canary_that_crashes_loses_its_requests_at_once(scenes: Scenes, split: str, percent: int) -> None:
    """Nothing waits until it is ready: that it is not is why they leave."""
    scene = await scenes(split, percent=percent)
    scene.hangs.add("web-canary")
    await beside.shift(scene.target, scene.traffic, 0, scene.lease)
    assert await scene.traffic.read() == 0
    assert scene.waits == []


REFUSALS = {
    "admission": RolloutFailed("admission rejects it"),
    "a missing right": BadInput("forbidden", field="rbac", fix="Allow it"),
    "a webhook that does not answer": Unreachable("500: failed calling webhook"),
}


@pytest.mark.parametrize("ends", ["abort", "shift"])
@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("split", SPLITS)
async def test_a_refusal_to_scale_up_keeps_no_requests(scenes: Scenes, split: str, refusal: str, ends: str) -> None:
    """An autoscaler left one stable pod, and nothing else may write the number: the one pod serves, and not the bad version."""
    scene = await scenes(split)
    await scene.autoscaled(1)
    scene.cluster.refuses["/spec/replicas"] = REFUSALS[refusal]
    if ends == "abort":
        await beside.abort(scene.target, scene.traffic, scene.lease)
        assert ("Deployment", "web-canary") not in scene.cluster.objects
    else:
        await beside.shift(scene.target, scene.traffic, 0, scene.lease)
    assert scene.cluster.objects["Deployment", "web"]["spec"]["replicas"] == 1
    assert await scene.traffic.read() == 0


@pytest.mark.parametrize("split", SPLITS)
async def test_pods_that_do_not_come_keep_the_requests_for_a_moment_only(scenes: Scenes, split: str) -> None:
    """A quota, or no room: some stable pods serve, so half a minute is the most."""
    scene = await scenes(split)
    await scene.autoscaled(1)
    scene.hangs.add("pods")
    await beside.abort(scene.target, scene.traffic, scene.lease)
    assert scene.waits == [(f"4 pods for {ENOUGH_SECONDS:g} s", 100)]
    assert await scene.traffic.read() == 0


async def test_the_first_pod_of_none_is_enough(scenes: Scenes) -> None:
    """Without any the requests stay, as they would all fail; a refusal to scale up is in the message, and is not waited for."""
    scene = await scenes("switch")
    await scene.autoscaled(0)
    scene.hangs.add("pods")
    with pytest.raises(RolloutFailed, match="no pod of shop/web is available"):
        await beside.abort(scene.target, scene.traffic, scene.lease)
    assert [name for name, _ in scene.waits] == ["4 pods for 30 s", "1 pods for 600 s"]
    await scene.autoscaled(0)
    scene.waits.clear()
    scene.cluster.refuses["/spec/replicas"] = REFUSALS["admission"]
    with pytest.raises(RolloutFailed, match=r"no pod of shop/web is available.*admission rejects it"):
        await beside.abort(scene.target, scene.traffic, scene.lease)
    assert scene.waits == []
    assert await scene.traffic.read() == 100


@pytest.mark.parametrize(("noted", "pods", "after"), [("100000", 4, 8), ("40", 40, 40), ("40", 4, 8), ("", 4, 1), ("4", 0, 4)])
async def test_a_number_that_others_noted_is_not_asked_of_the_cluster(scenes: Scenes, noted: str, pods: int, after: int) -> None:
    """It counts as far as the pods that there are speak for it."""
    scene = await scenes("weights")
    await scene.autoscaled(1)
    canary = scene.cluster.objects["Deployment", "web-canary"]
    canary["metadata"]["annotations"][STABLE] = noted
    canary["status"] = {"replicas": pods}
    await beside.abort(scene.target, scene.traffic, scene.lease)
    assert scene.cluster.objects["Deployment", "web"]["spec"]["replicas"] == after


@given(
    noted=some.one_of(some.integers(0, 10**9).map(str), some.text(max_size=8)),
    replicas=some.integers(0, 1_000),
    pods=some.integers(0, 1_000),
    percent=some.integers(0, 100),
)
def test_no_noted_number_goes_beyond_what_is_there(noted: str, replicas: int, pods: int, percent: int) -> None:
    """Some times the present stable pods, or what the canary's own pods carry; and the true number always passes."""
    now = {"spec": {"replicas": replicas}}

    def found(text: str, running: int) -> int:
        return stable_before({"metadata": {"annotations": {STABLE: text}}, "status": {"replicas": running}}, now, percent=percent)

    carried = math.ceil(pods * 100 / percent) if percent else 0
    assert 0 <= found(noted, pods) <= max(MOST_TIMES * replicas + MOST_TIMES, carried)
    if percent:
        assert found(str(pods), math.ceil(pods * percent / 100)) == pods
