"""Others put another version in the place of what Shipway left: what ran before it is what stood there, on an API server in memory."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from blocks.kubernetes.followed import Followed
from blocks.kubernetes.objects import taken_over
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.platform import Lease, Position
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback
from tests.blocks.kubernetes.fake_cluster import replica_set, template
from tests.blocks.kubernetes.test_unreadable_configuration import Cluster, cluster

__all__ = ["cluster"]
Strategy = pytest.mark.parametrize("strategy", ["rolling", "blue-green"])


class World:
    """A workload that Shipway and others change, and what the cluster remembers of it."""

    def __init__(self, cluster: Cluster, strategy: str) -> None:
        """Begin with 0.9, by others."""
        self.cluster, self.revision = cluster, 1
        self.platform = KubernetesPlatform(workload="web", strategy=strategy, drain_seconds=0)
        del cluster.objects["ReplicaSet", "web-1"]
        self.put("0.9")

    def put(self, version: str, **container: Any) -> None:
        """Set the version as `kubectl set image`, a commit or an engine does: Shipway's annotations on the workload stay."""
        live = copy.deepcopy(self.cluster.objects["Deployment", "web"])
        live["spec"]["template"] = template(version, **container)
        self.cluster.put(live)
        self.keep_revision()

    def keep_revision(self) -> None:
        """Let the cluster remember the pod template; one that came back is the newest again, and as old as it was."""
        self.revision += 1
        new = replica_set(self.revision, self.cluster.objects["Deployment", "web"]["spec"]["template"])
        new["metadata"]["creationTimestamp"] = f"2026-11-30T03:{self.revision:02}:00Z"
        sets = [one for (kind, _), one in self.cluster.objects.items() if kind == "ReplicaSet"]
        known = next((one for one in sets if one["spec"] == new["spec"]), new)
        self.cluster.put({**known, "metadata": {**known["metadata"], "annotations": new["metadata"]["annotations"]}})

    async def release(self, version: str, *, takeover: bool = False) -> None:
        """Deploy a version to its end."""
        lease = await self.platform.acquire_lease(f"r {version}", takeover=takeover)
        await self.platform.prepare(version, lease, timeout_seconds=1)
        await self.platform.shift(100, lease)
        self.keep_revision()
        await self.platform.promote(lease)
        self.keep_revision()
        await self.platform.release_lease(lease)

    async def choice(self, *, bad: str | None = None) -> tuple[Position, RollbackChoice]:
        """Choose a rollback that names nothing, before it takes the workload over, and see that a takeover changes nothing of that."""
        seen = [await self.platform.current()]
        lease = await self.platform.acquire_lease("rollback", takeover=True)
        seen.append(await self.platform.current())
        await self.platform.release_lease(lease)
        ways = [
            choose_rollback(
                baseline=one["baseline"], canary=one["canary"], previous=one["previous"], bad=bad, to="previous",
                replaced=one.get("replaced", ""),
            )
            for one in seen
        ]  # fmt: skip
        assert [(way.kind, way.version) for way in ways] == [(ways[0].kind, ways[0].version)] * 2
        return seen[0], ways[0]


@pytest.fixture
async def world(cluster: Cluster, strategy: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a workload on which Shipway brought 1.0 over 0.9."""

    async def unrecorded(*_: Any, **__: Any) -> None:
        return None

    monkeypatch.setattr(taken_over, "_written", {})
    monkeypatch.setattr("blocks.kubernetes.followed.record_event", unrecorded)
    found = World(cluster, strategy)
    await found.release("1.0")
    return found


PUT: list[Any] = [
    (["1.1"], "1.0"),
    (["1.1", "1.2"], "1.1"),
    (["1.1", "1.0", "1.1"], "1.0"),
    (["1.1", "1.0"], "0.9"),  # what Shipway left serves again
    (["0.9"], None),  # others went back
    (["1.1", "0.9"], None),
    (["1.1", "1.2", "1.1"], None),  # from what they put there themselves
]


@Strategy
@pytest.mark.parametrize(("others", "before"), PUT)
async def test_a_rollback_without_names_goes_to_what_ran_right_before(world: World, others: list[str], before: str | None) -> None:
    """Or it is refused and asks; never to an older one."""
    for version in others:
        world.put(version)
    position, way = await world.choice()
    assert (position["baseline"], position["previous"], way.version) == (others[-1], before, before)
    assert position.get("replaced") == (None if others[-1] == "1.0" else "1.0")
    if before is None:
        assert (way.kind, f"others put {others[-1]} in the place of 1.0" in way.reason) == ("impossible", True)


@Strategy
async def test_others_who_go_back_further_than_to_the_version_before_are_not_turned_round(world: World) -> None:
    """What they left is newer, and is why they went back."""
    await world.release("2.0")
    world.put("0.9")
    position, way = await world.choice()
    assert (position["previous"], position.get("replaced"), way.kind) == (None, "2.0", "impossible")


@Strategy
@pytest.mark.parametrize("version", ["0.9", "1.0"])
async def test_others_who_go_back_in_a_changed_template_are_not_turned_round(world: World, version: str) -> None:
    """They set the version alone, and what was added to the template since stays in it: its revision is new, and the version is not."""
    await world.release("2.0")
    world.put(version, env=[{"name": "ADDED_SINCE", "value": "1"}])
    position, way = await world.choice()
    assert (position["baseline"], position["previous"], position.get("replaced")) == (version, None, "2.0")
    assert (way.kind, f"others put {version} in the place of 2.0" in way.reason) == ("impossible", True)


@Strategy
async def test_others_who_go_forward_in_a_changed_template_are_rolled_back_to_what_stood(world: World) -> None:
    """Also if they change the template of what stood, and of what they put there, once more."""
    changed: Any = {"env": [{"name": "ADDED_SINCE", "value": "1"}]}
    for version, more in (("2.0", {}), ("1.0", changed), ("2.0", changed)):
        world.put(version, **more)
    position, way = await world.choice()
    assert (position["baseline"], position["previous"], way.kind, way.version) == ("2.0", "1.0", "redeploy", "1.0")


@Strategy
async def test_what_a_rollback_left_is_not_what_ran_before(world: World) -> None:
    """An engine or a person brings 2.0 again, and another one after it."""
    await world.release("2.0")
    await world.release("1.0", takeover=True)
    world.put("2.0")
    assert (await world.choice())[1].version == "1.0"
    world.put("2.1")
    assert (await world.choice())[1].version == "1.0"


@Strategy
async def test_a_release_over_what_others_put_there_goes_back_to_that(world: World) -> None:
    """And once it is left as it was, what ran before that is known, too."""
    world.put("1.1")
    lease = await world.platform.acquire_lease("release")
    await world.platform.prepare("2.0", lease, timeout_seconds=1)
    await world.platform.abort(lease)
    await world.platform.release_lease(lease)
    position, way = await world.choice()
    assert (position["baseline"], position["previous"], way.version) == ("1.1", "1.0", "1.0")
    await world.release("2.0")
    assert (await world.choice())[1].version == "1.1"


async def through_git(world: World, version: str) -> Lease:
    """Begin a release whose engine deploys it from Git."""
    lease = await world.platform.acquire_lease("git")
    await Followed(world.platform).begin(version, lease, note="{}")
    world.put(version)
    return lease


@pytest.mark.parametrize("strategy", ["rolling"])
@pytest.mark.parametrize("bad", [None, "2.0"])
async def test_a_change_in_git_that_is_not_reverted_is_rolled_back_to_the_baseline(world: World, bad: str | None) -> None:
    """Another commit changed a part of it, so it is left as it is, and canary and note are forgotten."""
    lease = await through_git(world, "2.0")
    await Followed(world.platform).forget(lease)
    await world.platform.release_lease(lease)
    _, way = await world.choice(bad=bad)
    assert (way.kind, way.version) == ("redeploy", "1.0")


@pytest.mark.parametrize("strategy", ["rolling"])
async def test_a_version_that_the_engine_brings_again_is_rolled_back_to_what_was_restored(world: World) -> None:
    """Git was away, and the engine could not be held."""
    lease = await through_git(world, "2.0")
    world.put("1.0")  # restored in the cluster
    await Followed(world.platform).forget(lease)
    await world.platform.release_lease(lease)
    world.put("2.0")
    _, way = await world.choice()
    assert (way.kind, way.version) == ("redeploy", "1.0")
