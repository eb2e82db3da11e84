"""A rollback after one that failed: a plain one goes on with it, and only a person on the worker's machine turns it round."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused, RolloutFailed
from flows.commands import _here
from flows.lifecycle.here import asked_here, is_asked_here
from flows.rollout import half_done, known, left, revert
from flows.rollout.half_done import lease_for_release
from flows.rollout.left import forget_what_was_left
from tasks.record import journal
from tasks.record.left import find_left, keep_left
from tests.flows.test_left import HERE, bring_back, offline, stand, storage, world
from tests.flows.test_rollback_by_record import World, here, none
from tests.tasks.fake_platform import FakePlatform

__all__ = ["offline", "storage", "world"]
pytestmark = pytest.mark.usefixtures("offline", "storage")


def another(world: World, run: str, monkeypatch: pytest.MonkeyPatch, *, to: str = "previous") -> World:
    """Give the next rollback there, by a plan that may name a version."""
    fields = vars(world.phase) | {"owner": run, "scope": run}
    fields["plan"] = SimpleNamespace(**(vars(world.phase.plan) | {"rollback": SimpleNamespace(to=to, watch_seconds=0)}))
    found = World.__new__(World)
    vars(found).update(vars(world) | {"phase": type(world.phase)(**fields)})

    async def with_lease(_: Any, platform: FakePlatform, *, act: Any, **__: Any) -> Any:
        return await act(await platform.acquire_lease(run, takeover=True), 0)

    monkeypatch.setattr(revert, "with_lease", with_lease)
    world.platform.calls.clear()
    return found


async def half_back(world: World, monkeypatch: pytest.MonkeyPatch, *, to: str = "") -> None:
    """Roll BAD back to V0, or to a named version: it has all requests, and its promotion fails."""

    async def fails(*_: Any, **__: Any) -> None:
        raise RolloutFailed("one pod is not ready in time")

    stand(world, "BAD", previous="V0")
    with monkeypatch.context() as broken:
        broken.setattr(FakePlatform, "promote", fails)
        with pytest.raises(RolloutFailed):
            await bring_back(world, broken, bad="BAD", to=to)
    await world.phase.append("It failed", kind="closed", evidence={"outcome": "failed"})
    world.platform.position["owner"] = None


async def release_begins(world: World, monkeypatch: pytest.MonkeyPatch, *, version: str = "V2") -> bool:
    """Say whether a release may begin there."""
    for name, stand_in in {"platform_of": world.give, "retried": lambda work: work.fn, "read_here": here}.items():
        monkeypatch.setattr(half_done, name, stand_in)
    fields = vars(world.phase) | {"owner": "r9", "scope": "r9"}
    world.platform.position["owner"] = None
    try:
        await lease_for_release(type(world.phase)(**fields), world.platform, "production", version=version)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("fixed", ["previous", "V0", "V-3"])
@pytest.mark.parametrize("to", ["", "V-2"])
async def test_wherever_a_rollback_to_whichever_version_ended_a_plain_one_goes_on_to_that_version(
    world: World, monkeypatch: pytest.MonkeyPatch, to: str, fixed: str
) -> None:
    """And gives the version that was left no request, whatever the platform names as previous, or the plan."""
    await half_back(world, monkeypatch, to=to)
    monkeypatch.setattr(known, "find_deployed", none)  # no record answers
    again = another(world, "r2", monkeypatch, to=fixed)
    assert await again.decide() == "BAD"
    assert await bring_back(again, monkeypatch, bad="BAD", to="") == ["shift 100", "promote"]
    assert world.platform.position["baseline"] == (to or "V0")
    assert await release_begins(world, monkeypatch)


async def test_a_plain_one_goes_on_also_if_another_took_over_meanwhile_and_has_not_chosen_yet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests at once would remove what has the requests otherwise."""
    await half_back(world, monkeypatch, to="V-2")
    await journal.append_entry("r2", "Asked", kind="opened", evidence={"flow": "rollback"})
    await journal.append_entry("r2", "BAD is bad", kind="rollback", name="bad version", evidence={"bad": "BAD"})
    world.platform.position["owner"] = "r2"
    again = another(world, "r3", monkeypatch)
    assert await again.decide() == "BAD"
    assert await bring_back(again, monkeypatch, bad="BAD", to="") == ["shift 100", "promote"]


@pytest.mark.parametrize("asked", [{"bad": "V0"}, {"to": "BAD"}, {"bad": "V0", "to": "BAD"}])
async def test_a_person_on_the_workers_machine_lets_the_version_serve_that_was_left(
    world: World, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    """By its name; then releases begin, and it counts as left no more. A request through the API is refused."""
    await half_back(world, monkeypatch)
    with pytest.raises(Refused, match=r"BAD was left by the rollback run-1 .*`shipway rollback --bad V0 --here` on the worker's machine"):
        await another(world, "r2", monkeypatch).decide(**asked)
    with asked_here():
        again = another(world, "r3", monkeypatch)
        assert await again.decide(**asked) == "V0"
    assert await bring_back(again, monkeypatch, bad="V0", to=asked.get("to", "")) == ["abort"]  # also by the keeper, if its process died
    assert (world.platform.position["baseline"], world.platform.position["canary"]) == ("BAD", None)
    assert await find_left("shop", here=HERE, version="BAD") is None
    assert await find_left("shop", here=HERE, version="V0") is not None
    assert await release_begins(world, monkeypatch)


@pytest.mark.parametrize("asked", [{"bad": "V0"}, {"to": "BAD"}])
async def test_no_one_turns_a_rollback_round_while_its_run_is_open(
    world: World, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    """It may come to its end yet."""
    stand(world, "BAD", "V0", previous="V0", owner="r0")
    world.platform.position["percent"] = 100
    await keep_left("shop", here=HERE, version="BAD", serves="V0", run="r0")
    await journal.append_entry("r0", "Asked", kind="opened", evidence={"flow": "rollback"})
    with asked_here(), pytest.raises(Refused):
        await another(world, "r2", monkeypatch).decide(**asked)


async def test_what_was_decided_on_the_machine_is_decided_for_that_rollback_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is kept with what the rollback is about; no parameter says it."""
    await half_back(world, monkeypatch)
    with asked_here():
        await another(world, "r3", monkeypatch).decide(bad="V0")
    with pytest.raises(Refused, match="BAD was left"):
        await bring_back(another(world, "r4", monkeypatch), monkeypatch, bad="V0", to="")
    assert (world.platform.position["canary"], world.platform.position["percent"]) == ("V0", 100)


async def test_an_older_version_by_its_name_gives_the_version_that_was_left_no_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first rollback brought is promoted first; if the older one fails as well, nothing is given back."""
    await half_back(world, monkeypatch)
    again = another(world, "r2", monkeypatch)
    assert await again.decide(to="V-2") == "BAD"
    assert await bring_back(again, monkeypatch, bad="BAD", to="V-2") == ["shift 100", "promote", "prepare V-2", "shift 100", "promote"]


@pytest.mark.parametrize("loses", [False, True], ids=["what is kept of it can be read", "the last one cannot be read"])
async def test_a_second_rollback_that_failed_before_it_moved_anything_leaves_the_same_version(
    world: World, monkeypatch: pytest.MonkeyPatch, *, loses: bool
) -> None:
    """Both V0 and BAD are left then; a plain one goes on to what the second was to bring, with no request for BAD."""
    await half_back(world, monkeypatch)

    async def stuck(*_: Any, **__: Any) -> None:
        raise RolloutFailed("it does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(FakePlatform, "shift", stuck)
        with pytest.raises(RolloutFailed):
            await bring_back(another(world, "r2", monkeypatch), broken, bad="V0", to="V-2")
    world.platform.position["owner"] = None
    assert not await release_begins(world, monkeypatch)
    if loses:
        await left.forget_left("shop", here=HERE, versions=["V0"])  # with it what the last one left
    again = another(world, "r3", monkeypatch)
    assert await again.decide() == "BAD"
    done = await bring_back(again, monkeypatch, bad="BAD", to="")
    assert done == ["shift 100", "promote", "prepare V-2", "shift 100", "promote"]


async def test_what_a_promotion_forgets_turns_nothing_round(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of a version that a rollback brought, over one that others put there by hand, is rolled back like any other."""
    await keep_left("shop", here=HERE, version="BAD", serves="V0", run="r0", brought=["V0"])
    runs: Any = {"baseline": "V2", "previous": "V1"}
    await forget_what_was_left(world.phase, "production", runs, {"block": HERE.block, "identity": HERE.identity}, version="V2")
    stand(world, "BAD", "V3", previous="V2")
    world.platform.position["percent"] = 25
    assert await another(world, "r2", monkeypatch).decide() == "V3"


async def test_the_command_says_that_a_person_asks_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And nothing else does."""
    seen: list[bool] = []

    async def run_flow(*_: Any, **__: Any) -> None:
        seen.append(is_asked_here())

    async def nothing(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(id="r1")

    key = tmp_path / "key"
    key.touch()
    monkeypatch.setattr("blocks.server.layout.key_file", lambda _: key)
    monkeypatch.setattr("prefect.flow_engine.run_flow", run_flow)
    monkeypatch.setattr(_here, "_cancel_waiting", nothing)
    monkeypatch.setattr(_here._terminal, "follow_run", nothing)
    client: Any = SimpleNamespace(create_flow_run=nothing)
    await _here.roll_back(client, {"requester": "rita"}, home=tmp_path)
    assert seen == [True]
    assert not is_asked_here()
