"""Each step forward that the list of steps has is looked at by what holds it; what is promoted stays, and waits."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blocks.errors import Superseded
from flows import staging as staging_flow
from flows.lifecycle.context import Phase
from flows.rollout import held_step, migrations, prepare, steps
from flows.rollout.held_step import Standing, wait_while_held
from tasks.rules.lifecycle.results import passed
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import places_of
from tasks.rules.record.entries import Entry, chain
from tasks.rules.rollout.next_step import PREPARE, PROMOTE, Next, migration_step
from tasks.rules.rollout.steps import steps_of
from tasks.rules.rollout.waiting import held_by
from tasks.rules.windows.freeze import Hold
from tests.rules.policy.test_rules import plan_of

RUN = "11111111-2222-3333-4444-555555555555"
JOB = {"manifest": "jobs/job.yaml", "when": "before", "compatibility": "expand"}
MIGRATIONS = [{**JOB, "name": "a"}, {**JOB, "name": "b"}, {**JOB, "name": "c", "when": "after", "compatibility": "contract"}]
FROZEN = Hold("frozen until the freeze is lifted", "freeze 0123456789ab of shop", None, ("0123456789ab",))


class Kept(Phase):
    """A release whose record is in memory."""

    entries: list[Entry] = []  # noqa: RUF012 - one for each test, see `phase`

    async def append(self, what: str, *, kind: Any, **more: Any) -> Entry:
        """Append an entry; one of the same identity is there already."""
        fields = {"environment": "", "step": None, "name": "", "who": "shipway", "why": "", "evidence": {}, **more, "kind": kind}
        found = await self.read(kind, environment=fields["environment"], step=fields["step"], name=fields["name"])
        if found is None:
            last = self.entries[-1] if self.entries else None
            found = chain(last, at=datetime.now(UTC), what=what, round=1, **fields)
            self.entries.append(found)
        return found

    async def read(self, kind: Any, *, environment: str = "", step: int | None = None, name: str = "") -> Entry | None:
        """Read an entry by its identity."""
        seen = (one for one in self.entries if (one.kind, one.environment, one.step, one.name) == (kind, environment, step, name))
        return next(seen, None)


@pytest.fixture
def phase(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Give a release that is alone, with an empty record."""
    taken: Any = None
    found = Kept(RUN, 1, RUN, plan_of(migrations=MIGRATIONS, windows={"held_at_most_minutes": 5}), "shipway.yaml", ".", taken)
    monkeypatch.setattr(Kept, "entries", [])

    async def read(*_: Any) -> Any:
        return found.entries

    async def position(*_: Any) -> dict[str, Any]:
        return {"baseline": "1.1", "canary": None, "percent": 0, "owner": RUN}

    monkeypatch.setattr(held_step, "read_entries", read)
    monkeypatch.setattr(held_step, "retried", lambda _task: position)
    for name in ("check_not_stopped", "tell_what_is_over"):
        monkeypatch.setattr(held_step, name, nothing)
    return found


class Course:
    """Writes down what is looked at and what is done, in order, and does nothing."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.said: list[str] = []

    async def look(self, _phase: Phase, _standing: Standing, *, before: Next) -> str:
        """Look what holds a step: nothing does."""
        self.said.append(f"look {before.name.removesuffix(' begun')}{'' if before.step is None else f' {before.step}'}")
        return ""

    def named(self, _task: Any, name: str) -> Any:
        """Give a task of this name."""

        async def act(*_: Any, **__: Any) -> dict[str, Any]:
            self.said.append(name.partition(" in ")[0])
            return {"baseline": "1.0", "canary": None, "previous": "1.0"}

        return act

    async def migrate(self, _phase: Phase, _platform: Any, migration: Any, **_: Any) -> None:
        """Run a migration."""
        self.said.append(f"migrate {migration.name}")

    async def take(self, _phase: Phase, _platform: Any, step: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
        """Take a step."""
        self.said.append(f"shift {step.percent}")
        return steps.StepResult(outcome=passed("").outcome, reason="", step=step.percent), {}


async def fine(*_: Any, **__: Any) -> Any:
    """Verify that all is well."""
    return passed("fine")


async def nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


@contextlib.asynccontextmanager
async def turns(_name: str) -> AsyncIterator[None]:
    """Take a turn at once."""
    yield


@pytest.fixture
def course(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write down what is looked at and what is done, in order."""
    found = Course()
    both = {"wait_while_held": found.look, "named": found.named, "retried": lambda task: task, "lease_for_release": nothing}
    both |= {"expect_may_go_forward": nothing, "keep_way": nothing, "keep_plan": nothing}
    ways: dict[Any, dict[str, Any]] = {
        migrations: {"wait_while_held": found.look, "_run": found.migrate, "turns": turns, "expect_jobs": lambda *_: None},
        steps: both
        | {
            "canary_fault": nothing,
            "check_not_stopped": nothing,
            "verified": fine,
            "check_logs_before_promotion": fine,
            "_take_step": found.take,
        }
        | {"approved_platform": nothing, "what_holds_a_target": nothing},
        staging_flow: both | dict.fromkeys(("expect_data", "platform_of", "informed", "fix_settings"), nothing),
        prepare: {"named": found.named},
    }
    for module, names in ways.items():
        for name, way in names.items():
            monkeypatch.setattr(module, name, way)
    return found.said


def forward(plan: Plan, environment: str) -> list[str]:
    """List the steps forward of an environment that the list of steps has; neither checks nor watches change anything."""
    words = {"migrate": "migrate {0.name}", "prepare": "prepare", "shift": "shift {0.percent}", "promote": "promote", "deploy": "prepare"}
    return [words[step.kind].format(step) for step in steps_of(plan) if step.environment == environment and step.kind in words]


async def test_before_each_step_forward_of_production_it_is_looked_what_holds_it(phase: Kept, course: list[str]) -> None:
    """Also between two migrations, before the canary is started, and before a contract migration after the promotion."""
    await steps.roll_out(phase, "1.1", place=places_of(phase.plan)[-1], decisions={}, approved=None)
    found = [one.removesuffix(" 1.1") for one in course]
    done = forward(phase.plan, "production")
    assert [one for one in found if not one.startswith("look ")] == done
    assert found == [part for step in done for part in (f"look {step.removeprefix('migrate ')}", step)]


async def test_before_each_step_forward_of_staging_it_is_looked_what_holds_it(phase: Kept, course: list[str]) -> None:
    """Before its version is started, and once more before its first request: it may take minutes until it is ready."""
    await staging_flow._roll_out(phase, version="1.1")
    found = [one.removesuffix(" 1.1") for one in course]
    assert found == [
        "look prepare", "look a", "migrate a", "look b", "migrate b", "look prepare", "prepare", "look promote", "shift all traffic",
        "promote", "look c", "migrate c",
    ]  # fmt: skip


def hold_for(monkeypatch: pytest.MonkeyPatch, *found: Hold | None) -> None:
    """Let these hold a step, one look after the other."""
    left = list(found)

    async def look(_phase: Phase, _environment: str) -> Hold | None:
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(held_step, "_look", look)


AFTER = migration_step("c", is_after=True)


@pytest.mark.parametrize("before", [PREPARE, PROMOTE, migration_step("a", is_after=False)])
async def test_what_is_held_for_too_long_before_the_promotion_is_rolled_back(
    phase: Kept, monkeypatch: pytest.MonkeyPatch, before: Next
) -> None:
    """As the plan says."""
    hold_for(monkeypatch, FROZEN)
    monkeypatch.setattr(held_step, "now", lambda: datetime.now(UTC) + timedelta(hours=1))
    assert "more than the 5 min" in await wait_while_held(phase, Standing(None, "production", "1.2"), before=before)  # type: ignore[arg-type]


async def test_a_staging_that_is_held_before_its_first_request_goes_on_when_it_is_lifted(
    phase: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is watched there meanwhile, and the record says where it stands."""
    hold_for(monkeypatch, FROZEN, None)
    assert await wait_while_held(phase, Standing(None, "staging", "1.2"), before=PROMOTE) == ""  # type: ignore[arg-type]
    (entry,) = phase.entries
    assert (entry.environment, entry.what) == ("staging", "Held before the first request: frozen until the freeze is lifted")


@pytest.mark.slow
async def test_what_is_promoted_waits_as_long_as_it_takes(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hold does not roll it back; its record says that it is held after the promotion, and it goes on when that is over."""
    hold_for(monkeypatch, FROZEN, FROZEN, None)
    monkeypatch.setattr(held_step, "now", lambda: datetime.now(UTC) + timedelta(hours=1))
    assert await wait_while_held(phase, Standing(None, "production", "1.1"), before=AFTER) == ""  # type: ignore[arg-type]
    assert [entry.what for entry in phase.entries] == ["Held after the promotion: frozen until the freeze is lifted"]
    assert held_by(phase.entries) == ["0123456789ab"]


async def test_what_waits_after_the_promotion_gives_way_to_a_rollback(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, as any other wait."""
    hold_for(monkeypatch, FROZEN)

    async def stopped(_run: str) -> None:
        raise Superseded("a rollback was requested")

    monkeypatch.setattr(held_step, "check_not_stopped", stopped)
    with pytest.raises(Superseded):
        await wait_while_held(phase, Standing(None, "production", "1.1"), before=AFTER)  # type: ignore[arg-type]


async def test_a_step_that_was_begun_is_not_held(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one that lies before the promotion, once that is recorded: a run that is started again finishes."""
    hold_for(monkeypatch, FROZEN)
    monkeypatch.setattr(held_step, "now", lambda: datetime.now(UTC) + timedelta(hours=1))
    await phase.append("begins", kind="migration", environment="production", name="a begun")
    a = migration_step("a", is_after=False)
    assert await wait_while_held(phase, Standing(None, "production", "1.1"), before=a) == ""  # type: ignore[arg-type]
    await phase.append("promoted", kind="effect", environment="production", name="promote")
    for before in (migration_step("b", is_after=False), PREPARE):
        assert await wait_while_held(phase, Standing(None, "production", "1.1"), before=before) == ""  # type: ignore[arg-type]


async def test_another_hold_of_the_same_step_is_another_entry(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second freeze, the first alone again, and a window that opens at another time by now: the last entry says what holds it."""
    windows = [Hold(f"held until production opens {day}", "the window", None, ("windows",)) for day in ("today", "tomorrow")]
    both = Hold("frozen", "two freezes", None, (*FROZEN.by, "ba9876543210"))
    for found in (FROZEN, both, *windows):
        hold_for(monkeypatch, found, None)
        assert await wait_while_held(phase, Standing(None, "production", "1.1"), before=AFTER) == ""  # type: ignore[arg-type]
    assert [entry.what.rpartition(": ")[2] for entry in phase.entries] == [FROZEN.what, "frozen", *(one.what for one in windows)]


async def test_the_same_hold_of_an_older_calendar_is_the_same(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A calendar that cannot be read would leave an entry an hour."""
    aged = [
        Hold("held until production opens", f"the events (as it was {hours} h ago)", None, ("windows",), "the events") for hours in (3, 4)
    ]
    monkeypatch.setattr(held_step, "LOOK_SECONDS", 0)
    for found in ([aged[0], aged[1], aged[1], None], [aged[1], None]):  # and once more, in another process
        hold_for(monkeypatch, *found)
        assert await wait_while_held(phase, Standing(None, "production", "1.1"), before=PREPARE) == ""  # type: ignore[arg-type]
    assert [entry.why for entry in phase.entries] == [aged[0].why]
