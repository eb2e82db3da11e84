"""Durations of a release: work and the three waits, which add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.record.durations import Durations, durations
from tasks.rules.record.entries import Entry, chain

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
ASKED = ("gate", {"suspends_until": "2026-11-30T16:00:00+00:00", "digest": "d"})
CLOSED = ("gate", {"waits_for": "window", "waits_until": "…", "suspends_until": "…", "held_by": ["windows:plan"]})
STEP_HELD = ("gate", {"held_by": ["0123456789ab"], "before": "shift"})
LOCKED = ("gate", {"waits_for": "queue", "suspends_until": ""})
GOES_ON = ("gate", {"digest": "d"})
WORKS = ("effect", {})
NOTE, ANSWER = ("note", {}), ("approval", {})


def record(*rows: tuple[str, dict[str, Any]], seconds: float | tuple[float, ...] = 10) -> list[Entry]:
    """Write a record whose entries follow each other after so many seconds, and close it."""
    found: list[Entry] = []
    at = AT
    for place, (kind, evidence) in enumerate([("opened", {}), *rows, ("closed", {})]):
        at += timedelta(seconds=seconds[place - 1] if isinstance(seconds, tuple) and place else seconds if place else 0)  # type: ignore[arg-type]
        given_kind: Any = kind
        found.append(chain(found[-1] if found else None, at=at, kind=given_kind, name=str(place), who="x", what="x", evidence=evidence))
    return found


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((WORKS,), Durations(20)),
        ((ASKED, ANSWER, NOTE, ANSWER, WORKS), Durations(20, people_seconds=40)),
        ((CLOSED, NOTE, GOES_ON, WORKS), Durations(30, window_seconds=20)),
        ((STEP_HELD, GOES_ON), Durations(20, window_seconds=10)),
        ((LOCKED, ("gate", {"waits_for": "queue", "suspends_until": ""}), WORKS), Durations(20, lock_seconds=20)),
        ((ASKED, CLOSED, ASKED, GOES_ON), Durations(20, people_seconds=20, window_seconds=10)),
        ((ASKED,), Durations(10, people_seconds=10)),
        ((NOTE, ANSWER), Durations(30)),
    ],
)
def test_a_gate_that_suspends_begins_a_wait_and_all_else_is_work(rows: Any, expected: Durations) -> None:
    """For people, for windows and holds, and for the lock, each apart; a gate that lets the release go on begins none."""
    assert durations(record(*rows)) == expected


@pytest.mark.parametrize("count", [0, 1])
def test_what_has_no_length_took_no_time(count: int) -> None:
    """As a record that was only opened."""
    assert durations(record()[:count]) == Durations()


@given(
    st.lists(st.sampled_from([ASKED, CLOSED, STEP_HELD, LOCKED, GOES_ON, WORKS, NOTE, ANSWER]), max_size=12),
    st.lists(st.integers(0, 10_000_000), min_size=13, max_size=13),
)
def test_the_parts_are_the_total(rows: list[Any], milliseconds: list[int]) -> None:
    """Whatever is waited for, and in which order, no time is lost or counted twice."""
    entries = record(*rows, seconds=tuple(one / 1_000 for one in milliseconds))
    found = durations(entries)
    whole = (datetime.fromisoformat(entries[-1].at) - datetime.fromisoformat(entries[0].at)).total_seconds()
    assert found.total_seconds == pytest.approx(whole, abs=0.01)
    assert min(found.work_seconds, found.people_seconds, found.window_seconds, found.lock_seconds) >= 0


def test_a_clock_that_went_back_takes_no_time_away() -> None:
    """The time until then stays as it was measured."""
    assert durations(record(WORKS, WORKS, seconds=(100, -50, 10))) == Durations(110)
