"""What a rollback does to bring a version back: nothing is begun anew that has requests already."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import BadInput, Refused, RolloutFailed, ShipwayError, Superseded, Temporary, Unreachable, WorldMoved
from blocks.platform import Lease
from flows.rollout import redeploy
from tasks.rules.rollout.left import Left
from tasks.rules.rollout.steps import WITHOUT_CANARY
from tests.tasks.fake_platform import FakePlatform

LEASE = Lease(owner="r2", generation=2)


class Desk:
    """Stands in for the release; tasks are called as plain functions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **position: Any) -> None:
        """Let an environment run BAD, taken over by the rollback r2."""
        self.platform = FakePlatform(baseline="BAD", canary=None)
        here: Any = self.platform.position
        here.update({"owner": "r2", "generation": 2, **position})
        self.said: list[str] = []
        monkeypatch.setattr(redeploy, "retried", lambda work: work.fn)
        monkeypatch.setattr(redeploy, "named", lambda work, _: work.fn)
        monkeypatch.setattr(redeploy, "prepare", self.prepare)
        monkeypatch.setattr(redeploy, "place_of", lambda *_: SimpleNamespace(ready_timeout_seconds=5))
        monkeypatch.setattr(redeploy, "say", self.said.append)
        monkeypatch.setattr(redeploy, "rollback_under_way", self.under_way)
        monkeypatch.setattr(redeploy, "may_turn_round", self.may_turn_round)
        self.left: Left | None = None
        self.is_decided = False

    async def under_way(self, *_: Any) -> Left | None:
        """Give what the rollback left that is under way there."""
        return self.left

    async def may_turn_round(self, *_: Any) -> bool:
        """Say whether a person decided that what was left may serve."""
        return self.is_decided

    async def prepare(self, _: Any, platform: FakePlatform, version: str, *, lease: Lease, timeout_seconds: float, **__: Any) -> Any:
        """Prepare as the task does."""
        await platform.prepare(version, lease, timeout_seconds=timeout_seconds)
        return await platform.current()

    async def redeploy(self) -> str:
        """Bring GOOD back."""

        async def read(*_: Any, **__: Any) -> Any:
            return SimpleNamespace(evidence={"position": {"baseline": "BAD", "canary": None}})

        phase: Any = SimpleNamespace(plan=None, key=lambda name: name, read=read)
        return await redeploy.redeploy(phase, self.platform, "GOOD", environment="production", lease=LEASE, number=0)

    @property
    def effects(self) -> list[str]:
        """What was done to the platform, without leases."""
        return [call.rpartition(" ")[0].removesuffix(" 2") for call in self.platform.calls]


@pytest.mark.parametrize("percent", [1, 50, 100])
async def test_a_version_that_has_requests_already_gets_all_and_is_not_prepared_again(
    monkeypatch: pytest.MonkeyPatch, percent: int
) -> None:
    """Another rollback started it; to prepare it would give its requests back to the bad version first."""
    desk = Desk(monkeypatch, canary="GOOD", percent=percent)
    assert await desk.redeploy() == "GOOD"
    assert desk.effects == ["shift 100", "promote"]
    assert desk.platform.position["baseline"] == "GOOD"


@pytest.mark.parametrize("there", [{"canary": None, "percent": 0}, {"canary": "GOOD", "percent": 0}, {"canary": "WORSE", "percent": 50}])
async def test_everything_else_is_prepared(monkeypatch: pytest.MonkeyPatch, there: dict[str, Any]) -> None:
    """A canary without requests may not be up; another version's goes first."""
    desk = Desk(monkeypatch, **there)
    assert await desk.redeploy() == "GOOD"
    assert desk.effects == [*(["abort"] if there["canary"] == "WORSE" else []), "prepare GOOD", "shift 100", "promote"]


@pytest.mark.parametrize("percent", [0, 50, 100])
async def test_with_a_baseline_that_is_never_well_a_canary_of_another_version_goes(monkeypatch: pytest.MonkeyPatch, percent: int) -> None:
    """A release stood there as on-call asked for an older version by its name."""
    desk = Desk(monkeypatch, canary="NEWER", percent=percent)
    desk.platform.ill = {"BAD"}
    assert await desk.redeploy() == "GOOD"
    assert desk.effects == ["abort", "prepare GOOD", "shift 100", "promote"]
    assert desk.platform.position["baseline"] == "GOOD"


async def test_a_canary_that_cannot_be_removed_keeps_no_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts the version replaces it; that it failed is said."""
    desk = Desk(monkeypatch, canary="NEWER", percent=50)

    async def fails(*_: Any, **__: Any) -> None:
        raise RolloutFailed("its script exited with 1")

    monkeypatch.setattr(desk.platform, "abort", fails)
    assert await desk.redeploy() == "GOOD"
    assert desk.effects == ["prepare GOOD", "shift 100", "promote"]
    assert "NEWER of production could not be removed; the rollback goes on: its script" in desk.said[0]


@pytest.mark.parametrize("error", [Superseded, Refused, Temporary])
async def test_who_may_not_remove_a_canary_starts_nothing(monkeypatch: pytest.MonkeyPatch, error: type[ShipwayError]) -> None:
    """Another run does, or this one later."""
    desk = Desk(monkeypatch, canary="NEWER", percent=50)

    async def fails(*_: Any, **__: Any) -> None:
        raise error("not now")

    monkeypatch.setattr(desk.platform, "abort", fails)
    with pytest.raises(error):
        await desk.redeploy()
    assert desk.effects == []


async def test_a_version_that_cannot_get_all_requests_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one whose process crashed meanwhile."""
    desk = Desk(monkeypatch, canary="GOOD", percent=50)
    shift, fails = desk.platform.shift, iter([True, False])

    async def crashed(percent: int, lease: Lease) -> None:
        if next(fails):
            desk.platform.position["ready"] = {"BAD": True, "GOOD": False}
            raise WorldMoved("its process is gone")
        await shift(percent, lease)

    monkeypatch.setattr(desk.platform, "shift", crashed)
    assert await desk.redeploy() == "GOOD"
    assert desk.effects == ["prepare GOOD", "shift 100", "promote"]
    assert "cannot get all traffic" in desk.said[0]


@pytest.mark.parametrize("error", [Temporary, Unreachable, BadInput, RolloutFailed, WorldMoved])
@pytest.mark.parametrize("effect", ["shift", "promote"])
@pytest.mark.parametrize("percent", [10, 100])
async def test_a_canary_that_died_is_begun_anew_whatever_its_shift_or_promotion_raises(
    monkeypatch: pytest.MonkeyPatch, error: type[ShipwayError], effect: str, percent: int
) -> None:
    """The local platform raises what may pass: each attempt ended so, and the requests stayed on what is down."""
    desk = Desk(monkeypatch, canary="GOOD", percent=percent)
    works = getattr(desk.platform, effect)

    async def dead(*given: Any) -> None:
        if not any("prepare" in call for call in desk.platform.calls):
            desk.platform.position["ready"] = {"BAD": True, "GOOD": False}
            raise error("GOOD is not ready", **({"field": "x", "fix": "Wait"} if error is BadInput else {}))
        await works(*given)

    monkeypatch.setattr(desk.platform, effect, dead)
    assert await desk.redeploy() == "GOOD"
    assert desk.effects[-3:] == ["prepare GOOD", "shift 100", "promote"]
    assert "It is started anew" in desk.said[0]


@pytest.mark.parametrize("error", [Temporary, RolloutFailed, WorldMoved])
@pytest.mark.parametrize("effect", ["shift", "promote"])
async def test_a_canary_that_is_ready_keeps_its_requests_whatever_fails(
    monkeypatch: pytest.MonkeyPatch, error: type[ShipwayError], effect: str
) -> None:
    """Begun anew it would give them to the bad version; where no one knows who has which share, it is."""
    for trouble in ("", "the route is gone"):
        desk = Desk(monkeypatch, canary="GOOD", percent=100, **({"trouble": trouble} if trouble else {}))
        desk.platform.position["ready"]["GOOD"] = True
        works = getattr(desk.platform, effect)

        async def fails(*given: Any, desk: Desk = desk, works: Any = works) -> None:
            if not any("prepare" in call for call in desk.platform.calls):
                raise error("its script exited with 1")
            await works(*given)

        monkeypatch.setattr(desk.platform, effect, fails)
        if trouble:
            assert await desk.redeploy() == "GOOD"
            continue
        with pytest.raises(error):
            await desk.redeploy()
        assert desk.platform.position["percent"] == 100
        assert not any("prepare" in call for call in desk.effects)


BROUGHT = Left("BAD", "GOOD", "r2", brought=("OLD", "GOOD"))


async def test_what_another_rollback_brought_is_promoted_before_an_older_version_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removed, it would give its requests to the version that was left."""
    desk = Desk(monkeypatch, canary="OLD", percent=50)
    desk.left = BROUGHT
    assert await desk.redeploy() == "GOOD"
    assert desk.effects == ["shift 100", "promote", "prepare GOOD", "shift 100", "promote"]


@pytest.mark.parametrize("decided", [False, True])
async def test_what_cannot_be_promoted_first_is_removed_if_a_person_decided_it_on_the_machine(
    monkeypatch: pytest.MonkeyPatch, *, decided: bool
) -> None:
    """With a request through the API the version that was left would have all requests until the older one is up."""
    desk = Desk(monkeypatch, canary="OLD", percent=100)
    desk.left, desk.is_decided = BROUGHT, decided
    promote = desk.platform.promote

    async def stuck(lease: Lease) -> None:
        if desk.platform.position["canary"] == "OLD":
            raise RolloutFailed("its script exited with 1")
        await promote(lease)

    monkeypatch.setattr(desk.platform, "promote", stuck)
    if decided:
        assert await desk.redeploy() == "GOOD"
        assert desk.effects[1:] == ["abort", "prepare GOOD", "shift 100", "promote"]
        return
    with pytest.raises(RolloutFailed, match=r"BAD would get them, which a rollback left; .*`shipway rollback --to GOOD --here`"):
        await desk.redeploy()
    assert (desk.platform.position["canary"], desk.platform.position["percent"]) == ("OLD", 100)


@pytest.mark.parametrize("there", [{"percent": 0}, {"percent": 100, "idle": True}])
async def test_what_another_rollback_started_without_requests_makes_way(monkeypatch: pytest.MonkeyPatch, there: dict[str, Any]) -> None:
    """Nothing is given to anyone by that."""
    desk = Desk(monkeypatch, canary="OLD", **there)
    desk.left = BROUGHT
    assert await desk.redeploy() == "GOOD"
    assert desk.effects == ["abort", "prepare GOOD", "shift 100", "promote"]


async def test_a_promotion_that_fails_half_way_is_not_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was begun by this very rollback, which goes on with it the next time."""
    desk = Desk(monkeypatch, canary="GOOD", percent=100)

    async def late(*_: Any) -> None:
        desk.platform.position["under_way"] = "promotion"
        raise Temporary("the API server does not answer")

    monkeypatch.setattr(desk.platform, "promote", late)
    with pytest.raises(Temporary):
        await desk.redeploy()
    assert desk.effects == ["shift 100"]


@pytest.mark.parametrize("error", [Superseded, Refused])
async def test_who_may_not_act_begins_nothing_anew(monkeypatch: pytest.MonkeyPatch, error: type[ShipwayError]) -> None:
    """Another one does."""
    desk = Desk(monkeypatch, canary="GOOD", percent=100)

    async def refused(*_: Any) -> None:
        raise error("another owns it")

    monkeypatch.setattr(desk.platform, "promote", refused)
    with pytest.raises(error):
        await desk.redeploy()
    assert desk.effects == ["shift 100"]


async def test_in_place_a_version_that_cannot_get_all_requests_is_not_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would bring the bad version back into its place first."""
    desk = Desk(monkeypatch, canary="GOOD", percent=100)
    monkeypatch.setattr(desk.platform, "strategy", WITHOUT_CANARY, raising=False)

    async def late(*_: Any) -> None:
        raise RolloutFailed("its pods are not ready in time")

    monkeypatch.setattr(desk.platform, "shift", late)
    with pytest.raises(RolloutFailed):
        await desk.redeploy()
    assert desk.effects == []


@pytest.mark.parametrize("percent", [0, 100])
async def test_a_promotion_that_was_begun_is_finished(monkeypatch: pytest.MonkeyPatch, percent: int) -> None:
    """Whatever share the version has: the baseline may be that version by now."""
    desk = Desk(monkeypatch, canary="GOOD", percent=percent, under_way="promotion")
    assert await desk.redeploy() == "GOOD"
    assert desk.effects == ["promote"]


async def test_the_promotion_of_another_version_is_not_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the rollback returns to."""
    desk = Desk(monkeypatch, canary="WORSE", percent=100, under_way="promotion")
    assert await desk.redeploy() == "GOOD"
    assert desk.effects == ["abort", "prepare GOOD", "shift 100", "promote"]


async def test_a_newer_rollback_ends_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not begun anew."""
    desk = Desk(monkeypatch, canary="GOOD", percent=50, generation=3)
    with pytest.raises(Superseded):
        await desk.redeploy()
    assert desk.effects == []
