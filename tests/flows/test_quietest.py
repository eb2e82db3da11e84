"""The keeper and the quietest windows: measured again each week, told once if they move, and the last one counts if that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from blocks.errors import Temporary
from blocks.key_folder.key_file import create_key, key_path
from flows.lifecycle import quietest
from flows.lifecycle.quietest import renew_quietest
from tasks.analysis import quietest as measuring
from tasks.analysis.quietest import Measuring
from tasks.lifecycle import clock
from tasks.lifecycle.quietest import KeptQuietest, keep_quietest, read_quietest
from tasks.rules.analysis.rhythm import SLOTS, Slot
from tasks.rules.windows.quietest import NOT_ASKED
from tests.rules.analysis.test_quietest import SCRAPED, asking
from tests.rules.rollout.test_steps import plan_of
from tests.tasks.lifecycle.test_quietest import kept_of

START = datetime(2026, 11, 30, 12, tzinfo=UTC)
SERVICE = plan_of().service


class World:
    """A clock, a Prometheus and a team, each of which may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the keeper see this clock, this Prometheus and this team."""
        self.at, self.minute, self.answers, self.hears = START, 150, True, True
        self.measured, self.pages = 0, 0
        self.wrong: Exception = Temporary("Prometheus does not answer")
        self.told: list[str] = []
        self.events: list[str] = []
        for module in (clock, quietest):
            monkeypatch.setattr(module, "now", lambda: self.at)
        monkeypatch.setattr("tests.tasks.lifecycle.test_quietest.now", lambda: self.at)
        monkeypatch.setattr(measuring, "measure_again", self.measure_again)
        monkeypatch.setattr(quietest, "announce", self.announce)
        monkeypatch.setattr(quietest, "emit_event", lambda name, **_: self.events.append(name))
        monkeypatch.setattr(quietest, "write_page", self.publish)

    async def measure_again(self, kept: KeptQuietest, *, at: datetime) -> Measuring:
        """Measure, or not."""
        self.measured += 1
        if not self.answers:
            raise self.wrong
        chosen = kept.chosen.model_copy(update={"minute": self.minute, "at": at})
        week: list[Slot | None] = [Slot(1.0, 1.0, 8)] * SLOTS
        return Measuring(kept.model_copy(update={"chosen": chosen, "tried": at, "fault": ""}), week)

    async def announce(self, _blocks: list[str], *, subject: str, key: str) -> None:
        """Hear, or not."""
        assert key.startswith(f"quietest/{SERVICE}/")
        if not self.hears:
            raise Temporary("slack-webhook/team did not accept the message")
        self.told.append(subject)

    async def publish(self, markdown: str, *, key: str) -> None:
        """Take the page."""
        assert (key, "data:image/svg+xml;base64," in markdown) == (f"quietest-{SERVICE}", True)
        self.pages += 1

    async def turn(self, *, days: float = 0, hours: float = 0) -> list[str]:
        """Let time pass, and the keeper have its turn."""
        self.at += timedelta(days=days, hours=hours)
        return await renew_quietest()

    @property
    def kept(self) -> KeptQuietest:
        """What is kept now."""
        found = read_quietest(SERVICE)
        assert found is not None
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Measure once, in a key folder of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    found = World(monkeypatch)
    keep_quietest(SERVICE, kept_of(asking(plan_of(), SCRAPED)))
    return found


async def test_it_is_measured_again_after_a_week_and_no_sooner(world: World) -> None:
    """One that stayed is not worth a message."""
    for days in (0, 3, 3.9):
        assert await world.turn(days=days) == []
    assert await world.turn(days=0.2) == [f"{SERVICE}: the quietest window is Mon 02:30–03:30 Europe/Berlin, as before"]
    assert await world.turn() == []
    assert (world.measured, world.pages, world.told, world.events) == (1, 1, [], [])
    assert world.kept.chosen.at == world.at


async def test_the_team_is_told_once_if_it_moved(world: World) -> None:
    """By the plan's blocks and by an event; and again in an hour if a block did not take it."""
    world.minute, world.hears = 0, False
    moved = f"{SERVICE}: the quietest window moved from Mon 02:30–03:30 Europe/Berlin to Mon 00:00–01:00 Europe/Berlin"
    await world.turn(days=7.1)
    for _ in range(3):
        await world.turn(hours=0.3)
    assert (world.told, world.measured, world.kept.chosen.minute) == ([], 1, 0)
    world.hears = True
    for _ in range(3):
        await world.turn(hours=0.5)
    assert [one[: len(moved)] for one in world.told] == [moved]
    assert world.events == ["shipway.window.moved"]


async def test_the_last_one_counts_while_prometheus_is_away(world: World) -> None:
    """It is asked each hour, and once it is late the team is told once, with until when it counts."""
    world.answers = False
    await world.turn(days=7.1)
    for _ in range(4):
        await world.turn(hours=0.5)
    assert (world.measured, world.kept.fault, world.told) == (3, "Prometheus does not answer", [])
    for _ in range(3):
        await world.turn(days=1)
    said = (
        f"{SERVICE}: the quietest window could not be measured again, and counts until Mon 2026-12-14 12:00 UTC: Prometheus does not answer"
    )
    assert world.told == [f"{said}. {NOT_ASKED}"]
    assert (world.events, world.kept.chosen.minute, world.kept.chosen.at) == (["shipway.window.unmeasured"], 150, START)
    world.answers = True
    await world.turn(hours=2)
    assert (world.kept.fault, world.kept.chosen.at) == ("", world.at)


async def test_a_turn_of_the_keeper_is_bounded_for_all_services_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long Prometheus takes for each: what is left has the next turn, and in a few turns all are measured once."""
    names = [f"shop-{number}" for number in range(5)]
    for name in names:
        keep_quietest(name, kept_of(asking(plan_of(), SCRAPED)))
    monkeypatch.setattr(quietest, "monotonic", lambda: world.measured * 6.0)
    assert [len(await world.turn(days=days)) for days in (8, 0, 0, 0)] == [2, 2, 2, 0]
    assert world.measured == 6


async def test_a_server_that_hangs_holds_no_turn_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the page nor the message is waited for without end; the message is sent in an hour."""

    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(quietest, "TELL_SECONDS", 0.05)
    monkeypatch.setattr(quietest, "write_page", hang)
    with monkeypatch.context() as away:
        away.setattr(quietest, "announce", hang)
        world.minute = 0
        async with asyncio.timeout(20):
            await world.turn(days=7.1)
    assert (world.measured, world.kept.chosen.minute, world.told) == (1, 0, [])
    await world.turn(hours=1.1)
    assert len(world.told) == 1


async def test_one_that_cannot_be_read_keeps_no_other_from_its_turn(world: World) -> None:
    """Of another service."""
    (key_path().parent / "quietest" / "another.kept").write_bytes(b"x")
    assert len(await world.turn(days=8)) == 1


async def test_only_a_kept_plan_that_cannot_be_read_is_of_another_version(world: World) -> None:
    """Any other fault is named as it is."""
    world.answers, world.wrong = False, ValueError("the answer has no time")
    await world.turn(days=7.1)
    assert world.kept.fault == "ValueError: the answer has no time"
    with pytest.raises(ValidationError) as wrong:
        KeptQuietest.model_validate({})
    world.wrong = wrong.value
    await world.turn(hours=1.1)
    assert world.kept.fault == "what is kept is of another version of Shipway"


async def test_what_a_person_measures_meanwhile_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a plan that asks for something else."""
    new = kept_of(asking(plan_of(), SCRAPED, minutes=90))

    async def slow(kept: KeptQuietest, *, at: datetime) -> Any:
        keep_quietest(SERVICE, new)
        return await world.measure_again(kept, at=at)

    monkeypatch.setattr(measuring, "measure_again", slow)
    await world.turn(days=8)
    assert world.kept == new


@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_a_page_is_written_outside_of_a_run() -> None:
    """As `shipway windows PLAN --measure` does; the newest of a key is what the UI shows."""
    from prefect.artifacts import Artifact  # noqa: PLC0415 - it takes time that other tests need not pay

    for text in ("# a week", "# another one"):
        await quietest.write_page(text, key="quietest-of-a-test")
    found = await Artifact.aget("quietest-of-a-test")
    assert found is not None
    assert (found.type, found.data) == ("markdown", "# another one")
