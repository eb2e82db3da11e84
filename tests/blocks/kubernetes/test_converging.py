"""What each step of a release reads before it writes, on an API server in memory; rollouts end at once here."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import BadInput, RolloutFailed, WorldMoved
from blocks.kubernetes.leases import acquire_lease, release_lease
from blocks.kubernetes.objects.annotations import state_of
from blocks.kubernetes.preview.planned import planned
from blocks.kubernetes.revision import expect_untouched
from blocks.kubernetes.routing.select import traffic_of
from blocks.kubernetes.snapshot import read_view
from blocks.kubernetes.strategies import beside, rolling
from blocks.kubernetes.workload import FOR, OURS, Target
from blocks.platform import Lease
from tests.blocks.kubernetes.fake_cluster import FakeCluster, replica_set, service, template, workload

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def rollouts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every rollout be through, and give what was waited for."""
    waited: list[str] = []

    async def through(target: Target, found: Json, *, version: str, **_: Any) -> None:
        if found["metadata"]["name"] == "web" and isinstance(target.cluster, FakeCluster):
            target.cluster.objects["Deployment", "web"]["status"]["availableReplicas"] = found["spec"]["replicas"]
        waited.append(f"{found['metadata']['name']} {version}")

    async def come(target: Target, lease: Lease, *, pods: int, timeout_seconds: float) -> bool:
        del lease, timeout_seconds
        found = await target.read()
        await through(target, found, version="replicas")
        return bool(found["spec"]["replicas"] >= pods)

    for module in ("kubernetes.strategies.beside", "kubernetes.strategies.canary"):
        monkeypatch.setattr(f"blocks.{module}.await_rollout", through)
    monkeypatch.setattr("blocks.kubernetes.strategies.prescale.await_available", come)
    return waited


def target_of(cluster: FakeCluster, **more: Any) -> Target:
    """Make the target `web` behind the Service `web`."""
    return Target(cluster=cluster, workload="web", service="web", drain_seconds=0, **more)


async def begun(target: Target, version: str = "1.1", *, rollback: bool = False) -> Lease:
    """Claim it and prepare a version by rolling."""
    lease = await acquire_lease(target, "run", takeover=rollback)
    await rolling.prepare(target, version, lease)
    return lease


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (template("1.0", args=["--fast"]), "args"),
        (template("0.9"), "runs 0.9, neither 1.0"),
    ],
    ids=["template", "version"],
)
async def test_nothing_is_built_on_a_template_that_someone_changed(now: Json, said: str) -> None:
    """The promotion, and the first write of a rolling update, name what differs from the template that the release found."""
    cluster = FakeCluster(workload(template("1.0")), replica_set(1, template("1.0")), service())
    target = target_of(cluster)
    lease = await begun(target)
    live = cluster.objects["Deployment", "web"]
    cluster.put({**live, "spec": {**live["spec"], "template": now}})
    writes = list(cluster.writes)
    with pytest.raises(WorldMoved, match=said):
        await rolling.shift(target, 100, lease)
    found = await target.read()
    with pytest.raises(WorldMoved, match=said):
        await expect_untouched(target, found, state_of(found))
    assert cluster.writes == writes


async def test_a_restart_by_hand_is_not_a_change() -> None:
    """`kubectl rollout restart` changes an annotation alone, with which any version runs."""
    cluster = FakeCluster(workload(template("1.0")), replica_set(1, template("1.0")), service())
    target = target_of(cluster)
    lease = await begun(target)
    live = cluster.objects["Deployment", "web"]
    live["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "now"
    await rolling.shift(target, 100, lease)
    assert target.version(await target.read()) == "1.1"


@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
@pytest.mark.parametrize("asked", ["1.0", "1.0+config.C0"])
async def test_a_version_that_comes_back_with_its_previous_configuration_is_called_so_all_the_way(strategy: str, asked: str) -> None:
    """After a change of configuration 1.0 is only remembered with the old one: each step, taken twice, means the same version."""
    bad, previous = template("1.1", config="C1"), template("1.0", config="C0")
    cluster = FakeCluster(workload(bad), replica_set(2, bad), replica_set(1, previous), service())
    target = target_of(cluster, config="C1")
    lease = await acquire_lease(target, "rollback", takeover=True)
    traffic = traffic_of(target, strategy)
    for _ in range(2):
        if strategy == "rolling":
            await rolling.prepare(target, asked, lease)
        else:
            await beside.prepare(target, traffic, asked, lease, timeout_seconds=1)
        assert state_of(await target.read()).canary == "1.0+config.C0"
    for _ in range(2):
        await (rolling.shift(target, 100, lease) if strategy == "rolling" else beside.shift(target, traffic, 100, lease))
    await (rolling.promote(target, lease) if strategy == "rolling" else beside.promote(target, traffic, lease))
    found = await target.read()
    assert found["spec"]["template"] == previous
    assert (state_of(found).canary, state_of(found).previous, state_of(found).rolled_back) == ("", "", "1.1+config.C1")
    await release_lease(target, lease)
    await acquire_lease(target, "another rollback", takeover=True)  # the history of the cluster has 1.1 before it
    assert state_of(await target.read()).previous == ""
    assert ("Deployment", "web-canary") not in cluster.objects


async def switched(target: Target, *, percent: int = 100) -> Lease:
    """Bring 1.1 in beside by blue-green, and switch to it."""
    traffic = traffic_of(target, "blue-green")
    lease = await acquire_lease(target, "run", takeover=False)
    await beside.prepare(target, traffic, "1.1", lease, timeout_seconds=1)
    await beside.shift(target, traffic, percent, lease)
    return lease


def expect_as_before(cluster: FakeCluster) -> None:
    """Assert that the workload, its Service and nothing else stand as they did."""
    assert sorted(cluster.objects) == [("Deployment", "web"), ("ReplicaSet", "web-1"), ("Service", "web")]
    assert cluster.objects["Deployment", "web"]["spec"]["template"] == template("1.0")
    assert cluster.objects["Service", "web"]["spec"]["selector"] == {"app": "web"}


@pytest.mark.parametrize("strategy", ["canary", "blue-green", "rolling"])
async def test_what_one_strategy_left_another_one_takes_away(strategy: str) -> None:
    """The block was changed after a blue-green release died: the Service selects its own pods again, whichever strategy goes back."""
    cluster = FakeCluster(workload(template("1.0")), replica_set(1, template("1.0")), service())
    target = target_of(cluster)
    lease = await switched(target)
    if strategy == "rolling":
        await rolling.prepare(target, "1.2", lease)
        assert state_of(await target.read()).canary == "1.2"
        await rolling.abort(target, lease)
    else:
        await beside.abort(target, traffic_of(target, strategy), lease)
    expect_as_before(cluster)


@pytest.mark.parametrize("strategy", ["canary", "blue-green"])
async def test_a_rolling_release_goes_back_by_another_strategy(strategy: str) -> None:
    """The workload runs the canary's version, and nothing stands beside it: its previous template comes back, and is still known as it."""
    cluster = FakeCluster(workload(template("1.0")), replica_set(1, template("1.0")), service())
    target = target_of(cluster)
    lease = await begun(target)
    await rolling.shift(target, 100, lease)
    cluster.put({"kind": "Deployment", "metadata": {"name": "web-canary", "labels": OURS, "annotations": {FOR: "web"}}, "spec": {}})
    assert (await read_view(target, None)).versions(target) == ("1.0", "1.1")
    del cluster.objects["Deployment", "web-canary"]
    await beside.abort(target, traffic_of(target, strategy), lease)
    expect_as_before(cluster)


async def test_a_claim_does_not_stamp_another_owners_object() -> None:
    """A Deployment that happens to have the canary's name is no one's business here."""
    theirs = {"kind": "Deployment", "metadata": {"name": "web-canary"}, "spec": {}}
    cluster = FakeCluster(workload(template("1.0")), service(), theirs)
    await acquire_lease(target_of(cluster), "run", takeover=False)
    assert "patch Deployment/web-canary" not in cluster.writes


@pytest.mark.parametrize(
    ("spec", "strategy", "said"),
    [
        ({"paused": True}, "rolling", "is paused"),
        ({"paused": True}, "blue-green", "is paused"),
        ({"strategy": {"type": "Recreate"}}, "blue-green", "Recreate"),
        ({"strategy": {"type": "Recreate"}}, "rolling", ""),
    ],
)
async def test_a_workload_that_would_not_follow_is_refused_before_anything_is_written(spec: Json, strategy: str, said: str) -> None:
    """By the preview and by `prepare` in the same words."""
    now = workload(template("1.0"))
    cluster = FakeCluster({**now, "spec": {**now["spec"], **spec}}, replica_set(1, template("1.0")), service())
    target = target_of(cluster)
    lease = await acquire_lease(target, "run", takeover=False)
    writes = list(cluster.writes)
    if not said:
        await planned(target, strategy, "1.1")
        await rolling.prepare(target, "1.1", lease)
        return
    with pytest.raises(BadInput, match=said):
        await planned(target, strategy, "1.1")
    with pytest.raises(BadInput, match=said):
        await (
            rolling.prepare(target, "1.1", lease)
            if strategy == "rolling"
            else beside.prepare(target, traffic_of(target, strategy), "1.1", lease, timeout_seconds=1)
        )
    assert cluster.writes == writes


AUTOSCALER, PERSON = "kube-controller-manager", "kubectl"


async def shrink(cluster: FakeCluster, replicas: int, *, manager: str) -> None:
    """Take pods away, as whoever it is."""
    live = cluster.objects["Deployment", "web"]
    fields = [{"manager": manager, "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    metadata = {**live["metadata"], "managedFields": fields}
    cluster.put({**live, "metadata": metadata, "spec": {**live["spec"], "replicas": replicas}, "status": {"availableReplicas": replicas}})


@pytest.mark.parametrize(
    ("replicas", "manager", "after"),
    [(1, AUTOSCALER, 4), (0, PERSON, 4), (2, PERSON, 2), (4, AUTOSCALER, 4), (6, AUTOSCALER, 6)],
)
@pytest.mark.parametrize("ends", ["abort", "promote", "nothing"])
async def test_requests_come_back_to_as_many_pods_as_they_left(ends: str, replicas: int, manager: str, after: int) -> None:
    """An autoscaler took the idle pods away: they come back before the requests do; the number of a person stands, unless it is none."""
    cluster = FakeCluster(workload(template("1.0"), replicas=4), replica_set(1, template("1.0")), service())
    target = target_of(cluster)
    traffic = traffic_of(target, "blue-green")
    lease = await switched(target)
    await shrink(cluster, replicas, manager=manager)
    if ends == "abort":
        await beside.abort(target, traffic, lease)
    elif ends == "promote":
        await beside.promote(target, traffic, lease)
    else:
        await beside.shift(target, traffic, 0, lease)
    assert cluster.objects["Deployment", "web"]["spec"]["replicas"] == after
    assert cluster.objects["Service", "web"]["spec"]["selector"] == {"app": "web"}


async def test_requests_do_not_go_where_no_pod_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stable pods do not come up again: the canary keeps the requests, and the message says so."""
    cluster = FakeCluster(workload(template("1.0"), replicas=4), replica_set(1, template("1.0")), service())
    target = target_of(cluster)
    lease = await switched(target)
    await shrink(cluster, 0, manager=AUTOSCALER)

    async def late(*_: Any, **__: Any) -> bool:
        return False

    monkeypatch.setattr("blocks.kubernetes.strategies.prescale.await_available", late)
    with pytest.raises(RolloutFailed, match="no pod of shop/web is available"):
        await beside.abort(target, traffic_of(target, "blue-green"), lease)
    assert await traffic_of(target, "blue-green").read() == 100


async def test_a_canary_has_as_many_pods_as_the_stable_ones_were() -> None:
    """An autoscaler that follows the requests away from the stable pods does not make the canary small."""
    cluster = FakeCluster(workload(template("1.0"), replicas=4), replica_set(1, template("1.0")), service())
    target = target_of(cluster)
    traffic = traffic_of(target, "canary")
    lease = await acquire_lease(target, "run", takeover=False)
    await beside.prepare(target, traffic, "1.1", lease, timeout_seconds=1)
    await shrink(cluster, 1, manager=AUTOSCALER)
    await beside.shift(target, traffic, 100, lease)
    assert cluster.objects["Deployment", "web-canary"]["spec"]["replicas"] == 4
