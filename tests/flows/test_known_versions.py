"""To which version a rollback on demand may go, target by target: where it runs or ran, or where a record says that it was deployed."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused, Temporary
from flows.lifecycle.context import Phase
from flows.rollout import bad_version, known, left
from flows.rollout.bad_version import expect_known
from flows.rollout.known import expect_known_there
from tasks.record.deployed import Deployed
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.migrations import Here
from tasks.rules.rollout.rollback import RollbackChoice
from tests.tasks.fake_platform import FakePlatform

EU, US = "production/eu", "production/us"


class World:
    """Two targets, and what records say of them."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        recorded: set[str],
        silent: set[str] | None = None,
        others: set[str] | None = None,
        unchecked: str = "",
    ) -> None:
        """Stand in for platforms and records."""
        self.recorded, self.silent, self.others, self.unchecked = recorded, silent or set(), others or set(), unchecked
        self.identified: list[str] = []
        self.notes: list[dict[str, Any]] = []
        self.decided: Any = None
        for module, name in (
            (bad_version, "platform_of"),
            (bad_version, "read_position"),
            (bad_version, "faults_of_others"),
            (known, "read_here"),
            (known, "find_deployed"),
        ):
            monkeypatch.setattr(module, name, getattr(self, name))
        monkeypatch.setattr(bad_version, "retried", lambda work: work)
        monkeypatch.setattr(left, "read_here", self.stands)
        monkeypatch.setattr(Phase, "append", self.append)
        monkeypatch.setattr(Phase, "read", self.read)

    async def platform_of(self, _: Any, environment: str) -> Any:
        """Give a target's platform; eu went from 1.8 to 1.9, us from 1.7."""
        if environment in self.silent:
            raise Temporary("it does not answer")
        return FakePlatform(baseline="1.9", canary=None, previous="1.8" if environment == EU else "1.7")

    async def read_position(self, platform: FakePlatform) -> Any:
        """Read what a target runs."""
        return await platform.current()

    async def faults_of_others(self, _: Any, environments: Any) -> dict[str, str]:
        """Say which targets are another service's."""
        return {name: "it is another's" for name in environments if name in self.others}

    async def read_here(self, _: Any, __: Any, environment: str) -> Here:
        """Say what a target points to."""
        self.identified.append(environment)
        return Here(environment, f"kubernetes/{environment}", "uid")

    async def stands(self, _: Any, __: Any, environment: str) -> Here:
        """Say where a target is, for what was left there."""
        return Here(environment, f"kubernetes/{environment}")

    async def find_deployed(self, service: str, *, version: str, here: Here) -> Deployed | None:
        """Find a record of 1.5."""
        found = service == "shop" and version == "1.5" and here.environment in self.recorded
        return Deployed(datetime(2026, 3, 2, tzinfo=UTC), self.unchecked) if found else None

    async def append(self, _: str, **entry: Any) -> None:
        """Take a note."""
        self.notes.append(entry)

    async def read(self, kind: str, *, name: str) -> Any:
        """Say what was decided before."""
        assert (kind, name) == ("rollback", "bad version")
        return self.decided

    def phase(self, plan: str = "previous") -> Phase:
        """Make a rollback's phase."""
        rollback = SimpleNamespace(to=plan, model_copy=lambda update: SimpleNamespace(**update))
        made: Any = Plan.model_construct(service="shop", rollback=rollback)
        return Phase("run-1", 1, "run-1", made, "plan.yaml", ".", None)  # type: ignore[arg-type]

    async def expect(self, version: str, *environments: str, plan: str = "previous") -> str:
        """Ask for a version; gives the plan's that is left."""
        return (await expect_known(self.phase(plan), environments, version=version)).plan.rollback.to


@pytest.mark.parametrize(
    ("version", "asked", "recorded", "silent", "refused"),
    [
        ("", [EU, US], [], [], ""),
        ("1.9", [EU, US], [], [], ""),
        ("1.8", [EU], [], [], ""),
        ("1.8", [EU, US], [], [], US),
        ("1.8", [US], [], [], US),
        ("1.5", [EU, US], [EU, US], [], ""),
        ("1.5", [EU, US], [EU], [], US),
        ("1.5", [EU], [EU], [], ""),
        ("1.5", [EU, US], [], [], f"{EU}, {US}"),
        ("1.5", [EU, US], [EU], [US], ""),
        ("1.8", [EU, US], [], [US], ""),
        ("1.8", [EU, US], [], [EU], US),
        ("6.6", [EU, US], [EU, US], [], f"{EU}, {US}"),
    ],
)
async def test_each_target_that_answers_must_know_the_version_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, version: str, asked: list[str], recorded: list[str], silent: list[str], refused: str
) -> None:
    """No target speaks for another; what does not answer is asked when its turn has come, and keeps no other from its rollback."""
    world = World(monkeypatch, recorded={*recorded}, silent={*silent})
    if not refused:
        assert await world.expect(version, *asked) == "previous"
    else:
        with pytest.raises(Refused, match=f"{version} was ever deployed in {refused};") as caught:
            await world.expect(version, *asked)
        assert ("roll the others back alone" in str(caught.value)) is (refused != ", ".join(asked))
    assert not {*silent} & {*world.identified}


async def test_an_environment_of_another_service_keeps_no_other_from_its_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left alone, so it need not know the version."""
    assert await World(monkeypatch, recorded={EU}, others={US}).expect("1.5", EU, US) == "previous"


@pytest.mark.parametrize(
    ("kind", "version", "yes"),
    [
        ("redeploy", "1.5", True),
        ("redeploy", "1.8", True),
        ("redeploy", "6.6", False),
        ("abort", "6.6", True),
        ("nothing", "6.6", True),
        ("impossible", None, True),
    ],
)
async def test_nothing_is_started_that_is_not_known_there(monkeypatch: pytest.MonkeyPatch, kind: Any, version: str, *, yes: bool) -> None:
    """Also where the environment was silent, or another's, when the version was looked at; what serves already may stay."""
    world = World(monkeypatch, recorded={EU})
    platform: Any = await world.platform_of(None, EU)
    choice, position = RollbackChoice(kind, version, ""), await platform.current()

    async def none(*_: Any) -> None:
        """Find no rollback that is under way."""

    for module in (known, left):
        monkeypatch.setattr(module, "rollback_under_way", none)
    if yes:
        await expect_known_there(world.phase(), platform, position, choice, environment=EU)
    else:
        with pytest.raises(Refused, match=r"leave the version empty for 1\.8, or release it"):
            await expect_known_there(world.phase(), platform, position, choice, environment=EU)


async def test_a_fixed_version_of_the_plan_that_one_target_does_not_know_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollback goes to the previous version, and says so."""
    world = World(monkeypatch, recorded={EU})
    assert await world.expect("", EU, plan="1.5") == "1.5"
    assert world.notes == []
    assert await world.expect("", EU, US, plan="1.5") == "previous"
    assert [one["name"] for one in world.notes] == ["unknown version"]


async def test_a_record_whose_seals_were_not_checked_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each target."""
    world = World(monkeypatch, recorded={EU, US}, unchecked="the record of r1: not checked")
    await world.expect("1.5", EU, US)
    assert sorted((one["name"], one["environment"]) for one in world.notes) == [("unchecked record", EU), ("unchecked record", US)]


async def test_a_fault_of_staging_refuses_no_rollback_of_production(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is rolled back is asked."""
    world = World(monkeypatch, recorded={EU}, silent={"staging"}, others={"staging"})
    assert await world.expect("1.5", EU) == "previous"
    assert world.identified == [EU]


async def test_what_a_rollback_did_does_not_end_it_half_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known when it began is not asked again."""
    world = World(monkeypatch, recorded={EU})
    with pytest.raises(Refused):
        await world.expect("1.5", EU, US)
    world.decided = "1.9 is the bad version"
    assert await world.expect("1.5", EU, US) == "previous"
