"""A release that waits again says again what it waits for, who holds it, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.lifecycle import suspend, windows
from flows.lifecycle.context import Phase
from flows.lifecycle.windows import wait_while_frozen
from tasks.rules.record.entries import Entry
from tasks.rules.rollout.waiting import held_by, is_suspended_until, wait_in_words
from tasks.rules.windows.freeze import Hold
from tests.flows.test_held_steps import FROZEN, RUN, Kept, nothing
from tests.rules.policy.test_rules import plan_of

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def phase(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Give a release of a service that is frozen."""
    taken: Any = None
    found = Kept(RUN, 2, RUN, plan_of(), "shipway.yaml", ".", taken)
    monkeypatch.setattr(Kept, "entries", [])

    async def read(*_: Any) -> list[Entry]:
        return found.entries

    async def frozen(_phase: Phase) -> Hold:
        return FROZEN

    ways = {"read_entries": read, "what_freezes": frozen, "_name_of_holds": nothing, "wait_until": nothing, "now": lambda: AT}
    for name, way in {**ways, "check_not_stopped": nothing, "tell_what_is_over": nothing, "due_of": nothing}.items():
        monkeypatch.setattr(windows, name, way)
    monkeypatch.setattr(suspend, "read_entries", read)
    return found


@pytest.mark.parametrize("later", [timedelta(0), timedelta(minutes=1), timedelta(days=1)])
async def test_what_is_woken_while_it_is_frozen_still_says_why_it_waits(
    phase: Kept, monkeypatch: pytest.MonkeyPatch, later: timedelta
) -> None:
    """However often, and whatever else its record says in between; an override finds by it what holds the release."""
    for number in range(3):
        monkeypatch.setattr(windows, "now", lambda moment=AT + number * later: moment)
        await wait_while_frozen(phase)
        assert held_by(phase.entries) == list(FROZEN.by)
        assert FROZEN.why in wait_in_words(phase.entries)
        assert is_suspended_until(phase.entries, AT + number * later + windows.LOOK_AGAIN)
        await phase.append("woken", kind="note", name=f"note {number}")
