"""A ConfigMap or Secret that cannot be read any more refuses releases, and stops no rollback; on an API server in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from blocks.errors import BadInput
from blocks.kubernetes.objects.config import noted_on, read_configuration
from blocks.kubernetes.platform import KubernetesPlatform
from tests.blocks.kubernetes.fake_cluster import FakeCluster, replica_set, service, template, workload

Json = dict[str, Any]
SECRET = {"kind": "Secret", "metadata": {"name": "web-db", "uid": "s"}, "data": {"password": "aHVzaA=="}}
FORBIDDEN = BadInput("User cannot get resource secrets", field="rbac", fix="Add a rule")


class Cluster(FakeCluster):
    """Reads no Secret once its Role lost the right."""

    may_read = True

    async def read(self, kind: str, name: str) -> Json | None:
        """Read an object, if the Role allows it."""
        if kind == "Secret" and not self.may_read:
            raise FORBIDDEN
        return await super().read(kind, name)


def reading(version: str) -> Json:
    """Write the pod template of a version that reads the Secret."""
    return template(version, envFrom=[{"secretRef": {"name": "web-db"}}])


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Give a cluster where 1.0 serves, and let every rollout be through."""

    async def through(*_: Any, **__: Any) -> None:
        return None

    previous = reading("1.0")
    previous["metadata"]["annotations"] |= noted_on(previous, await read_configuration(FakeCluster(SECRET), previous))
    found = Cluster(workload(previous), replica_set(1, previous), service(), SECRET)
    monkeypatch.setattr("blocks.kubernetes.platform.connect_once", lambda _: None)
    monkeypatch.setattr("blocks.kubernetes.platform.Cluster", lambda *_, **__: found)
    for place in ("platform.record_event", "strategies.beside.await_rollout", "strategies.canary.await_rollout"):
        monkeypatch.setattr(f"blocks.kubernetes.{place}", through)
    return found


Strategy = pytest.mark.parametrize("strategy", ["rolling", "blue-green"])


async def released(platform: KubernetesPlatform, cluster: Cluster) -> None:
    """Release 1.1, and take the right to read the Secret away."""
    lease = await platform.acquire_lease("release")
    await platform.prepare("1.1", lease, timeout_seconds=1)
    await platform.shift(100, lease)
    await platform.promote(lease)
    live = cluster.objects["Deployment", "web"]["spec"]["template"]
    cluster.put(replica_set(2, live))
    cluster.may_read = False


@Strategy
async def test_a_rollback_after_the_promotion_reads_no_configuration(strategy: str, cluster: Cluster) -> None:
    """Each call of it works, and the exact template of before serves again."""
    platform = KubernetesPlatform(workload="web", strategy=strategy, drain_seconds=0)
    previous = cluster.objects["Deployment", "web"]["spec"]["template"]
    await released(platform, cluster)
    lease = await platform.acquire_lease("rollback", takeover=True)
    assert (await platform.current())["baseline"] == "1.1"
    assert (await platform.current())["previous"] == "1.0"
    await platform.prepare("1.0", lease, timeout_seconds=1)
    await platform.shift(100, lease)
    await platform.promote(lease)
    await platform.release_lease(lease)
    assert cluster.objects["Deployment", "web"]["spec"]["template"] == previous
    assert (await platform.current())["baseline"] == "1.0"


@Strategy
async def test_a_version_of_another_configuration_is_still_found_by_its_name(strategy: str, cluster: Cluster) -> None:
    """What pods started with is noted on them, so versions that differ by it alone keep their names."""
    platform = KubernetesPlatform(workload="web", strategy=strategy, drain_seconds=0)
    previous = cluster.objects["Deployment", "web"]["spec"]["template"]
    cluster.put({**SECRET, "data": {"password": "aHVzaDI="}})
    was = (await platform.current())["baseline"]
    assert was is not None
    assert was.startswith("1.0+config.")
    await released(platform, cluster)
    lease = await platform.acquire_lease("rollback", takeover=True)
    await platform.prepare(was, lease, timeout_seconds=1)
    assert (await platform.current())["canary"] == was
    await platform.shift(100, lease)
    await platform.promote(lease)
    await platform.release_lease(lease)
    assert cluster.objects["Deployment", "web"]["spec"]["template"] == previous


async def prepared(platform: KubernetesPlatform) -> None:
    """Prepare a version, going forward."""
    await platform.prepare("1.2", await platform.acquire_lease("release"), timeout_seconds=1)


FORWARD: dict[str, Callable[[KubernetesPlatform], Any]] = {
    "preview": lambda platform: platform.preview("1.2"),
    "prepare": prepared,
}


@Strategy
@pytest.mark.parametrize("what", FORWARD)
async def test_whatever_goes_forward_is_refused(strategy: str, what: str, cluster: Cluster) -> None:
    """A change of the configuration would be released unseen; what the platform is doing says so, too."""
    platform = KubernetesPlatform(workload="web", strategy=strategy)
    cluster.may_read = False
    template_before = cluster.objects["Deployment", "web"]["spec"]["template"]
    with pytest.raises(BadInput, match="config_by_hash: the configuration cannot be read"):
        await FORWARD[what](platform)
    assert cluster.objects["Deployment", "web"]["spec"]["template"] == template_before
    assert any("change of the configuration alone would not be seen" in line for line in await platform.progress())
