"""A ConfigMap or Secret that people put back before they roll its release back: what they return to has its plain name again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from blocks.kubernetes.objects import taken_over
from blocks.platform import Lease
from tasks.rules.rollout.left import Left, as_meant, is_under_way, version_left
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback, version_meant
from tests.blocks.kubernetes.test_configuration_changes import Strategy, World
from tests.blocks.kubernetes.test_unreadable_configuration import SECRET, Cluster, cluster

__all__ = ["cluster"]
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.fixture
async def world(cluster: Cluster, strategy: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a workload on which 1.1 was released over 1.0, and then once more with another Secret."""
    monkeypatch.setattr(taken_over, "_written", {})
    found = World(cluster, strategy)
    for change in (False, True):
        if change:
            found.change()
        lease = await found.platform.acquire_lease("release")
        await found.deploy("1.1", lease)
        await found.platform.release_lease(lease)
    return found


async def choose(world: World, *, bad: str = "", left: Left | None = None, before: str | None = None) -> RollbackChoice:
    """Choose as a rollback does; what is meant without a name is what the last one left, while that is under way."""
    seen = await world.position()
    meant = as_meant(seen, left, to="previous", at=NOW)
    bad = bad or version_meant(baseline=meant["baseline"], canary=meant["canary"], to="previous") or ""
    others = [left.serves] if left else []
    return choose_rollback(
        baseline=seen["baseline"], canary=seen["canary"], previous=seen["previous"] or before, bad=bad, to="previous",
        configuration=seen.get("configuration", ""), others=others,
    )  # fmt: skip


async def began(world: World, *effects: str) -> tuple[Left, Lease]:
    """Begin to roll the new configuration back, as far as these effects."""
    lease = await world.platform.acquire_lease("rollback", takeover=True)
    seen, way = await world.position(), await choose(world)
    assert way.version is not None
    gone = version_left(seen, way, bad=str(seen["baseline"]), to="previous")
    if "prepare" in effects:
        await world.platform.prepare(way.version, lease, timeout_seconds=1)
    if "shift" in effects:
        await world.platform.shift(100, lease)
        world.keep_revision()
    if "promote" in effects:
        await world.platform.promote(lease)
        world.keep_revision()
    return Left(str(gone), way.version, "rollback", NOW), lease


@Strategy
@pytest.mark.parametrize("effects", [("prepare",), ("prepare", "shift")])
@pytest.mark.parametrize("put_back", ["never", "before", "after"])
async def test_whenever_a_secret_was_put_back_a_rollback_that_failed_is_under_way_for_the_next_one(
    world: World, effects: tuple[str, ...], put_back: str
) -> None:
    """It gives the configuration that was left no request: by its present name the canary seemed to be the newest, and the bad one."""
    if put_back == "before":
        world.cluster.put(SECRET)
    left, lease = await began(world, *effects)
    await world.platform.release_lease(lease)
    if put_back == "after":
        world.cluster.put(SECRET)
    assert is_under_way(await world.position(), left)
    way = await choose(world, left=left)
    assert (way.kind, way.version) == ("redeploy", (await world.position())["canary"])


@Strategy
@pytest.mark.parametrize("is_put_back", [False, True])
async def test_no_rollback_returns_to_the_pods_that_it_is_to_leave(world: World, *, is_put_back: bool) -> None:
    """What a rollback brought is not what ran before it, by no name: `--bad 1.1` redeployed it, moved nothing and was told as done."""
    if is_put_back:
        world.cluster.put(SECRET)
    left, lease = await began(world, "prepare", "shift", "promote")
    await world.platform.release_lease(lease)
    seen = await world.position()
    assert (seen["baseline"], seen["previous"]) == ("1.1" if is_put_back else left.serves, None)
    assert (await choose(world, bad="1.1")).kind == "impossible"
    way = await choose(world, bad="1.1", before="1.0")
    assert (way.kind, way.version) == ("redeploy", "1.0")
    again = await choose(world, bad="1.1", before=left.serves)
    assert again.kind == "impossible", "not to the same pods"
