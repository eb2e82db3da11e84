"""A rollback that the keeper tries again does not undo what came since it chose: another rollback, or a release."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from blocks.errors import Temporary, WorldMoved
from blocks.outside_text import as_reason
from flows import rollback
from flows.rollout import overtaken, revert
from flows.rollout.left import forget_what_was_left
from flows.rollout.overtaken import done_in, overtaken_in, stops_releases
from tasks.lifecycle.clock import now
from tasks.record import journal
from tasks.record.left import find_left, forget_left, keep_left, note_over, unkeep_left
from tasks.record.without_key import rolling_back
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.results import RollbackResult
from tests.flows.test_left import HERE, bring_back, offline, stand, storage, world
from tests.flows.test_rollback_by_record import World, asked_for, none_of
from tests.tasks.fake_platform import FakePlatform

__all__ = ["offline", "storage", "world"]
pytestmark = pytest.mark.usefixtures("offline", "storage")
WHERE = ["production"]


async def stopped(world: World, monkeypatch: pytest.MonkeyPatch, *, at: str, bad: str = "BAD") -> None:
    """Let the first rollback, from BAD to V0, choose and then stop, as the platform does not answer."""

    async def silent(*_: Any, **__: Any) -> None:
        raise Temporary("the API server does not answer")

    await forget_left("shop", here=HERE, versions=["BAD"])
    if world.platform.position["canary"] is None:
        stand(world, "BAD", previous="V0")
    assert await world.decide(bad=bad) == bad
    with monkeypatch.context() as broken:
        broken.setattr(FakePlatform, at, silent)
        with pytest.raises(Temporary):
            await bring_back(world, monkeypatch, bad=bad, to="")


async def another_leaves(world: World, version: str, *, serves: str, is_over: bool = True) -> None:
    """Let another rollback leave a version, and come to its end."""
    await journal.append_entry("r2", "Asked", kind="opened", evidence={"flow": "rollback"})
    for one in ("BAD", version):
        await keep_left("shop", here=HERE, version=one, serves=serves, run="r2", brought=("V0", serves))
    if is_over:
        await note_over("shop", here=HERE, run="r2")
        stand(world, serves)
        world.platform.position["percent"] = 0


async def is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch, *, bad: str = "BAD") -> str:
    """Try the first rollback again: it changes nothing, also where it sees that under its lease alone; gives why."""
    before = {name: world.platform.position[name] for name in ("baseline", "canary", "percent")}  # type: ignore[literal-required]
    faults = (await overtaken_in(world.phase, WHERE)).faults
    world.platform.calls.clear()
    with pytest.raises(WorldMoved, match="since this rollback"):
        await bring_back(world, monkeypatch, bad=bad, to="")
    assert [call for call in world.platform.calls if not call.startswith("acquire_lease")] == []
    assert {name: world.platform.position[name] for name in before} == before  # type: ignore[literal-required]
    assert not stops_releases(WHERE, done=await done_in(world.phase, WHERE), overtaken=faults)
    return faults["production"]


@pytest.mark.parametrize("at", ["prepare", "shift", "promote"])
async def test_one_that_no_other_overtook_goes_on_to_its_end(world: World, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """As often as it is tried again, wherever it stopped."""
    await stopped(world, monkeypatch, at=at)
    assert (await overtaken_in(world.phase, WHERE)).faults == {}
    await bring_back(world, monkeypatch, bad="BAD", to="")
    assert (world.platform.position["baseline"], world.platform.position["canary"]) == ("V0", None)
    assert await done_in(world.phase, WHERE) == {"production"}


@pytest.mark.parametrize("at", ["prepare", "shift", "promote"])
async def test_an_older_version_that_another_rollback_brought_since_serves_on(
    world: World, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """V0 was named as bad since; the first one brought it back, and told that the rollback is done."""
    await stopped(world, monkeypatch, at=at)
    await another_leaves(world, "V0", serves="V-1")
    assert "V-1 serves since the rollback r2" in await is_left_alone(world, monkeypatch)


async def test_what_another_rollback_is_about_to_bring_is_left_to_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It chose last, and is tried again as well, so exactly one of them goes on."""
    await stopped(world, monkeypatch, at="prepare")
    await another_leaves(world, "V0", serves="V-1", is_over=False)
    await is_left_alone(world, monkeypatch)


async def test_another_rollback_to_the_same_version_keeps_none_from_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It failed, or is done: then there is nothing left to do, and what serves is verified."""
    await stopped(world, monkeypatch, at="prepare")
    await journal.append_entry("r2", "Asked", kind="opened", evidence={"flow": "rollback"})
    await keep_left("shop", here=HERE, version="BAD", serves="V0", run="r2", brought=("V0",))
    assert await bring_back(world, monkeypatch, bad="BAD", to="") == ["prepare V0", "shift 100", "promote"]


async def test_a_release_that_was_aborted_over_the_bad_version_since_keeps_no_rollback_from_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is to leave serves still."""
    await stopped(world, monkeypatch, at="prepare")
    await journal.append_entry("rel2", "Asked", kind="opened", evidence={"flow": "release", "version": "2.1"})
    await keep_left("shop", here=HERE, version="2.1", serves="BAD", run="rel2")
    stand(world, "BAD", "2.1", previous="V0", owner="rel2")
    assert (await overtaken_in(world.phase, WHERE)).faults == {}
    assert (await bring_back(world, monkeypatch, bad="BAD", to=""))[-3:] == ["prepare V0", "shift 100", "promote"]


@pytest.mark.parametrize("version", ["3.0", "BAD"])
@pytest.mark.parametrize("owner", ["rel", None], ids=["it is watched", "it is over"])
async def test_a_version_that_was_released_since_serves_on(
    world: World, monkeypatch: pytest.MonkeyPatch, version: str, owner: str | None
) -> None:
    """Another one, or the same one again, which was approved since it was left."""
    await stopped(world, monkeypatch, at="prepare")
    await journal.append_entry("rel", "Asked", kind="opened", evidence={"flow": "release", "version": version})
    place = {"block": HERE.block, "identity": HERE.identity}
    runs: Any = {"baseline": version, "previous": "V0"}
    await forget_what_was_left(world.phase, "production", runs, place, version=version)
    await journal.append_entry("rel", "It is the baseline", kind="effect", environment="production", name="promote", evidence=place)
    stand(world, version, previous="V0", owner=owner)

    async def deployed(*_: Any, **__: Any) -> Any:
        return None if owner else now()  # by the records of runs that were closed

    monkeypatch.setattr(overtaken, "find_last_deployed", deployed)
    world.platform.calls.clear()
    assert version in (await overtaken_in(world.phase, WHERE)).faults["production"]
    if owner is None:
        await is_left_alone(world, monkeypatch)


async def test_the_canary_of_a_release_that_began_since_is_not_aborted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rollback aborted BAD and died before that was in its record; 3.0 was approved since."""
    stand(world, "V0", "BAD")
    await stopped(world, monkeypatch, at="abort")
    stand(world, "V0", "3.0", owner="rel")
    world.platform.position["percent"] = 50
    assert "3.0 came to production" in await is_left_alone(world, monkeypatch)


async def test_one_that_had_not_chosen_aborts_no_release_that_was_asked_for_since(world: World) -> None:
    """Nothing of what it is about is there any more."""
    stand(world, "BAD", previous="V0")
    assert await world.decide(bad="BAD") == "BAD"
    assert (await overtaken_in(world.phase, WHERE)).faults == {}
    await journal.append_entry("rel", "Asked", kind="opened", evidence={"flow": "release", "version": "3.0"})
    stand(world, "BAD", "3.0", owner="rel")
    assert (await overtaken_in(world.phase, WHERE)).faults == {}
    stand(world, "V0", "3.0", owner="rel")
    assert "the release rel" in (await overtaken_in(world.phase, WHERE)).faults["production"]


async def test_a_platform_that_cannot_be_read_stops_no_rollback_before_it_takes_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at again under the lease, with patience."""
    await stopped(world, monkeypatch, at="promote")

    async def silent(_: Any) -> Any:
        raise Temporary("it does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(FakePlatform, "current", silent)
        assert (await overtaken_in(world.phase, WHERE)).faults == {}
    assert await bring_back(world, monkeypatch, bad="BAD", to="") is not None
    assert (await find_left("shop", here=HERE, version="BAD")) is not None


@pytest.mark.parametrize("is_overtaken", [True, False])
async def test_no_release_is_stopped_and_nothing_taken_over_for_a_rollback_that_was_overtaken(
    world: World, monkeypatch: pytest.MonkeyPatch, *, is_overtaken: bool
) -> None:
    """It ends as failed and says what came since; one that was not stops them as before."""
    stops: list[str] = []

    async def decided(phase: Any, *_: Any, **__: Any) -> tuple[Any, str]:
        return phase, "BAD"

    def stop(name: str) -> Any:
        async def noted(*_: Any, **__: Any) -> None:
            stops.append(name)

        return noted

    async def back(*_: Any, **__: Any) -> RollbackResult:
        return RollbackResult(outcome=Outcome.PASSED, reason="it is back on V0", environment="production", version="V0")

    await stopped(world, monkeypatch, at="prepare")
    if is_overtaken:
        await another_leaves(world, "V0", serves="V-1")
    for name, stand_in in {"_decided": decided, "_stop_releases": stop("first"), "_stop_the_rest": stop("rest")}.items():
        monkeypatch.setattr(rollback, name, stand_in)
    monkeypatch.setattr(revert, "faults_of_others", none_of)
    monkeypatch.setattr(revert, "roll_back", back)
    world.platform.calls.clear()
    with rolling_back():
        ending = await rollback._rolled_back(world.phase, [WHERE], asked_for(bad="BAD"), file=None)
    assert ending.name == ("failed" if is_overtaken else "rolled_back")
    assert ("V-1 serves since the rollback r2" in ending.reason) is is_overtaken
    assert stops == ([] if is_overtaken else ["first", "rest"])
    assert len(world.platform.calls) == (0 if is_overtaken else 1)


async def test_where_a_rollback_is_done_it_takes_nothing_over_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release may have begun there since."""
    stand(world, "V0")
    monkeypatch.setattr(revert, "faults_of_others", none_of)
    evidence = {"outcome": "passed", "position": dict(world.platform.position), "stays": False}
    await world.phase.append("Over", kind="rollback", environment="production", name="done", why="it is well", evidence=evidence)
    done = await done_in(world.phase, WHERE)
    asked: dict[str, Any] = {"reason": as_reason("x"), "to": "", "bad": "BAD", "restored": []}
    found = await revert.roll_back_waves(world.phase, [WHERE], **asked, rests=done)
    assert (found["production"].passed, world.platform.calls) == (True, [])


async def test_one_is_not_overtaken_by_another_that_failed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bad version serves on alone; there would be no rollback left."""
    await stopped(world, monkeypatch, at="prepare")
    await another_leaves(world, "BAD", serves="V-1", is_over=False)
    left = await find_left("shop", here=HERE)
    assert left is not None
    await unkeep_left("shop", here=HERE, left=left)
    await journal.append_entry("r2", "Failed", kind="closed", evidence={"outcome": "failed"})
    stand(world, "BAD", previous="V0")
    world.platform.position["percent"] = 0
    assert (await overtaken_in(world.phase, WHERE)).faults == {}
    await bring_back(world, monkeypatch, bad="BAD", to="")
    assert world.platform.position["baseline"] == "V0"


@pytest.mark.parametrize("ahead_seconds", [0, 3600])
async def test_a_moment_by_a_clock_that_was_ahead_is_none_of_a_release_since(
    world: World, monkeypatch: pytest.MonkeyPatch, ahead_seconds: int
) -> None:
    """Another machine wrote it when it deployed the bad version."""
    await stopped(world, monkeypatch, at="prepare")

    async def deployed(*_: Any, **__: Any) -> datetime:
        return now() + timedelta(seconds=ahead_seconds)

    monkeypatch.setattr(overtaken, "find_last_deployed", deployed)
    assert bool((await overtaken_in(world.phase, WHERE)).faults) == (ahead_seconds == 0)


@pytest.mark.parametrize("is_done", [False, True])
async def test_one_that_is_done_everywhere_stops_no_release(world: World, monkeypatch: pytest.MonkeyPatch, *, is_done: bool) -> None:
    """It may be the fix, asked for after the rollback ended and before its record was closed."""
    await stopped(world, monkeypatch, at="prepare")
    if is_done:
        await bring_back(world, monkeypatch, bad="BAD", to="")
    done, came = await done_in(world.phase, WHERE), await overtaken_in(world.phase, WHERE)
    assert stops_releases(WHERE, done=done, overtaken=came.faults) is not is_done


async def test_where_it_cannot_be_read_once_it_chose_nothing_is_stopped_or_taken_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform may be silent for a moment, while a release since then stands there at half of the traffic."""

    async def silent(*_: Any, **__: Any) -> None:
        raise Temporary("the API server does not answer")

    done: list[str] = []

    async def noted(*_: Any, **__: Any) -> None:
        done.append("stop")

    async def decided(phase: Any, *_: Any, **__: Any) -> Any:
        return phase, "BAD"

    await stopped(world, monkeypatch, at="prepare")
    world.platform.calls.clear()
    for name, stand_in in {"_decided": decided, "_stop_releases": noted, "_stop_the_rest": noted, "expect_moved": none_of}.items():
        monkeypatch.setattr(rollback, name, stand_in)
    monkeypatch.setattr(revert, "faults_of_others", none_of)
    monkeypatch.setattr(FakePlatform, "current", silent)
    with rolling_back(), pytest.raises(Temporary):
        await rollback._rolled_back(world.phase, [WHERE], asked_for(bad="BAD"), file=None)
    assert done == [call for call in world.platform.calls if call.startswith("acquire_lease")] == []
