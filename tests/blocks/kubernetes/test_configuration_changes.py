"""A ConfigMap or Secret that changes while Shipway owns a workload gives no version another name; on an API server in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from blocks.kubernetes.objects import taken_over
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.kubernetes.reader import reading_for
from blocks.platform import Lease, Position
from tasks.rules.record.entries import Entry, chain
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback, is_moved
from tasks.rules.rollout.waves import has_acted
from tests.blocks.kubernetes.fake_cluster import replica_set
from tests.blocks.kubernetes.test_unreadable_configuration import SECRET, Cluster, cluster

__all__ = ["cluster"]
Strategy = pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
MOMENTS = ("acquired", "prepared", "shifted", "promoted")


class World:
    """A workload, its history and its Secret."""

    def __init__(self, cluster: Cluster, strategy: str) -> None:
        """Begin with 1.0, which was started with the first password."""
        self.cluster, self.changes, self.revision = cluster, 0, 1
        self.platform = KubernetesPlatform(workload="web", strategy=strategy, drain_seconds=0)

    def change(self) -> None:
        """Rotate the password once more."""
        self.changes += 1
        self.cluster.put({**SECRET, "data": {"password": f"aHVzaDI{self.changes}"}})

    def keep_revision(self) -> None:
        """Let the cluster remember the workload's pod template."""
        self.revision += 1
        new = replica_set(self.revision, self.cluster.objects["Deployment", "web"]["spec"]["template"])
        sets = [one for (kind, _), one in self.cluster.objects.items() if kind == "ReplicaSet"]
        known = next((one for one in sets if one["spec"] == new["spec"]), new)
        self.cluster.put({**known, "metadata": {**known["metadata"], "annotations": new["metadata"]["annotations"]}})

    async def deploy(self, version: str, lease: Lease, *, at: Callable[[str], Any] = lambda _: None) -> None:
        """Bring a version to its promotion."""
        at("acquired")
        await self.platform.prepare(version, lease, timeout_seconds=1)
        at("prepared")
        await self.platform.shift(100, lease)
        self.keep_revision()
        at("shifted")
        await self.platform.promote(lease)
        self.keep_revision()
        at("promoted")

    async def position(self) -> Position:
        """Read what runs."""
        return await self.platform.current()

    async def roll_back(self, bad: str, *others: str, owner: str = "release") -> tuple[RollbackChoice, Lease]:
        """Roll back as a release does; gives the choice."""
        lease = await self.platform.acquire_lease(owner, takeover=True)
        seen = await self.position()
        way = choose_rollback(
            baseline=seen["baseline"], canary=seen["canary"], previous=seen["previous"], bad=bad, to="previous", others=others,
            configuration=seen.get("configuration", ""),
        )  # fmt: skip
        if way.kind == "abort":
            await self.platform.abort(lease)
            self.keep_revision()
        elif way.kind == "redeploy" and way.version:
            await self.deploy(way.version, lease, at=lambda _: self.change())
        return way, lease


@pytest.fixture
async def world(cluster: Cluster, strategy: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give the workload with this strategy, of which this process has written nothing yet."""
    monkeypatch.setattr(taken_over, "_written", {})
    return World(cluster, strategy)


@Strategy
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_rollback_brings_the_version_before_whenever_a_secret_was_rotated(world: World, moment: str) -> None:
    """And the position calls it as the rollback does, also if it is rotated once more meanwhile: else a done rollback is told as failed."""
    await world.deploy("2.0", await world.platform.acquire_lease("release"), at=lambda now: now == moment and world.change())
    seen = await world.position()
    assert (seen["baseline"], seen["canary"], bool(seen.get("changed"))) == ("2.0", None, moment in {"prepared", "shifted", "promoted"})
    way, lease = await world.roll_back("2.0", "1.0")
    assert (way.kind, str(way.version).partition("+")[0]) == ("redeploy", "1.0")
    world.change()
    assert (await world.position())["baseline"] == way.version
    await world.platform.release_lease(lease)
    assert str((await world.position())["baseline"]).startswith("1.0+config.")


@Strategy
@pytest.mark.parametrize("moment", ["prepared", "shifted"])
async def test_an_abort_is_done_whatever_changed_while_the_canary_was_out(world: World, moment: str) -> None:
    """The baseline is called as it was when the rollback chose it."""
    lease = await world.platform.acquire_lease("release")
    await world.platform.prepare("2.0", lease, timeout_seconds=1)
    if moment == "shifted":
        await world.platform.shift(100, lease)
        world.keep_revision()
    world.change()
    way, _ = await world.roll_back("2.0", "1.0")
    world.change()
    assert (way.kind, (await world.position())["baseline"]) == ("abort", "1.0") == (way.kind, way.version)


@Strategy
async def test_a_rollback_long_after_the_release_knows_the_bad_version_by_its_plain_name(world: World) -> None:
    """As in `--bad 2.0`, which is what people know it by."""
    lease = await world.platform.acquire_lease("release")
    await world.deploy("2.0", lease)
    await world.platform.release_lease(lease)
    world.change()
    seen = await world.position()
    assert str(seen["baseline"]).startswith("2.0+config.")
    way, _ = await world.roll_back("2.0", owner="rollback")
    assert (way.kind, way.version) == ("redeploy", "1.0")
    assert str((await world.position())["baseline"]).startswith("1.0")


@Strategy
async def test_a_release_of_the_configuration_alone_is_rolled_back_to_the_one_before(world: World) -> None:
    """The exact pod template comes back, also if the Secret changes once more."""
    before = world.cluster.objects["Deployment", "web"]["spec"]["template"]
    world.change()
    earlier = (await world.position())["baseline"]
    assert earlier is not None
    assert earlier.startswith("1.0+config.")
    await world.deploy("1.0", await world.platform.acquire_lease("release"))
    world.change()
    seen = await world.position()
    assert (seen["baseline"], seen["previous"]) == ("1.0", earlier)
    way, _ = await world.roll_back("1.0", earlier)
    assert (way.kind, way.version) == ("redeploy", earlier)
    assert (await world.position())["baseline"] == earlier
    assert world.cluster.objects["Deployment", "web"]["spec"]["template"] == before
    again, _ = await world.roll_back("1.0", earlier)
    assert (again.kind, again.version) == ("nothing", earlier)


@Strategy
async def test_the_next_release_starts_with_the_configuration_as_it_is_then(world: World) -> None:
    """Names are kept for an owner alone: a change of the configuration is a release."""
    lease = await world.platform.acquire_lease("release")
    await world.deploy("2.0", lease)
    world.change()
    await world.platform.release_lease(lease)
    earlier = (await world.position())["baseline"]
    await world.deploy("2.0", await world.platform.acquire_lease("next"))
    seen = await world.position()
    assert (seen["baseline"], seen["previous"], seen.get("changed")) == ("2.0", earlier, None)


@Strategy
async def test_the_lines_of_a_version_are_found_under_its_name(world: World) -> None:
    """Its pods say what they were started with, and that is what the owner calls by the plain name; what changed is said."""
    await world.deploy("2.0", await world.platform.acquire_lease("release"))
    world.change()
    live = world.cluster.objects["Deployment", "web"]["spec"]["template"]
    assert (await world.platform.target()).version_in(live) == "2.0"
    assert (await world.position()).get("changed") == ["Secret web-db: password changed"]
    assert "changed since 2.0 started: Secret web-db: password changed" in await world.platform.progress()


@Strategy
@pytest.mark.parametrize("holder", ["", "rollback"])
@pytest.mark.parametrize("moment", ["before its review", "before its lease", "under its lease"])
async def test_a_release_of_the_configuration_alone_that_fails_is_rolled_back_whoever_held_the_lease_when_it_was_reviewed(
    world: World, holder: str, moment: str
) -> None:
    """Whenever the Secret changed: its record says what it did, although what ran before may have had the same name."""
    held = await world.platform.acquire_lease(holder, takeover=True) if holder else None
    if moment == "before its review":
        world.change()
    with reading_for("release"):
        before = str((await world.position())["baseline"])
    if held:
        await world.platform.release_lease(held)
    if moment == "before its lease":
        world.change()
    lease = await world.platform.acquire_lease("release")
    if moment == "under its lease":
        world.change()
    await world.platform.prepare("1.0", lease, timeout_seconds=1)
    record = prepared_in(await world.position())
    await world.deploy("1.0", lease)
    seen = await world.position()
    acted = has_acted(record, "production", version="1.0")
    assert is_moved(seen, owner="release", version="1.0", before=before, was_there=False, has_acted=acted)  # type: ignore[arg-type]
    way, _ = await world.roll_back("1.0", before)
    assert way.kind == "redeploy"
    assert str(way.version).startswith("1.0+config.")


def prepared_in(position: Position) -> list[Entry]:
    """Write the entry of a release that prepared its version."""
    at = datetime(2026, 11, 30, tzinfo=UTC)
    evidence = {"position": dict(position)}
    return [chain(None, at=at, kind="effect", who="shipway", what="It is up", environment="production", name="prepare", evidence=evidence)]


@Strategy
async def test_another_release_sees_what_serves_as_it_is_called_once_the_lease_is_released(world: World) -> None:
    """By its owner's name it would be what a release of the configuration alone brings; its owner goes on with the name that it knows."""
    lease = await world.platform.acquire_lease("rollback", takeover=True)
    world.change()
    with reading_for("release"):
        seen = str((await world.position())["baseline"])
    assert seen.startswith("1.0+config.")
    for owner in ("rollback", ""):
        with reading_for(owner):
            assert (await world.position())["baseline"] == "1.0"
    await world.platform.release_lease(lease)
    assert (await world.position())["baseline"] == seen


@pytest.mark.parametrize("strategy", ["blue-green"])
async def test_another_release_sees_the_versions_of_a_canary_as_its_owner_does(world: World) -> None:
    """It is in the way of any release, and neither is another version since the Secret changed."""
    lease = await world.platform.acquire_lease("release")
    await world.platform.prepare("2.0", lease, timeout_seconds=1)
    world.change()
    with reading_for("another"):
        seen = await world.position()
    assert (seen["baseline"], seen["canary"]) == ("1.0", "2.0")
