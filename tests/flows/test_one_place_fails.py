"""Several environments, one of which fails for good: the others are rolled back and given up all the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from blocks.errors import BadInput, Refused, ShipwayError, Superseded, Temporary
from flows.lifecycle import closing, finalize
from flows.rollout import moved, retake, revert
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.ending import Ending
from tasks.rules.lifecycle.results import RollbackResult, worst_of

EU, US = "production/eu", "production/us"
ERRORS = [BadInput("it may not read it", field="access", fix="Allow it"), Temporary("it does not answer")]


async def nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


PLAN = SimpleNamespace(
    plan=SimpleNamespace(service="shop", notify=[], staging=SimpleNamespace(keep_on_failure=False)),
    owner="run",
    path="plan.yaml",
    append=nothing,
)


def is_back(environment: str) -> RollbackResult:
    """Make the result of a rollback that passed."""
    return RollbackResult(outcome=Outcome.PASSED, reason=f"{environment} is back", environment=environment, version="1.0")


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

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: str, error: Exception) -> None:
        """Stand in for what the flows call."""
        self.asked: list[str] = []
        self.failing, self.error = failing, error
        for module in (finalize, revert):
            monkeypatch.setattr(module, "platform_of", self.platform_of)
            monkeypatch.setattr(module, "say", lambda text: self.asked.append(text.split(":")[0]))
            monkeypatch.setattr(module, "abort_canary", self.act("abort"))
            monkeypatch.setattr(module, "retried", lambda work: work)
            monkeypatch.setattr(module, "named", lambda work, _: work)
        for module in (finalize, retake):
            monkeypatch.setattr(module, "acquire_lease", self.act("acquire_lease"))
        monkeypatch.setattr(retake, "retried", lambda work: work)
        monkeypatch.setattr(moved, "platform_of", self.platform_of)
        monkeypatch.setattr(revert, "read_position", self.act("read"))
        monkeypatch.setattr(closing, "append_entry", nothing)
        monkeypatch.setattr(closing, "platform_of", self.platform_of)
        monkeypatch.setattr(finalize, "environments_reversed", lambda _: [US, EU, "staging"])
        monkeypatch.setattr(finalize, "waves_reversed", lambda _: [[US, EU]])
        monkeypatch.setattr(finalize, "release_lease", self.act("give up"))
        self.others: dict[str, str] = {}
        monkeypatch.setattr(revert, "faults_of_others", self.faults_of_others)

    async def faults_of_others(self, *_: Any) -> dict[str, str]:
        """Say which environments are another's."""
        return self.others

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
    late = await finalize.release_leases(PLAN, "run", [US, EU, "staging"])  # type: ignore[arg-type]
    assert late is (error if isinstance(error, Temporary) else None)
    said = [] if late else [f"the lease of {US} could not be released"]
    assert sorted(places.asked) == sorted([f"give up {US}", *said, f"give up {EU}", "give up staging"])


@pytest.mark.parametrize("error", ERRORS)
async def test_a_target_that_cannot_be_claimed_keeps_no_other_from_going_back(monkeypatch: pytest.MonkeyPatch, error: ShipwayError) -> None:
    """All are asked, then each is rolled back; a newer run ends it at once."""
    places = Places(monkeypatch, US, error)

    async def roll_back(phase: Any, environment: str, **_: Any) -> RollbackResult:
        del phase
        if environment == US:
            raise error
        return is_back(environment)

    monkeypatch.setattr(revert, "roll_back", roll_back)
    asked: dict[str, Any] = {"reason": "bug", "to": "", "bad": "", "restored": []}
    back = revert.roll_back_waves(PLAN, [[US, EU]], **asked)  # type: ignore[arg-type]
    if isinstance(error, Temporary):
        with pytest.raises(Temporary):
            await back
    else:
        found = await back
        assert worst_of(list(found.values())).outcome is Outcome.FAILED
        assert f"{EU} is back" in found[EU].reason
    assert [one for one in places.asked if one.startswith("acquire_lease")] == [f"acquire_lease {US}", f"acquire_lease {EU}"]
    places.error = Superseded("a newer run")
    with pytest.raises(Superseded):
        await revert.roll_back_waves(PLAN, [[US, EU]], **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(("refused", "waves"), [([US, EU], [[US, EU]]), ([US, EU], [[US], [EU]]), ([US], [[US, EU]])])
async def test_a_rollback_is_refused_only_if_every_environment_is(
    monkeypatch: pytest.MonkeyPatch, refused: list[str], waves: list[list[str]]
) -> None:
    """A refusal keeps no other from being rolled back, in its own wave or in the next; where none moved, the whole is refused."""
    Places(monkeypatch, "", BadInput("", field="", fix=""))
    asked: list[str] = []

    async def roll_back(phase: Any, environment: str, **_: Any) -> RollbackResult:
        del phase
        asked.append(environment)
        if environment in refused:
            raise Refused(f"{environment} would cross a contract")
        return is_back(environment)

    monkeypatch.setattr(revert, "roll_back", roll_back)
    back = revert.roll_back_waves(PLAN, waves, reason="bug", to="", bad="", restored=[])  # type: ignore[arg-type]
    if len(refused) == 2:
        with pytest.raises(Refused, match=f"{US} would cross a contract; {EU} would cross a contract"):
            await back
    else:
        assert {name: one.outcome.value for name, one in (await back).items()} == {US: "failed", EU: "passed"}
    assert sorted(asked) == sorted([US, EU])


@pytest.mark.parametrize("error", [*ERRORS, OSError("the connection broke")])
async def test_a_target_that_cannot_be_read_keeps_none_beside_it_from_going_back(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Those beside it do not wait to know; what it may have moved itself is left alone, and it is tried again or said to have failed."""
    Places(monkeypatch, US, error)
    back: list[str] = []

    async def is_moved(phase: Any, environment: str, position: Any, **_: Any) -> bool:
        del phase, position
        return environment != "staging"

    async def roll_back(phase: Any, environment: str, **_: Any) -> RollbackResult:
        del phase
        back.append(environment)
        return is_back(environment)

    async def begin_phase(plan: str, *, scope: str) -> Any:
        assert (plan, scope) == ("plan.yaml", "run")
        return PLAN

    async def none(*_: Any) -> tuple[str, ...]:
        return ()

    for name, stand_in in {"is_moved_now": is_moved, "roll_back": roll_back, "begin_phase": begin_phase}.items():
        monkeypatch.setattr(revert, name, stand_in)
    monkeypatch.setattr(moved, "is_moved_now", is_moved)
    monkeypatch.setattr(finalize, "_staying", none)
    monkeypatch.setattr(finalize, "roll_back_moved", revert.roll_back_moved.fn)
    going = finalize.roll_back_release(PLAN, version="1.1", ending=Ending("failed", "bad"))  # type: ignore[arg-type]
    if isinstance(error, Temporary):
        with pytest.raises(Temporary):
            await going
    else:
        found = await going
        assert (found[US].outcome, found[EU].outcome) == ("failed", "passed")
        assert str(error) in found[US].reason
    assert back == [EU]


@pytest.mark.parametrize("beside", [True, False])
async def test_the_record_says_what_is_known_of_a_target_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, *, beside: bool) -> None:
    """That it did not answer, not that it is rolled back; and once it answers that it was not moved, if so."""
    Places(monkeypatch, US, Temporary("it does not answer"))
    said: list[tuple[str, str]] = []

    async def append(what: str, *, kind: str, **_: Any) -> None:
        said.append((kind, what))

    async def nothing(*_: Any, **__: Any) -> None:
        return None

    phase: Any = SimpleNamespace(**{**vars(PLAN), "append": append, "read": nothing})

    async def is_moved(_phase: Any, environment: str, _position: Any, **_: Any) -> bool:
        return beside and environment == EU

    async def roll_back(_phase: Any, environment: str, **_: Any) -> RollbackResult:
        return is_back(environment)

    async def begin_phase(_plan: str, **_: Any) -> Any:
        return phase

    async def none(*_: Any) -> tuple[str, ...]:
        return ()

    async def answers(*_: Any) -> dict[str, Any]:
        return {}

    for name, stand_in in {"is_moved_now": is_moved, "roll_back": roll_back, "begin_phase": begin_phase, "read_position": answers}.items():
        monkeypatch.setattr(revert, name, stand_in)
    monkeypatch.setattr(moved, "is_moved_now", is_moved)
    monkeypatch.setattr(finalize, "_staying", none)
    monkeypatch.setattr(finalize, "roll_back_moved", revert.roll_back_moved.fn)
    found = await finalize.roll_back_release(phase, version="1.1", ending=Ending("failed", "bad"))  # type: ignore[arg-type]
    assert set(found) == ({EU} if beside else set())
    known = "1.1 is rolled back" if beside else "1.1 is rolled back where it moved anything"
    decision = f"{known}; {US} did not answer when asked whether it was moved"
    assert said == [("rollback", decision), ("note", f"{US} was not moved, so there is nothing to roll back")]


@pytest.mark.parametrize("error", ERRORS)
async def test_a_completed_target_that_cannot_be_read_counts_as_staying(monkeypatch: pytest.MonkeyPatch, error: ShipwayError) -> None:
    """It must not keep the others from going back."""
    Places(monkeypatch, US, error)
    assert await closing.is_ours(PLAN, US)  # type: ignore[arg-type]


@pytest.mark.parametrize("canary", ["1.1", None])
async def test_staging_behind_a_contract_loses_its_half_made_canary(monkeypatch: pytest.MonkeyPatch, canary: str | None) -> None:
    """It stays on what serves, but a canary that is left half-way would hold the next release up."""
    places = Places(monkeypatch, "", BadInput("", field="", fix=""))

    async def was_moved(phase: Any, environment: str, **_: Any) -> bool:
        del phase
        return environment == "staging"

    async def yes(*_: Any) -> bool:
        return True

    async def none(*_: Any) -> tuple[str, ...]:
        return ()

    async def position(*_: Any) -> dict[str, Any]:
        return {"canary": canary}

    for name, stand_in in {"was_moved": was_moved, "stays_forward": yes, "_staying": none, "read_position": position}.items():
        monkeypatch.setattr(finalize, name, stand_in)
    assert await finalize.roll_back_release(PLAN, version="1.1", ending=Ending("failed", "bad")) == {}  # type: ignore[arg-type]
    assert places.asked == (["acquire_lease staging", "abort staging"] if canary else [])


def answered(status: int) -> httpx.HTTPStatusError:
    """Make the error of an answer, as of Prefect's server to a child of a run that was deleted."""
    request = httpx.Request("POST", "http://127.0.0.1/api/task_runs/")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, request=request))


@pytest.mark.parametrize("refusal", [OSError("the connection broke"), answered(409), answered(500)], ids=["broken", "deleted", "error"])
async def test_a_wave_is_rolled_back_although_no_child_run_can_be_made(monkeypatch: pytest.MonkeyPatch, refusal: Exception) -> None:
    """Neither a fault of the server or the machine nor the deletion of the release's run leaves what could be rolled back."""
    Places(monkeypatch, "", BadInput("", field="", fix=""))
    tries: list[list[str]] = []

    async def yes(phase: Any, environment: str, **_: Any) -> bool:
        del phase
        return environment != "staging"

    async def none(*_: Any) -> tuple[str, ...]:
        return ()

    async def child(_plan: str, _scope: str, environments: list[str], **_: Any) -> dict[str, RollbackResult]:
        tries.append(environments)
        raise refusal

    async def directly(plan: str, scope: str, environments: list[str], **_: Any) -> dict[str, RollbackResult]:
        assert (plan, scope) == ("plan.yaml", "run")
        tries.append(environments)
        return {name: is_back(name) for name in environments}

    child.fn = directly  # type: ignore[attr-defined]
    for name, stand_in in {"was_moved": yes, "_staying": none, "roll_back_moved": child}.items():
        monkeypatch.setattr(finalize, name, stand_in)
    found = await finalize.roll_back_release(PLAN, version="1.1", ending=Ending("failed", "bad"))  # type: ignore[arg-type]
    assert {name: one.passed for name, one in found.items()} == {US: True, EU: True}
    assert tries == [[US, EU], [US, EU]]


async def test_what_is_anothers_is_neither_taken_over_nor_rolled_back_and_keeps_no_other_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that was never released, and whose block names another service's Service by mistake or on purpose."""
    places = Places(monkeypatch, "", BadInput("", field="", fix=""))
    places.others = {US: "it points to the Service shop/web, which is production of the service other"}

    async def roll_back(phase: Any, environment: str, **_: Any) -> RollbackResult:
        del phase
        return is_back(environment)

    monkeypatch.setattr(revert, "roll_back", roll_back)
    found = await revert.roll_back_waves(PLAN, [[US, EU]], reason="bug", to="", bad="", restored=[])  # type: ignore[arg-type]
    assert {name: one.outcome.value for name, one in found.items()} == {US: "failed", EU: "passed"}
    assert "the Service shop/web" in found[US].reason
    assert places.asked == [f"acquire_lease {EU}"]
