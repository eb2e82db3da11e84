"""A rollback to an older version by its name: whatever canary stands there goes, although the baseline is never well again."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import BadInput, RolloutFailed
from blocks.kubernetes.leases import acquire_lease
from blocks.kubernetes.snapshot import position_of, read_view, with_idle
from blocks.kubernetes.strategies import beside, rolling
from blocks.kubernetes.workload import Target
from tasks.rules.rollout.left import may_have_requests
from tests.blocks.kubernetes.fake_cluster import FakeCluster, replica_set, service, template, workload
from tests.blocks.kubernetes.test_abort import SPLITS, Scenes, scenes

__all__ = ["scenes"]
Json = dict[str, Any]


@pytest.fixture
def ill(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Give the versions that never come up in the workload."""
    found: set[str] = set()

    async def rollout(_: Target, of: Json, *, version: str, **__: Any) -> None:
        if version in found:
            raise RolloutFailed(f"{version} of {of['metadata']['name']} does not become ready")

    monkeypatch.setattr("blocks.kubernetes.strategies.beside.await_rollout", rollout)
    return found


@pytest.mark.parametrize("percent", [0, 100])
async def test_in_place_an_older_version_is_started_although_the_baseline_does_not_come_up(ill: set[str], percent: int) -> None:
    """Nothing waits for the baseline, which is deployed for the moment until the older one is."""
    history = [replica_set(number, template(version)) for number, version in enumerate(("0.9", "1.0", "2.0"), start=1)]
    cluster = FakeCluster(workload(template("1.0")), service(), *history)
    target = Target(cluster=cluster, workload="web", service="web", drain_seconds=0)
    lease = await acquire_lease(target, "release", takeover=False)
    await rolling.prepare(target, "2.0", lease)
    if percent:
        await rolling.shift(target, percent, lease)
    ill.add("1.0")
    lease = await acquire_lease(target, "rollback", takeover=True)
    if percent:
        with pytest.raises(RolloutFailed):
            await rolling.abort(target, lease)
    await rolling.abort(target, lease, waits=False)
    position = position_of(target, await read_view(target, None, ours=True))
    assert (position["baseline"], position["canary"]) == ("1.0", None)
    await rolling.prepare(target, "0.9", lease)
    await rolling.shift(target, 100, lease)
    await rolling.promote(target, lease)
    position = position_of(target, await read_view(target, None, ours=True))
    assert (position["baseline"], position["canary"]) == ("0.9", None)
    assert (await target.read())["spec"]["template"] == template("0.9")


@pytest.mark.parametrize(
    ("pods", "idle"),
    [
        ([("1.0", True), ("2.0", False)], True),
        ([("1.0", False), ("2.0", False)], True),
        ([("1.0", True)], True),
        ([("1.0", True), ("2.0", True)], False),
        ([("2.0", False)], False),
        ([], False),
    ],
    ids=["it never came up", "nor does the baseline", "no pod of it yet", "one pod of it is up", "it took its place", "nothing"],
)
async def test_in_place_a_version_is_idle_while_the_baselines_pods_are_there_and_none_of_its_own_is_up(
    ill: set[str], pods: list[tuple[str, bool]], *, idle: bool
) -> None:
    """It has no requests then, though the workload is set to it; one that took the baseline's place may be ill for a moment."""
    history = [replica_set(number, template(version)) for number, version in enumerate(("1.0", "2.0"), start=1)]
    target = Target(cluster=(cluster := FakeCluster(workload(template("1.0")), service(), *history)), workload="web", service="web")
    lease = await acquire_lease(target, "rollback", takeover=True)
    await rolling.prepare(target, "2.0", lease)
    for number, (version, is_up) in enumerate(pods):
        pod = {"kind": "Pod", **template(version), "status": {"conditions": [{"type": "Ready", "status": str(is_up)}]}}
        cluster.put({**pod, "metadata": {**pod["metadata"], "name": f"web-{number}"}})
    assert "idle" not in await at(target)
    ill.add("2.0")
    with pytest.raises(RolloutFailed):
        await rolling.shift(target, 100, lease)
    position = await at(target)
    assert (position["baseline"], position["canary"], position["percent"]) == ("1.0", "2.0", 100)
    assert position.get("idle", False) is idle
    assert may_have_requests(position, in_place=True) is not idle


async def test_pods_that_cannot_be_read_may_have_requests(ill: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback reads the rest."""
    cluster = FakeCluster(workload(template("1.0")), service(), replica_set(1, template("1.0")))
    target = Target(cluster=cluster, workload="web", service="web")
    lease = await acquire_lease(target, "rollback", takeover=True)
    await rolling.prepare(target, "1.1", lease)
    ill.add("1.1")
    with pytest.raises(RolloutFailed):
        await rolling.shift(target, 100, lease)

    async def forbidden(*_: Any, **__: Any) -> None:
        raise BadInput("pods is forbidden", field="account", fix="Allow it")

    monkeypatch.setattr("blocks.kubernetes.snapshot.pods_by_version", forbidden)
    assert may_have_requests(await at(target), in_place=True)


async def at(target: Target) -> Any:
    """Read the position as the platform does."""
    view = await read_view(target, None, ours=True)
    return await with_idle(target, view, position_of(target, view))


@pytest.mark.parametrize("promotes", [False, True])
@pytest.mark.parametrize("split", SPLITS)
async def test_beside_a_baseline_without_a_pod_the_canary_makes_way(scenes: Scenes, split: str, *, promotes: bool) -> None:
    """Its requests would stay with it otherwise, and the older version could never be started in its place."""
    scene = await scenes(split)
    if promotes:
        scene.hangs.add("web")
        with pytest.raises(RolloutFailed):
            await beside.promote(scene.target, scene.traffic, scene.lease)
    await scene.autoscaled(0)
    scene.hangs.update(("web", "pods"))
    scene.waits.clear()
    for _ in range(2):
        await beside.abort(scene.target, scene.traffic, scene.lease, waits=False)
        assert ("Deployment", "web-canary") not in scene.cluster.objects
        assert await scene.traffic.read() == 0
    assert scene.waits == []
    await beside.prepare(scene.target, scene.traffic, "0.9", scene.lease, timeout_seconds=1)
    position = position_of(scene.target, await read_view(scene.target, None))
    assert (position["baseline"], position["canary"]) == ("1.0", "0.9")
