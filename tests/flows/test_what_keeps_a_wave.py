"""What keeps a wave from its begin: windows by their name, its own schedule, a freeze; and what an override of them does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blocks.errors import Refused, Skipped
from flows.commands.override import _expect_held
from flows.lifecycle import suspend, windows
from flows.lifecycle.context import Phase
from flows.lifecycle.windows import Waits, _what_keeps, expect_in_time
from tasks.rules.policy.windows import groups_of
from tasks.rules.record.entries import Entry
from tasks.rules.windows.freeze import SCHEDULE, Hold
from tasks.rules.windows.schedule import Due
from tasks.rules.windows.words import windows_name
from tests.flows.test_held_steps import FROZEN, RUN, Kept, nothing
from tests.rules.policy.test_rules import plan_of, policy_of

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLOSED = {"deny": [{"from": "2026-11-01", "until": "2026-12-10", "zone": "UTC", "reason": "stocktaking", "owner": "platform"}]}


class World:
    """What one test sets."""

    def __init__(self) -> None:
        """Begin with nothing that holds."""
        self.aside: set[str] = set()
        self.due: Due | None = None
        self.frozen: Hold | None = None
        self.is_begun = False
        self.policies: tuple[Any, ...] = ()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Put the world in the place of server, platforms and files."""
    found = World()
    monkeypatch.setattr(Kept, "entries", [])

    def giving(name: str) -> Any:
        async def give(*_: Any) -> Any:
            return getattr(found, name)

        return give

    async def read(*_: Any) -> list[Entry]:
        return Kept.entries

    ways = {"what_is_set_aside": "aside", "due_of": "due", "what_freezes": "frozen", "is_begun": "is_begun"}
    for name, field in {**ways, "expect_policies_kept": "policies"}.items():
        monkeypatch.setattr(windows, name, giving(field))
    for name, way in {"read_entries": read, "now": lambda: AT, "wait_until": nothing}.items():
        monkeypatch.setattr(windows, name, way)
    monkeypatch.setattr(suspend, "read_entries", read)
    return found


def phase_of(**more: Any) -> Kept:
    """Give a release of a plan with these windows."""
    taken: Any = None
    return Kept(RUN, 1, RUN, plan_of(windows=more), "shipway.yaml", ".", taken)


async def keeps(phase: Phase, *, says: bool = True) -> Waits | None:
    """Say what keeps the first wave."""
    return await _what_keeps(phase, ["production"], says=says)


async def test_an_override_of_windows_counts_for_the_windows_that_there_were(world: World) -> None:
    """A window that is written into a policy afterwards holds the release again."""
    phase = phase_of(**CLOSED)
    found = await keeps(phase)
    assert found is not None
    world.aside = set(found.held_by)
    assert await keeps(phase) is None
    assert Kept.entries[-1].why.startswith("the windows are overridden: freeze of the plan")
    world.policies = (policy_of(windows={"deny": [{"from": "2026-11-30", "zone": "UTC", "reason": "incident", "owner": "platform"}]}),)
    again = await keeps(phase)
    assert again is not None
    assert again.held_by == (windows_name(groups_of(phase.plan, world.policies)),) != found.held_by


@pytest.mark.parametrize("more", [{}, CLOSED])
async def test_a_release_that_waits_for_its_own_time_is_not_held_by_a_window(world: World, more: dict[str, Any]) -> None:
    """So an override, which could change nothing, is refused, whatever it sets aside."""
    phase = phase_of(**more)
    world.due = Due(AT + 24 * 20 * HOUR, None)
    world.aside = {windows_name(groups_of(phase.plan, ()))}
    found = await keeps(phase)
    assert found is not None
    assert found.held_by == (SCHEDULE,)
    with pytest.raises(Refused, match="waits for the time that it was scheduled for"):
        _expect_held("release shop 1.1", list(found.held_by))


@pytest.mark.parametrize(("until", "skips"), [(None, False), (AT + HOUR, False), (AT + 3 * HOUR, True)])
async def test_a_freeze_that_outlasts_the_latest_moment_ends_a_scheduled_release(
    world: World, until: datetime | None, *, skips: bool
) -> None:
    """At once; one that may be lifted is waited for until that moment, not for days."""
    world.due, world.frozen = Due(None, AT + 2 * HOUR), FROZEN._replace(until=until)
    if skips:
        with pytest.raises(Skipped, match="0123456789ab"):
            await keeps(phase_of())
        return
    found = await keeps(phase_of())
    assert found is not None
    assert found.until == (until or AT + 2 * HOUR + timedelta(seconds=1))


async def test_a_wave_that_has_begun_is_not_skipped_and_says_whole_sentences(world: World) -> None:
    """Though its latest moment has passed: it finishes, or waits for what holds it."""
    world.due, world.is_begun = Due(None, AT - HOUR), True
    assert await keeps(phase_of(allow=[{**CLOSED["deny"][0]}])) is None
    assert Kept.entries[-1].what.startswith("Production is open until")
    world.frozen = FROZEN
    found = await keeps(phase_of())
    assert found is not None
    assert found.held_by == FROZEN.by


async def test_a_release_in_time_knows_what_is_overridden(world: World) -> None:
    """Windows that are closed until its latest moment skip it, unless they are set aside for it."""
    phase, world.due = phase_of(**CLOSED), Due(None, AT + HOUR)
    with pytest.raises(Skipped):
        await expect_in_time(phase)
    world.aside = {windows_name(groups_of(phase.plan, ()))}
    await expect_in_time(phase)
