"""A release after a rollback that ended half-way: it is refused, moves nothing, and rolls nothing back; a rollback finishes it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused, RolloutFailed
from flows import pre_deploy
from flows.rollout import half_done, moved, revert
from flows.rollout.half_done import expect_no_half_rollback, lease_for_release
from flows.rollout.left import note_release_begins
from flows.rollout.moved import is_moved_now
from tasks.record import journal
from tasks.record.left import keep_left
from tasks.rules.plan.targets import PRODUCTION, STAGING
from tests.flows.test_left import bring_back, offline, stand, storage, world
from tests.flows.test_rollback_by_record import World, here, none
from tests.rules.policy.test_rules import plan_of
from tests.tasks.fake_platform import FakePlatform

__all__ = ["offline", "storage", "world"]
pytestmark = pytest.mark.usefixtures("offline", "storage")
LATER = "run-2"


@pytest.fixture
def release(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a release that follows; tasks are called as plain functions."""
    for name, stand_in in {"platform_of": world.give, "retried": lambda work: work.fn, "read_here": here}.items():
        monkeypatch.setattr(half_done, name, stand_in)
    monkeypatch.setattr(moved, "read_entry", journal.read_entry)
    fields = vars(world.phase) | {"owner": LATER, "scope": LATER}
    return type(world.phase)(**fields)


async def fail_at(world: World, monkeypatch: pytest.MonkeyPatch, effect: str, *, after: bool = False) -> None:
    """Roll BAD back to V0, which fails before or after an effect; the lease is given up then, as at the end of each run."""
    works = getattr(FakePlatform, effect)

    async def fails(platform: FakePlatform, *given: Any, **more: Any) -> None:
        if after:
            await works(platform, *given, **more)
        raise RolloutFailed("one pod is not ready in time")

    stand(world, "BAD", previous="V0")
    with monkeypatch.context() as broken:
        broken.setattr(FakePlatform, effect, fails)
        with pytest.raises(RolloutFailed):
            await bring_back(world, broken, bad="BAD", to="")
    await world.phase.append("It failed", kind="closed", evidence={"outcome": "failed"})
    world.platform.position["owner"] = None


def given_to(platform: FakePlatform) -> set[str]:
    """Say which versions get requests."""
    position = platform.position
    shares = {position["canary"]: position["percent"], position["baseline"]: 100 - position["percent"]}
    return {str(version) for version, share in shares.items() if version and share}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("effect", ["prepare", "shift", "promote"])
@pytest.mark.parametrize("version", ["V2", "V0", "BAD"])
async def test_whatever_step_a_rollback_failed_at_a_release_gives_no_request_to_the_version_that_was_left(
    world: World, release: Any, monkeypatch: pytest.MonkeyPatch, version: str, effect: str, *, after: bool
) -> None:
    """It is refused before it owns anything, or the version had all requests as the rollback moved none."""
    await fail_at(world, monkeypatch, effect, after=after)
    before, served = dict(world.platform.position), given_to(world.platform)
    if "BAD" in served or world.platform.position["baseline"] == "V0":
        assert (await lease_for_release(release, world.platform, "production", version=version))["owner"] == LATER
        return
    world.platform.calls.clear()
    for look in (
        expect_no_half_rollback(release, ["production"], version=version),
        lease_for_release(release, world.platform, "production", version=version),
    ):
        with pytest.raises(Refused, match=r"from BAD is half done in production: V0 has requests .*`shipway rollback`.*`--bad V0 --here`"):
            await look
    assert (world.platform.position, world.platform.calls) == (before, [])
    assert not await is_moved_now(release, "production", world.platform.position, version=version)


@pytest.mark.parametrize("where", [STAGING, PRODUCTION])
async def test_each_environment_of_a_plan_is_looked_at_before_people_are_asked_anything(
    world: World, release: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """So that no one approves what cannot begin."""
    stand(world, "BAD", "V0")
    world.platform.position["percent"] = 50
    well = FakePlatform(baseline="V1", canary=None)

    async def platform_of(_: Any, environment: str) -> FakePlatform:
        return world.platform if environment == where else well

    monkeypatch.setattr(half_done, "platform_of", platform_of)
    monkeypatch.setattr(pre_deploy, "expect_own_environments", none)
    await keep_left(release.plan.service, here=await here(None, None, where), version="BAD", serves="V0", run="r0")
    plan = plan_of().model_copy(update={"service": release.plan.service})
    with pytest.raises(Refused, match=f"half done in {where}"):
        await pre_deploy._expect_free_environments(replace(release, plan=plan), "V2")


@pytest.mark.parametrize("effect", ["shift", "promote"])
async def test_a_rollback_finishes_it_and_the_release_goes_on_then(
    world: World, release: Any, monkeypatch: pytest.MonkeyPatch, effect: str
) -> None:
    """A plain one, also after a release was refused; nothing is begun anew."""
    await fail_at(world, monkeypatch, effect, after=effect == "shift")
    with pytest.raises(Refused):
        await lease_for_release(release, world.platform, "production", version="V2")
    world.platform.calls.clear()
    again = World.__new__(World)
    vars(again).update(vars(world) | {"phase": type(world.phase)(**(vars(world.phase) | {"owner": "run-3", "scope": "run-3"}))})
    assert await again.decide() == "BAD"

    async def with_lease(_: Any, platform: FakePlatform, *, act: Any, **__: Any) -> Any:
        return await act(await platform.acquire_lease("run-3", takeover=True), 0)

    monkeypatch.setattr(revert, "with_lease", with_lease)
    assert await bring_back(again, monkeypatch, bad="BAD", to="") == ["shift 100", "promote"]
    world.platform.position["owner"] = None
    assert (await lease_for_release(release, world.platform, "production", version="V2"))["owner"] == LATER


async def test_one_that_is_under_way_is_waited_for(world: World, release: Any) -> None:
    """Its record is open; if its process is dead, the keeper finishes it."""
    stand(world, "BAD", "V0", owner="run-9")
    world.platform.position["percent"] = 50
    await keep_left("shop", here=await here(None, None, "production"), version="BAD", serves="V0", run="run-9")
    await journal.append_entry("run-9", "Asked", kind="opened", evidence={"flow": "rollback"})
    with pytest.raises(
        Refused, match=r"from BAD is under way in production: .*wait for its end, or finish it first with `shipway rollback`"
    ):
        await lease_for_release(release, world.platform, "production", version="V2")


async def test_one_that_begins_and_fails_between_the_look_and_the_lease_is_seen_under_the_lease(
    world: World, release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is given up at once: who owns nothing rolls nothing back."""
    stand(world, "BAD")
    acquire = half_done.acquire_lease.fn

    async def late(platform: FakePlatform, *, owner: str) -> Any:
        world.platform.position.update(canary="V0", percent=100)
        return await acquire(platform, owner=owner)

    monkeypatch.setattr(half_done, "acquire_lease", SimpleNamespace(fn=late))
    with pytest.raises(Refused, match="half done"):
        await lease_for_release(release, world.platform, "production", version="V2")
    assert world.platform.position["owner"] is None
    assert (world.platform.position["canary"], world.platform.position["percent"]) == ("V0", 100)


@pytest.mark.parametrize("percent", [0, 100])
async def test_a_release_that_ended_before_it_prepared_anything_aborts_no_canary_of_another(
    world: World, release: Any, percent: int
) -> None:
    """Its rollback would be `abort to BAD`; afterwards a rollback still knows whose the canary is."""
    stand(world, "BAD", "V0", previous="V0", owner=LATER)
    world.platform.position["percent"] = percent
    await note_release_begins(release, world.platform, "production", version="V2")
    assert not await is_moved_now(release, "production", world.platform.position, version="V2")
    world.platform.position["owner"] = None
    assert await world.decide() == "BAD"


async def test_a_release_that_prepared_its_version_is_rolled_back_whatever_the_canary_is_called_by_now(world: World, release: Any) -> None:
    """Its scripts may be asked by the version itself, which may say anything."""
    stand(world, "V1", "V9", owner=LATER)
    await release.append("V2 is up", kind="effect", environment="production", name="prepare")
    assert await is_moved_now(release, "production", world.platform.position, version="V2")


async def test_what_was_asked_of_a_rollback_holds_no_release_up_once_it_is_over(world: World, release: Any) -> None:
    """V0 serves alone, and BAD is left."""
    stand(world, "V0")
    await expect_no_half_rollback(release, ["production"], version="V2")


async def test_a_release_of_the_configuration_alone_moved_what_its_record_says_that_it_moved(world: World, release: Any) -> None:
    """Its review called what ran there by the same name, as another run held the lease, or the Secret changed after that."""
    await release.append("Reviewed", kind="review", evidence={"current": {"production": "V0"}})
    world.platform.position.update(baseline="V0", canary=None, previous="V0+config.a", owner=LATER)
    assert not await is_moved_now(release, "production", world.platform.position, version="V0")
    position = {"baseline": "V0+config.a", "canary": "V0"}
    await release.append("It is up", kind="effect", environment="production", name="prepare", evidence={"position": position})
    assert await is_moved_now(release, "production", world.platform.position, version="V0")
