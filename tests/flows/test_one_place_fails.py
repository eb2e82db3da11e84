"""Several environments, one of which fails for good: the others go back and are given up all the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import BadInput, ShipwayError, Superseded, Temporary
from flows import rollback
from flows.lifecycle import finalize
from flows.rollout import revert
from tasks.rules.lifecycle.ending import Ending

EU, US = "production/eu", "production/us"


async def nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


PLAN = SimpleNamespace(plan=SimpleNamespace(staging=SimpleNamespace(keep_on_failure=False)), owner="run", path="plan.yaml", append=nothing)
ERRORS = [BadInput("it may not read it", field="access", fix="Allow it"), Temporary("it does not answer")]


class Place(str):
    """An environment's platform, which is known by the environment's name."""

    __slots__ = ("places",)
    places: Places

    async def acquire_lease(self, owner: str, *, takeover: bool) -> None:
        """Be claimed, or fail."""
        assert (owner, takeover) == ("run", True)
        await self.places.act("acquire_lease")(self)

    async def current(self) -> None:
        """Be read, or fail."""
        await self.places.act("read")(self)


class Places:
    """Says what is asked of which environment; the one that fails raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: str, error: ShipwayError) -> None:
        """Stand in for what the flows call."""
        self.asked: list[str] = []
        self.failing, self.error = failing, error
        monkeypatch.setattr(finalize, "acquire_lease", self.act("acquire_lease"))
        for module in (finalize, rollback):
            monkeypatch.setattr(module, "platform_of", self.platform_of)
            monkeypatch.setattr(module, "say", lambda text: self.asked.append(text.split(":")[0]))
            monkeypatch.setattr(module, "append_entry", nothing)
        monkeypatch.setattr(finalize, "environments_reversed", lambda _: [US, EU, "staging"])
        monkeypatch.setattr(finalize, "waves_reversed", lambda _: [[US, EU]])
        monkeypatch.setattr(finalize, "release_lease", self.act("give up"))
        monkeypatch.setattr(finalize, "quietly", lambda work, **_: work)
        monkeypatch.setattr(finalize, "abort_canary", self.act("abort"))

    async def platform_of(self, plan: Any, environment: str) -> Place:
        """Give the environment's name for its platform."""
        del plan
        place = Place(environment)
        place.places = self
        return place

    def act(self, what: str) -> Any:
        """Make an effect that the failing environment refuses."""

        async def effect(environment: str, **_: Any) -> None:
            self.asked.append(f"{what} {environment}")
            if environment == self.failing:
                raise self.error

        return effect


@pytest.mark.parametrize("error", ERRORS)
async def test_every_environment_is_given_up(monkeypatch: pytest.MonkeyPatch, error: ShipwayError) -> None:
    """What does not answer is tried again by the keeper; what is wrong for good is said."""
    places = Places(monkeypatch, US, error)
    late = await finalize._give_all_up(PLAN, "run")  # type: ignore[arg-type]
    assert late is (error if isinstance(error, Temporary) else None)
    said = [] if late else [f"{US} could not be given up"]
    assert sorted(places.asked) == sorted([f"give up {US}", *said, f"give up {EU}", "give up staging"])


@pytest.mark.parametrize("error", ERRORS)
async def test_a_target_that_cannot_be_claimed_keeps_no_other_from_going_back(monkeypatch: pytest.MonkeyPatch, error: ShipwayError) -> None:
    """All are asked, then each goes its way; somebody newer ends it at once."""
    places = Places(monkeypatch, US, error)

    async def take_back(phase: Any, *, environment: str, **_: Any) -> dict[str, Any]:
        del phase
        if environment == US:
            raise error
        return {"outcome": "passed", "reason": f"{environment} is back"}

    monkeypatch.setattr(rollback, "take_back", take_back)
    asked = {"reason": "bug", "version": "", "bad": "", "restored": []}
    back = rollback._take_all_back(PLAN, [[US, EU]], **asked)  # type: ignore[arg-type]
    if isinstance(error, Temporary):
        with pytest.raises(Temporary):
            await back
    else:
        found = await back
        assert found["outcome"] == "failed"
        assert f"{EU} is back" in found["reason"]
    assert [one for one in places.asked if one.startswith("acquire_lease")] == [f"acquire_lease {US}", f"acquire_lease {EU}"]
    places.error = Superseded("somebody newer")
    with pytest.raises(Superseded):
        await rollback._take_all_back(PLAN, [[US, EU]], **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [*ERRORS, OSError("the connection broke")])
async def test_a_target_that_cannot_be_read_keeps_none_beside_it_from_going_back(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Those beside it do not wait to know; what it may have moved itself is left alone, and it is tried again or said to have failed."""
    Places(monkeypatch, US, Temporary("unused"))
    back: list[str] = []

    async def moved(phase: Any, environment: str, *, at_once: bool = False, **_: Any) -> bool:
        del phase
        if environment == US and not at_once:
            raise error
        return environment != "staging"

    async def take_back(phase: Any, *, environment: str, **_: Any) -> dict[str, Any]:
        del phase
        back.append(environment)
        return {"outcome": "passed", "reason": f"{environment} is back"}

    async def child(phase: Any, wave: list[str], *, several: bool, reason: str, bad: str) -> dict[str, Any]:
        assert several
        return {"each": await revert.take_wave_back(phase, wave, reason=reason, version=bad)}

    async def none(*_: Any) -> tuple[str, ...]:
        return ()

    monkeypatch.setattr(revert, "take_back", take_back)
    monkeypatch.setattr(revert, "moved", moved)
    for name, stand_in in {"moved": moved, "_staying": none, "_go_back_in": child}.items():
        monkeypatch.setattr(finalize, name, stand_in)
    going = finalize.go_back(PLAN, version="1.1", ending=Ending("failed", "bad"))  # type: ignore[arg-type]
    if isinstance(error, Temporary):
        with pytest.raises(Temporary):
            await going
    else:
        found = {one["environment"]: one for one in await going}
        assert (found[US]["outcome"], found[EU]["outcome"]) == ("failed", "passed")
        assert str(error) in found[US]["reason"]
    assert back == [EU]


@pytest.mark.parametrize("error", ERRORS)
async def test_a_completed_target_that_cannot_be_read_counts_as_staying(monkeypatch: pytest.MonkeyPatch, error: ShipwayError) -> None:
    """It must not keep the others from going back."""
    Places(monkeypatch, US, error)
    assert await finalize._is_ours(PLAN, US)  # type: ignore[arg-type]


@pytest.mark.parametrize("canary", ["1.1", None])
async def test_staging_behind_a_contract_loses_its_half_made_canary(monkeypatch: pytest.MonkeyPatch, canary: str | None) -> None:
    """It stays on what serves, but a canary that nobody brings to an end would hold the next release up."""
    places = Places(monkeypatch, "", BadInput("", field="", fix=""))

    async def moved(phase: Any, environment: str, **_: Any) -> bool:
        del phase
        return environment == "staging"

    async def yes(*_: Any) -> bool:
        return True

    async def none(*_: Any) -> tuple[str, ...]:
        return ()

    async def position(*_: Any) -> dict[str, Any]:
        return {"canary": canary}

    for name, stand_in in {"moved": moved, "stays_forward": yes, "_staying": none, "read_position": position}.items():
        monkeypatch.setattr(finalize, name, stand_in)
    assert await finalize.go_back(PLAN, version="1.1", ending=Ending("failed", "bad")) == []  # type: ignore[arg-type]
    assert places.asked == (["acquire_lease staging", "abort staging"] if canary else [])
