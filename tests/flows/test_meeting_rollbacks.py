"""A rollback that meets another one while a release owns the place goes on with what that one started."""

from __future__ import annotations

from typing import Any

import pytest

from flows.lifecycle.context import Phase
from flows.rollout.under_way import rollback_under_way, without_idle_release
from tasks.record import journal
from tasks.record.left import find_left, forget_left, keep_left, note_release
from tasks.record.without_key import rolling_back
from tasks.rules.rollout.left import is_under_way
from tests.flows.test_left import HERE, bring_back, offline, stand, storage, world
from tests.flows.test_rollback_by_record import World
from tests.tasks.fake_platform import FakePlatform

__all__ = ["offline", "storage", "world"]
pytestmark = pytest.mark.usefixtures("offline", "storage")


class Killed(BaseException):
    """The process was killed: its record stays open."""


async def dies(*_: Any, **__: Any) -> None:
    """End as a process that is killed."""
    raise Killed


async def meet(world: World, *, owner: str | None, percent: int, bad: str = "", to: str = "") -> str:
    """Let BAD be watched by its release while two rollbacks decide; the first one then takes over, and gives V0 requests."""
    await forget_left("shop", here=HERE, versions=["BAD"])
    if owner:
        await world.released(owner, "BAD")
    stand(world, "BAD", previous="V0", owner=owner)
    decided = await world.decide(bad=bad, to=to)
    await journal.append_entry("r1", "Asked", kind="opened", evidence={"flow": "rollback"})
    await keep_left("shop", here=HERE, version="BAD", serves="V0", run="r1", brought=("V0",))
    stand(world, "BAD", "V0", previous="V0", owner="r1")
    world.platform.position["percent"] = percent
    return decided


@pytest.mark.parametrize("owner", [None, "rel"])
@pytest.mark.parametrize("percent", [50, 100])
@pytest.mark.parametrize("bad", ["", "BAD"])
async def test_the_second_of_two_rollbacks_during_a_release_keeps_the_canary_of_the_first_one(
    world: World, monkeypatch: pytest.MonkeyPatch, owner: str | None, percent: int, bad: str
) -> None:
    """It was removed as one of the release, which owned the place when both decided, and BAD had all requests again."""
    decided = await meet(world, owner=owner, percent=percent, bad=bad)
    assert await bring_back(world, monkeypatch, bad=decided, to="") == ["shift 100", "promote"]


async def test_an_older_version_by_its_name_keeps_that_canary_as_well_whenever_its_process_dies(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its choice is in the record, and before the canary is promoted: by then only its own choice is kept there."""
    decided = await meet(world, owner="rel", percent=50, to="V-2")
    append = Phase.append

    async def dies_at_choice(self: Phase, what: str, **more: Any) -> Any:
        return await (dies() if more.get("name") == "choice" else append(self, what, **more))

    for broken, name, stand_in in ((Phase, "append", dies_at_choice), (FakePlatform, "promote", dies)):
        with monkeypatch.context() as killed:
            killed.setattr(broken, name, stand_in)
            with pytest.raises(Killed):
                await bring_back(world, killed, bad=decided, to="V-2")
        assert (world.platform.position["canary"], world.platform.position["percent"] >= 50) == ("V0", True)
    world.platform.calls.clear()
    done = await bring_back(world, monkeypatch, bad=decided, to="V-2")
    assert done == ["shift 100", "promote", "prepare V-2", "shift 100", "promote"]


async def test_a_canary_that_a_release_prepared_since_is_not_the_first_rollbacks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one failed, and the release of V0 has steps and gates of its own."""
    decided = await meet(world, owner="rel", percent=5)
    await note_release("shop", here=HERE, version="V0")
    stand(world, "BAD", "V0", previous="V0", owner="r9")
    assert await bring_back(world, monkeypatch, bad=decided, to="V0") == ["abort", "prepare V0", "shift 100", "promote"]


@pytest.mark.parametrize("percent", [0, 100])
@pytest.mark.parametrize("is_named", [False, True], ids=["a plain one", "the alarm"])
async def test_a_rollback_goes_on_with_a_half_done_one_while_a_release_has_the_lease_and_changed_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, percent: int, *, is_named: bool
) -> None:
    """It migrates, or is held; what stands beside BAD was taken for its canary, was removed, and counted as left from then on."""
    await forget_left("shop", here=HERE, versions=["BAD"])
    await keep_left("shop", here=HERE, version="BAD", serves="V0", run="r1", brought=("V0",))
    await journal.append_entry("rel2", "Asked", kind="opened", evidence={"flow": "release", "version": "2.1"})
    await journal.append_entry("rel2", "add column", kind="migration", environment="production", name="m1")
    world.tagged.append("rel2")
    stand(world, "BAD", "V0", previous="V0", owner="rel2")
    world.platform.position["percent"] = percent
    assert await world.decide(bad="BAD" if is_named else "") == "BAD"
    prepared = [] if percent else ["prepare V0"]
    assert await bring_back(world, monkeypatch, bad="BAD", to="") == [*prepared, "shift 100", "promote"]
    assert await find_left("shop", here=HERE, version="V0") is None


async def test_what_a_release_that_has_the_lease_prepares_is_its_own(world: World) -> None:
    """Once it began to prepare V0 that is noted beside the key; what it did before is in its record."""
    await keep_left("shop", here=HERE, version="BAD", serves="V0", run="r1", brought=("V0",))
    await journal.append_entry("rel2", "Asked", kind="opened", evidence={"flow": "release", "version": "V0"})
    stand(world, "BAD", "V0", previous="V-1", owner="rel2")
    assert await world.decide(to="V0") == "BAD"
    await note_release("shop", here=HERE, version="V0")
    assert not is_under_way(await without_idle_release(world.platform.position, "production"), await find_left("shop", here=HERE))
    await world.released("rel2", "V0")
    assert (await without_idle_release(world.platform.position, "production"))["owner"] == "rel2"


@pytest.mark.parametrize("owner", [None, "r9"])
async def test_the_canary_of_a_release_is_not_taken_for_one_of_a_rollback(world: World, owner: str | None) -> None:
    """Also if another rollback took over and has not chosen: all traffic would go to it, past its steps."""
    await forget_left("shop", here=HERE, versions=["BAD"])
    await keep_left("shop", here=HERE, version="BAD", serves="V0", run="r1", brought=("V0",))
    await note_release("shop", here=HERE, version="V0")
    await journal.append_entry("r9", "Asked", kind="opened", evidence={"flow": "rollback"})
    stand(world, "BAD", "V0", previous="V0", owner=owner)
    world.platform.position["percent"] = 5
    await world.decide(bad="BAD")
    with rolling_back():
        assert await rollback_under_way(world.phase, world.platform, world.platform.position, "production") is None
