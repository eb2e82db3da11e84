"""Rollbacks that follow each other, or meet: what the first one leaves is what each of them is about, whatever it is asked for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused, RolloutFailed, Temporary, WorldMoved
from blocks.key_folder.kept_files import remove_kept
from blocks.outside_text import as_reason
from flows.rollout import bad_version, choice, known, left, redeploy, revert
from flows.rollout.bad_version import expect_known
from tasks.record import journal
from tasks.record.before import keep_before
from tasks.record.left import files_of_left, find_left, forget_left, keep_left, note_over
from tasks.record.without_key import rolling_back
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.results import RollbackResult
from tasks.rules.rollout.left import is_under_way
from tasks.rules.rollout.migrations import Here
from tests.flows.test_rollback_by_record import RUN, World, here, none, storage
from tests.tasks.conftest import offline
from tests.tasks.fake_platform import FakePlatform

__all__ = ["offline", "storage"]
pytestmark = pytest.mark.usefixtures("offline", "storage")
HERE = Here("production", "local/production", "local production")


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Give an environment in which the rollback r0 chose to leave BAD for V0, and nothing has moved yet."""

    async def find_deployed(*_: Any, **__: Any) -> object:
        return SimpleNamespace(unchecked="")  # records know each version

    monkeypatch.setattr(known, "find_deployed", find_deployed)
    monkeypatch.setattr(known, "read_here", here)
    found = World(monkeypatch, FakePlatform(baseline="BAD", canary=None, previous="V0"))
    found.platform.position["owner"] = None
    await keep_left("shop", here=HERE, version="BAD", serves="V0", run="r0")
    return found


def stand(world: World, baseline: str, canary: str | None = None, *, previous: str | None = None, owner: str | None = None) -> None:
    """Let the environment run this."""
    world.platform.position.update(baseline=baseline, canary=canary, previous=previous, owner=owner)


@pytest.mark.parametrize("previous", [None, "V-1"])
@pytest.mark.parametrize("asked", [{}, {"to": "V0"}, {"bad": "BAD"}])
async def test_a_second_rollback_changes_nothing_and_says_why(world: World, asked: dict[str, str], previous: str | None) -> None:
    """What serves was brought by the first one: it must be named to be left."""
    stand(world, "V0", previous=previous)
    with pytest.raises(Refused, match=r"V0 serves since the rollback r0 of .* UTC, which left BAD\. .*`--bad VERSION`.*`--to VERSION`"):
        await world.decide(**asked)


@pytest.mark.parametrize("asked", [{}, {"bad": "2.0"}, {"bad": "2.0+config.a"}])
@pytest.mark.parametrize("brought", [(), ("2.0+config.b",)])
async def test_a_configuration_that_a_rollback_brought_is_not_left_once_the_other_one_is_put_back(
    world: World, asked: dict[str, str], brought: tuple[str, ...]
) -> None:
    """Its name is plain then, as that of the one which was left; who means what serves names it, or what to return to."""
    kept = {"version": "2.0", "serves": "2.0+config.b", "run": "r0", "configuration": "a"}
    await keep_left("shop", here=HERE, **kept, brought=brought)  # type: ignore[arg-type]
    stand(world, "2.0", previous="V0")
    world.platform.position["configuration"] = "b"
    with pytest.raises(Refused, match=r"2\.0\+config\.b serves since the rollback r0 .*`--bad VERSION`.*`--to VERSION`"):
        await world.decide(**asked)
    assert await world.decide(bad="2.0+config.b") == "2.0+config.b"
    assert await choose(world, bad="2.0+config.b") == ("redeploy", "V0")


async def test_a_hotfix_over_a_configuration_that_was_put_back_is_rolled_back_to_it(world: World) -> None:
    """By its plain name it seemed to be the one that was left."""
    await keep_left("shop", here=HERE, version="2.0", serves="2.0+config.b", run="r0", configuration="a")
    stand(world, "2.1", previous="2.0")
    world.platform.position["configuration"] = "b"
    assert await world.decide(bad="2.1") == "2.1"
    assert await choose(world, bad="2.1") == ("redeploy", "2.0")


async def test_a_rollback_keeps_what_the_plain_name_of_the_version_that_it_leaves_meant(world: World) -> None:
    """Once a ConfigMap is put back it means another configuration."""
    stand(world, "2.0", previous="2.0+config.b")
    world.platform.position["configuration"] = "a"
    assert await world.decide(bad="2.0") == "2.0"
    assert await choose(world, bad="2.0") == ("redeploy", "2.0+config.b")
    last = await find_left("shop", here=HERE)
    assert last is not None
    assert (last.version, last.serves, last.configuration, last.whole) == ("2.0", "2.0+config.b", "a", "2.0+config.a")


async def test_what_serves_may_be_left_for_an_older_version_by_name(world: World) -> None:
    """As the bad one, where an earlier version is known, or by the one to return to."""
    stand(world, "V0", previous="V-1")
    assert await world.decide(to="V-2") == "V0"
    stand(world, "V0", previous="V-1")
    assert await world.decide(bad="V0") == "V0"


async def test_a_rollback_that_meets_another_one_goes_on_with_what_that_one_started(world: World) -> None:
    """V0 is up beside BAD, and is not the canary to be rid of."""
    stand(world, "BAD", "V0", previous="V0", owner="r0")
    assert await world.decide() == "BAD"
    with rolling_back():
        chosen = await revert._choose(
            world.phase, world.platform, environment="production", reason=as_reason("x"), bad="BAD", to="previous", restored=[],
            is_first=False, on_demand=True,
        )  # fmt: skip
    assert (chosen.kind, chosen.version) == ("redeploy", "V0")
    last = await find_left("shop", here=HERE)
    assert last is not None
    assert last[:3] == ("BAD", "V0", RUN)


@pytest.mark.parametrize("known_by", ["keys", "record"])
@pytest.mark.parametrize("asked", [{"bad": "V0"}, {"to": "BAD"}, {"to": "BAD", "bad": "V0"}])
async def test_a_rollback_that_is_under_way_is_not_turned_round(
    world: World, asked: dict[str, str], known_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By no name: neither by what is kept of it, nor, where that could not be kept, by its own record."""
    if known_by == "record":
        await journal.append_entry("r0", "Asked", kind="opened", evidence={"flow": "rollback"})
        await journal.append_entry("r0", "BAD is bad", kind="rollback", name="bad version", evidence={"bad": "BAD"})
        monkeypatch.setattr("tasks.record.left.kept_names", lambda *_, **__: [])
        monkeypatch.setattr("tasks.record.left.read_kept", lambda *_, **__: None)
    stand(world, "BAD", "V0", previous="V0", owner="r0")
    with pytest.raises(Refused):
        await world.decide(**asked)
    if known_by == "keys":
        with rolling_back(), pytest.raises(Refused, match="was left by the rollback r0"):
            await revert.roll_back(world.phase, "production", reason=as_reason("x"), to="", bad="V0", on_demand=True)
        assert world.platform.position["canary"] == "V0", "BAD would serve alone again"


async def hours_later(world: World, monkeypatch: pytest.MonkeyPatch, *, brought: tuple[str, ...] = ("V0",)) -> None:
    """Let V0 serve for two hours since r0 brought it."""
    stand(world, "V0", previous="V-1")
    await keep_left("shop", here=HERE, version="BAD", serves="V0", run="r0", brought=brought)
    for module in (bad_version, left):
        monkeypatch.setattr(module, "now", lambda: datetime.now(UTC) + timedelta(hours=2))


async def test_a_second_step_down_is_taken_by_name_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an outage that no version caused an alarm would go down a version each hour."""
    await hours_later(world, monkeypatch)
    named = r"V0 serves since the rollback r0 .* in production, and no release was deployed since; .*`--bad V0` .* `--to V-1`"
    with pytest.raises(Refused, match=named):
        await world.decide()
    assert await world.decide(bad="V0") == "V0"
    assert await choose(world, bad="V0") == ("redeploy", "V-1")


async def test_a_first_step_down_needs_no_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a rollback aborted beside it makes it none: no rollback brought what serves."""
    await hours_later(world, monkeypatch, brought=())
    assert await world.decide() == "V0"
    assert await choose(world, bad="V0") == ("redeploy", "V-1")


async def test_a_second_step_down_is_refused_where_the_environment_answers_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at again right before anything moves."""
    await hours_later(world, monkeypatch)
    with rolling_back():
        await world.phase.append("V0 is bad", kind="rollback", name="bad version", evidence={"bad": "V0", "named": False})
    with pytest.raises(Refused, match="only if one is named"):
        await choose(world, bad="V0")


async def test_a_release_that_is_rolled_back_steps_down_as_often_as_it_must(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names its version itself, and no one is asked."""
    await hours_later(world, monkeypatch)
    world.platform.position["owner"] = RUN
    found = await revert._choose(
        world.phase, world.platform, environment="production", reason=as_reason("x"), bad="V0", to="previous", restored=[],
        is_first=False, on_demand=False,
    )  # fmt: skip
    assert (found.kind, found.version) == ("redeploy", "V-1")
    last = await find_left("shop", here=HERE)
    assert last is not None
    assert (last.run, last.brought) == (RUN, ("V0", "V-1"))


async def test_what_a_version_was_left_by_names_its_files(world: World) -> None:
    """Who may write beside the key can undo a slip."""
    stand(world, "V1", previous="V0")
    with rolling_back(), pytest.raises(Refused) as refused:
        await expect_known(world.phase, ["production"], version="BAD")
    for file in await files_of_left("shop", here=HERE, version="BAD"):
        assert file in str(refused.value)
        remove_kept("left", Path(file).name.removesuffix(".kept"))
    with rolling_back():
        await expect_known(world.phase, ["production"], version="BAD")


@pytest.mark.parametrize("previous", ["BAD", "V0", None])
async def test_what_was_left_is_not_returned_to_by_name_or_by_a_plan(world: World, previous: str | None) -> None:
    """Although a record knows it, or the platform names it; the plan's own version is then left out with a note."""
    stand(world, "V1", previous=previous)
    with rolling_back():
        with pytest.raises(Refused, match="BAD was left by the rollback r0 in production, so no rollback returns to it; release it"):
            await expect_known(world.phase, ["production"], version="BAD")
        await expect_known(world.phase, ["production"], version="V0")
    if previous == "BAD":
        with pytest.raises(Refused, match="no rollback returns to it"):
            await world.decide()


async def test_a_release_beside_a_version_that_could_not_be_left_is_rolled_back_to_it(world: World) -> None:
    """V0 did not come up, so BAD serves on: the canary of a later release is aborted all the same."""
    stand(world, "BAD", "V2")
    assert await world.decide() == "V2"
    with rolling_back():
        found = await revert._choose(
            world.phase, world.platform, environment="production", reason=as_reason("x"), bad="V2", to="previous", restored=[],
            is_first=False, on_demand=True,
        )  # fmt: skip
    assert (found.kind, found.version) == ("abort", "BAD")


async def choose(world: World, *, bad: str) -> tuple[str, str | None]:
    """Choose after the environment was taken over."""
    world.platform.position["owner"] = RUN
    with rolling_back():
        found = await revert._choose(
            world.phase, world.platform, environment="production", reason=as_reason("x"), bad=bad, to="previous", restored=[],
            is_first=False, on_demand=True,
        )  # fmt: skip
    return found.kind, found.version


async def test_a_release_of_the_version_that_did_not_come_up_then_is_rolled_back(world: World) -> None:
    """It looks as r0 did when that started V0 beside BAD; who owns the environment says which of them it is, also once it is taken over."""
    stand(world, "BAD", "V0", previous="V-1", owner="r9")
    await world.released("r9", "V0")
    assert await world.decide() == "V0"
    assert await choose(world, bad="V0") == ("abort", "BAD")


async def test_a_second_rollback_goes_to_what_ran_before_the_version_that_the_first_one_brought(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any record of it; but not to what was left."""
    monkeypatch.setattr(known, "find_deployed", none)
    stand(world, "V0")
    await keep_before("shop", here=HERE, version="V0", before="V-1")
    assert await world.decide(bad="V0") == "V0"
    assert await choose(world, bad="V0") == ("redeploy", "V-1")


async def test_what_was_left_is_not_what_ran_before(world: World) -> None:
    """Although what serves was promoted over it."""
    stand(world, "V0")
    await keep_before("shop", here=HERE, version="V0", before="BAD")
    with pytest.raises(Refused, match="BAD was left by the rollback r0"):
        await world.decide(bad="V0")


async def test_a_rollback_that_failed_leaves_nothing_where_the_version_serves_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later rollback returns to that; one that is asked for again is about it."""

    async def broken(*_: Any, **__: Any) -> None:
        world.platform.position.update(canary="V0", percent=0)
        raise RolloutFailed("V0 does not come up")

    monkeypatch.setattr(redeploy, "prepare", broken)
    monkeypatch.setattr(redeploy, "place_of", lambda *_: SimpleNamespace(ready_timeout_seconds=1))
    stand(world, "BAD", previous="V0")
    with rolling_back(), pytest.raises(RolloutFailed):
        await revert.roll_back(world.phase, "production", reason=as_reason("x"), to="", bad="BAD", on_demand=True)
    assert await find_left("shop", here=HERE, version="BAD") is None
    last = await find_left("shop", here=HERE)
    assert last is not None
    assert is_under_way(world.platform.position, last)


async def test_a_release_over_a_version_that_could_not_be_left_makes_it_one_to_return_to(world: World) -> None:
    """It served until then; what another rollback left stays left."""
    await keep_left("shop", here=HERE, version="WORSE", serves="BAD", run="r-1")
    runs: Any = {"baseline": "V2", "previous": "BAD"}
    await left.forget_what_was_left(world.phase, "production", runs, {"block": HERE.block, "identity": HERE.identity}, version="V2")
    assert await find_left("shop", here=HERE, version="BAD") is None
    assert await find_left("shop", here=HERE, version="WORSE") is not None


@pytest.mark.parametrize("is_readable", [True, False], ids=["its record can be read", "the storage is away"])
@pytest.mark.parametrize(
    ("baseline", "canary", "percent"),
    [("V0+config.old", "V0", 5), ("V0+config.old", "V0+config.new", 5), ("V1", "V0", 0), ("V1", "V0", 100), ("BAD", "V0", 5)],
)
async def test_a_canary_of_a_release_is_never_promoted_by_a_rollback(
    world: World, monkeypatch: pytest.MonkeyPatch, baseline: str, canary: str, percent: int, *, is_readable: bool
) -> None:
    """It would pass the release's steps and gates; what the rollback returns to is begun anew."""
    stand(world, baseline, canary, previous="V-1", owner="r9")
    world.platform.position["percent"] = percent
    assert await world.decide(bad=baseline, to="V0") == baseline
    if is_readable:
        await world.released("r9", "V0")
    assert await bring_back(world, monkeypatch, bad=baseline, to="V0") == ["abort", "prepare V0", "shift 100", "promote"]


async def test_a_canary_of_a_release_that_cannot_be_removed_keeps_no_rollback_to_its_version(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version that serves is not well, which is why one rolls back, so its platform may refuse to give it all requests."""
    stand(world, "BAD", "V0", previous="V-1", owner="r9")
    world.platform.position["percent"] = 10
    assert await world.decide(bad="BAD", to="V0") == "BAD"

    async def ill(*_: Any, **__: Any) -> None:
        raise RolloutFailed("BAD is not ready")

    monkeypatch.setattr(FakePlatform, "abort", ill)
    assert (await bring_back(world, monkeypatch, bad="BAD", to="V0"))[-2:] == ["shift 100", "promote"]


@pytest.mark.parametrize("strategy", ["rolling", "canary"])
async def test_in_place_nothing_waits_until_the_bad_version_is_up_everywhere_again(
    world: World, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    """A release's canary is begun anew; beside a baseline without a pod its requests stay with it."""
    stand(world, "BAD", "V0", previous="V-1", owner="r9")
    world.platform.position["percent"] = 100
    world.platform.ill = {"BAD"}
    monkeypatch.setattr(FakePlatform, "strategy", strategy, raising=False)
    assert await world.decide(bad="BAD", to="V0") == "BAD"
    anew = ["abort", "prepare V0"] if strategy == "rolling" else []
    assert await bring_back(world, monkeypatch, bad="BAD", to="V0") == [*anew, "shift 100", "promote"]


@pytest.mark.parametrize(("owner", "percent"), [("r0", 50), (None, 0), ("r0", 100)])
async def test_a_canary_that_a_rollback_started_is_not_removed(
    world: World, monkeypatch: pytest.MonkeyPatch, owner: str | None, percent: int
) -> None:
    """Without it the bad version would get its requests again."""
    stand(world, "BAD", "V0", previous="V0", owner=owner)
    world.platform.position["percent"] = percent
    done = await bring_back(world, monkeypatch, bad="BAD", to="")
    assert not any(one.startswith("abort") for one in done)
    assert done[-2:] == ["shift 100", "promote"]


async def test_what_a_rollback_started_itself_is_not_removed_when_it_begins_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although a release's canary of the same name was, before it chose."""
    stand(world, "V1", "V0", previous="V-1", owner="r9")

    async def dies(*_: Any, **__: Any) -> None:
        raise Temporary("its process is killed")

    with monkeypatch.context() as first:
        first.setattr(FakePlatform, "promote", dies)
        with pytest.raises(Temporary):
            await bring_back(world, monkeypatch, bad="V1", to="V0")
    world.platform.calls.clear()
    assert await bring_back(world, monkeypatch, bad="V1", to="V0") == ["shift 100", "promote"]


async def bring_back(world: World, monkeypatch: pytest.MonkeyPatch, *, bad: str, to: str) -> list[str]:
    """Roll back; gives what was done to the platform."""

    async def prepare(_: Any, platform: FakePlatform, version: str, *, lease: Any, timeout_seconds: float, **__: Any) -> Any:
        await platform.prepare(version, lease, timeout_seconds=timeout_seconds)
        return await platform.current()

    async def verified(*_: Any, **__: Any) -> RollbackResult:
        return RollbackResult(outcome=Outcome.FAILED, reason="not asked here", environment="production", version=None)

    for name, stand_in in {
        "prepare": prepare,
        "place_of": lambda *_: SimpleNamespace(ready_timeout_seconds=5),
        "retried": lambda work: work.fn,
        "named": lambda work, _: work.fn,
    }.items():
        monkeypatch.setattr(redeploy, name, stand_in)
    monkeypatch.setattr(revert, "verified", verified)
    with rolling_back():
        await revert.roll_back(world.phase, "production", reason=as_reason("x"), to=to, bad=bad, on_demand=True)
    effects = [call for call in world.platform.calls if not call.startswith("acquire_lease")]
    return [re.sub(r"( \d+){2}$" if effect.startswith("prepare") else r" \d+$", "", effect) for effect in effects]


@pytest.mark.parametrize("runs", ["2.0", "2.0+config.a"])
@pytest.mark.parametrize("bad", ["", "2.0"])
async def test_a_version_whose_secret_was_rotated_is_left_by_its_plain_name(world: World, runs: str, bad: str) -> None:
    """It is kept by both names, so that no later rollback returns to it."""
    stand(world, runs, previous="V0")
    decided = await world.decide(bad=bad)
    with rolling_back():
        chosen = await revert._choose(
            world.phase, world.platform, environment="production", reason=as_reason("x"), bad=decided, to="previous", restored=[],
            is_first=False, on_demand=True,
        )  # fmt: skip
    assert (chosen.kind, chosen.version) == ("redeploy", "V0")
    for name in {runs, "2.0"}:
        assert await find_left("shop", here=HERE, version=name) is not None, name


async def test_an_earlier_configuration_that_a_rollback_brought_is_not_what_that_one_left(world: World) -> None:
    """The alarm names 2.0, which was released with another configuration; who asks to leave that finds it left."""
    stand(world, "2.0+config.a", previous="V0")
    await keep_left("shop", here=HERE, version="2.0", serves="2.0+config.a", run="r0", brought=("2.0+config.a",))
    with pytest.raises(Refused, match=r"nothing to roll back from 2.0 was found; what runs is production 2.0\+config.a"):
        await world.decide(bad="2.0")
    assert await world.decide(bad="2.0+config.a") == "2.0+config.a"


@pytest.mark.parametrize(("version", "serves"), [("3.0", "2.9"), ("3.0", "3.0+config.a"), ("3.0+config.b", "2.9")])
async def test_what_a_rollback_left_is_known_by_any_of_its_names_whatever_changed_since(version: str, serves: str) -> None:
    """A name with a hash arises where the state is made of what runs; what was brought instead is not left."""
    await keep_left("shop", here=HERE, version=version, serves=serves, run="r0")
    for name in ("3.0", "3.0+config.b"):
        assert await find_left("shop", here=HERE, version=name) is not None, name
    assert await find_left("shop", here=HERE, version=serves) is None


async def test_a_rollback_that_would_start_what_it_is_to_leave_fails(world: World) -> None:
    """All steps would find it there and do nothing, and the bad version would be verified as the one that was brought."""
    stand(world, "V1")
    about = {"environment": "production", "name": "choice"}
    await world.phase.append("Chosen", kind="rollback", **about, evidence={"position": {"baseline": "V1", "canary": None}})  # type: ignore[arg-type]
    with pytest.raises(WorldMoved, match="V1 is what serves in production and is to be left"):
        await redeploy._expect_another(world.phase, world.platform.position, "V1", environment="production")
    stand(world, "V0")
    await redeploy._expect_another(world.phase, world.platform.position, "V0", environment="production")


@pytest.mark.parametrize("is_meanwhile", [True, False])
async def test_of_two_rollbacks_that_people_ask_for_in_the_same_minute_the_second_one_succeeds_as_well(
    world: World, *, is_meanwhile: bool
) -> None:
    """The first one is done when the second one has decided, and before it acts; one that was over before that decided nothing of it."""
    stand(world, "BAD", previous="V0")
    if not is_meanwhile:
        await note_over("shop", here=HERE, run="r0")
    assert await world.decide(bad="BAD") == "BAD"
    stand(world, "V0")
    if is_meanwhile:
        await note_over("shop", here=HERE, run="r0")
    evidence = {"choice": {"kind": "nothing", "version": "V0", "reason": ""}, "position": dict(world.platform.position)}
    await world.phase.append("Chosen", kind="rollback", environment="production", name="choice", evidence=evidence)
    if is_meanwhile:
        await bad_version.expect_moved(world.phase, ["production"])
    else:
        with pytest.raises(Refused, match="nothing to roll back from BAD was found"):
            await bad_version.expect_moved(world.phase, ["production"])


async def chosen_in(world: World, monkeypatch: pytest.MonkeyPatch, targets: dict[str, FakePlatform], *, bad: str) -> list[Any]:
    """Decide what the rollback is about, then choose in each target."""

    async def platform_of(_: Any, environment: str) -> FakePlatform:
        return targets[environment]

    for module in (bad_version, left, choice):
        monkeypatch.setattr(module, "platform_of", platform_of, raising=False)
    asked: dict[str, Any] = {"reason": as_reason("x"), "to": "previous", "restored": [], "is_first": False, "on_demand": True}
    with rolling_back():
        decided = await bad_version.version_to_leave_by(world.phase, list(targets), to="", bad=bad, restored=[])
        assert decided == "2.0"
        found = [await revert._choose(world.phase, one, environment=name, bad=decided, **asked) for name, one in targets.items()]
    return [(one.kind, one.version) for one in found]


@pytest.fixture
def targets() -> dict[str, FakePlatform]:
    """Give two targets of one version with Secrets of their own, which changed since it was released."""
    found = {f"production/{name}": FakePlatform(f"2.0+config.{name}", None, previous="V0") for name in ("eu", "us")}
    for platform in found.values():
        platform.position["owner"] = None
    return found


@pytest.mark.parametrize("bad", ["", "2.0"])
async def test_hours_after_a_configuration_was_rolled_back_the_version_itself_may_be_bad_in_each_target(
    world: World, targets: dict[str, FakePlatform], monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    """A rollback that named it left one target on it and ended as rolled back, as what serves there was kept as what serves since."""
    place, serves = await here(None, None, "production/eu"), "2.0+config.eu"
    await keep_left("shop", here=place, version="2.0", serves=serves, run="r0", brought=(serves,) if bad else ())
    for module in (bad_version, left, choice):
        monkeypatch.setattr(module, "now", lambda: datetime.now(UTC) + timedelta(hours=3), raising=False)
    assert await chosen_in(world, monkeypatch, targets, bad=bad) == [("redeploy", "V0")] * 2
    for name, platform in targets.items():
        kept = await find_left("shop", here=await here(None, None, name))
        assert kept is not None
        assert kept.version == platform.position["baseline"]


@pytest.mark.parametrize("bad", ["", "2.0"])
@pytest.mark.parametrize("has_ended", [False, True])
async def test_a_target_that_a_release_of_the_configuration_did_not_reach_keeps_what_serves(
    world: World, targets: dict[str, FakePlatform], monkeypatch: pytest.MonkeyPatch, bad: str, *, has_ended: bool
) -> None:
    """It was left for a still older version: by the release's own name, and by that of the alarm when it had rolled itself back."""
    await journal.append_entry("release", "Asked", kind="opened", evidence={"flow": "release", "version": "2.0"})
    await journal.append_entry("release", "It is up", kind="effect", environment="production/eu", name="prepare")
    if has_ended:
        place = await here(None, None, "production/eu")
        await keep_left("shop", here=place, version="2.0", serves="2.0+config.eu", run="release")
        await journal.append_entry("release", "It failed", kind="closed", evidence={"outcome": "rolled_back"})
        with pytest.raises(Refused, match=r"nothing to roll back from 2\.0 was found"):
            await chosen_in(world, monkeypatch, targets, bad="2.0")
        return
    targets["production/eu"].position |= {"canary": "2.0", "owner": "release"}
    assert await chosen_in(world, monkeypatch, targets, bad=bad) == [("abort", "2.0+config.eu"), ("nothing", "2.0+config.us")]


async def test_a_release_of_the_configuration_alone_goes_back_to_what_its_review_found(world: World) -> None:
    """The name that was reviewed is good, although the version under release has the same one without the hash."""
    await journal.append_entry(RUN, "Reviewed", kind="review", evidence={"current": {"production": "2.0+config.a"}})
    stand(world, "2.0+config.a", previous="V0", owner=RUN)
    choose = {"phase": world.phase, "platform": world.platform, "environment": "production", "reason": as_reason("x"), "bad": "2.0"}
    with rolling_back():
        chosen = await revert._choose(**choose, to="previous", restored=[], is_first=False, on_demand=False)  # type: ignore[arg-type]
    assert (chosen.kind, chosen.version) == ("nothing", "2.0+config.a")


async def test_a_release_that_died_before_its_first_effect_is_not_followed_by_a_step_down(world: World) -> None:
    """It owned the place, so it was rolled back by doing nothing; who reads the alarm asks for a rollback, and is told that it is done."""
    stand(world, "V0", previous="V-1", owner=RUN)
    with rolling_back():
        chosen = await revert._choose(
            world.phase, world.platform, environment="production", reason=as_reason("x"), bad="V1", to="previous", restored=[],
            is_first=False, on_demand=False,
        )  # fmt: skip
    assert (chosen.kind, chosen.version) == ("nothing", "V0")
    stand(world, "V0", previous="V-1")
    with pytest.raises(Refused, match=f"V0 serves since the rollback {RUN} of .* which left V1"):
        await world.decide()


async def test_what_ran_before_a_version_that_others_put_there_again_is_asked(world: World) -> None:
    """They went back from 2.0 to V0 by hand: what was kept of V0's promotion was before that, and 2.0 is what they left."""
    await keep_before("shop", here=HERE, version="V0", before="V-1")
    stand(world, "V0")
    world.platform.position.update(replaced="2.0")
    await forget_left("shop", here=HERE, versions=["BAD"])
    with pytest.raises(Refused, match=r"others put V0 in the place of 2\.0, so no earlier version is known here; name one"):
        await world.decide()
