"""The quietest window: as a window of the week it can only make others stricter, and what is not known is closed."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.analysis.rhythm import Quiet
from tasks.rules.windows.decision import fault
from tasks.rules.windows.opening import look, openings
from tasks.rules.windows.quietest import (
    WEEK_MINUTES,
    Asked,
    Chosen,
    chosen_in_words,
    closed_window,
    is_due,
    moved_in_words,
    quietest_window,
    why_unknown,
)
from tasks.rules.windows.window import Window
from tasks.rules.windows.words import look_in_words, windows_name
from tests.rules.windows.oracle import utc

MONDAY = utc(2026, 11, 30, 12)
ASKED = Asked(minutes=60, zone="Europe/Berlin", counters={"production": "http_requests_total"})
TUESDAY_NIGHT = 1_440 + 150
NIGHTS = Window("allow", "Europe/Berlin", "at night", "ada", cron="0 22 * * *", lasts=timedelta(hours=8))


def chosen(minute: int = TUESDAY_NIGHT, *, at: datetime = MONDAY, asked: Asked = ASKED, **more: Any) -> Chosen:
    """Choose a window, by default one in which a canary can be judged."""
    numbers = {"expected": 1_234.0, "most": 1_500.0, "weeks": 8, "decides": True, "needed": 900.0}
    return Chosen(asked=asked, at=at, minute=minute, **(numbers | more))


@pytest.mark.parametrize(
    ("found", "days", "said"),
    [
        (None, 0, "was not measured on this machine"),
        (chosen(), 0, ""),
        (chosen(), 13.9, ""),
        (chosen(), 14.1, "more than 14 days ago, and could not be measured since: no answer"),
        (chosen(), -0.03, ""),
        (chosen(), -0.1, "still to come: look at the clock"),
        (chosen(asked=ASKED.model_copy(update={"minutes": 90})), 0, "for another length"),
        (chosen(asked=ASKED.model_copy(update={"zone": "UTC"})), 0, "for another length, zone"),
        (chosen(asked=ASKED.model_copy(update={"counters": {"production": "other"}})), 0, "counter"),
        (chosen(asked=ASKED.model_copy(update={"country": "DE"})), 0, "country"),
    ],
)
def test_what_is_not_known_is_closed_and_says_why(found: Chosen | None, days: float, said: str) -> None:
    """Never measured, for something else, too old, or by a clock that is wrong; never open instead."""
    at = MONDAY + timedelta(days=days)
    assert said in why_unknown(found, ASKED, at, fault="no answer")
    assert bool(why_unknown(found, ASKED, at)) == bool(said)
    seen = look([(quietest_window(found, ASKED, at, owner="shop-team", fault="no answer"),)], at)
    assert (seen.is_open, seen.until is None) == (False, bool(said))
    if said:
        words = look_in_words(seen)
        assert "the quietest time of the week is not known: " in words
        assert said in words
        assert words.endswith("(ask shop-team)")


def test_a_release_that_could_never_begin_is_told_why() -> None:
    """Before anything moves; it is not told to change windows that are not wrong."""
    groups = [(NIGHTS,), (closed_window("it was not measured", zone="UTC", owner="ada"),)]
    said = fault(groups, MONDAY, needed=timedelta(minutes=10), if_too_short="wait")
    assert said.endswith("the quietest time of the week is not known: it was not measured (ask ada)")


@given(
    minute=st.integers(0, WEEK_MINUTES // 15 - 1).map(lambda number: number * 15),
    minutes=st.integers(5, 1_440),
    zone=st.sampled_from(["Europe/Berlin", "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    at=st.integers(0, 365 * 1_440).map(lambda number: utc(2026, 1, 1) + timedelta(minutes=number)),
)
def test_the_window_begins_when_the_profile_says_also_when_clocks_change(minute: int, minutes: int, zone: str, at: datetime) -> None:
    """Whether the clock jumps, stands or repeats an hour; and it is exactly so long."""
    asked = ASKED.model_copy(update={"minutes": minutes, "zone": zone})
    window = quietest_window(chosen(minute, at=at, asked=asked), asked, at, owner="ada")
    begin = Quiet(minute, minutes, 0, 0, 8).next_begin(at, zone)
    found = next(one for one in openings([(window,)], at) if one.begin > at)
    assert (found.begin, found.lasts()) == (begin, timedelta(minutes=minutes))


@given(minute=st.integers(0, WEEK_MINUTES // 15 - 1).map(lambda number: number * 15), minutes=st.integers(5, 1_440))
def test_it_only_makes_other_windows_stricter(minute: int, minutes: int) -> None:
    """Whatever is open with it is open without it."""
    asked, end = ASKED.model_copy(update={"minutes": minutes}), MONDAY + timedelta(days=15)
    freeze = Window("deny", "UTC", "stocktaking", "ada", begins=datetime(2026, 12, 3), ends=datetime(2026, 12, 4))  # noqa: DTZ001 - the wall's
    groups = [(NIGHTS, freeze)]
    window = quietest_window(chosen(minute, asked=asked), asked, MONDAY, owner="ada")
    alone = [(one.begin, one.end) for one in takewhile(lambda one: one.begin < end, openings(groups, MONDAY))]
    for one in takewhile(lambda one: one.begin < end, openings([*groups, (window,)], MONDAY)):
        assert one.end is not None
        assert any(begin <= one.begin and closes is not None and one.end <= closes for begin, closes in alone)


def test_its_name_stays_until_it_moves() -> None:
    """An override of it is made over its words, and another week's measurement is not another window."""
    names = {
        windows_name([(quietest_window(found, ASKED, MONDAY + timedelta(days=9), owner="ada", fault=fault),)])
        for found in (chosen(), chosen(at=MONDAY + timedelta(days=7)))
        for fault in ("", "no answer")
    }
    assert len(names) == 1
    assert windows_name([(quietest_window(chosen(0), ASKED, MONDAY, owner="ada"),)]) not in names


@pytest.mark.parametrize(
    ("age_days", "tried_hours", "due"),
    [(6.9, 24, False), (7, 24, True), (7, 0.9, False), (7, 1, True), (20, 0, False), (20, 2, True), (20, -3, True), (-1, 5, True)],
)
def test_it_is_measured_again_after_a_week_and_then_each_hour(age_days: float, tried_hours: float, *, due: bool) -> None:
    """Not at each turn of the keeper; a try that is still to come, by a wrong clock, does not keep it from one."""
    assert is_due(chosen(at=MONDAY - timedelta(days=age_days)), MONDAY - timedelta(hours=tried_hours), MONDAY) is due


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "Tue 02:30–03:30 Europe/Berlin, about 1,234 requests and 1,500 at most, from 8 weeks; a canary can be judged then. Measured"),
        ({"quietest": "Mon 01:00–02:00"}, "(Mon 01:00–02:00 is quieter, and too quiet to judge)"),
        (
            {"decides": False, "needed": 9_000.0, "probe_minutes": 12.0},
            "too quiet to judge, like all other times: the steps need about 9,000; probes would need 12 min",
        ),
        ({"decides": False, "needed": None}, "a step cannot decide with any number of requests"),
    ],
)
def test_it_says_whether_a_canary_can_be_judged_in_it(more: dict[str, Any], said: str) -> None:
    """With what would do."""
    assert said in chosen_in_words(chosen(**more), MONDAY)


def test_its_age_is_said_if_it_was_not_measured_again() -> None:
    """And why."""
    assert "days ago" not in chosen_in_words(chosen(), MONDAY + timedelta(days=7.5))
    said = chosen_in_words(chosen(), MONDAY + timedelta(days=9), fault="no answer")
    assert said.endswith("Measured Mon 2026-11-30 12:00 UTC, 9 days ago; it counts for 14. The last try failed: no answer")


def test_it_is_said_that_it_moved() -> None:
    """Not if it was measured again and stayed."""
    assert moved_in_words("shop", chosen(), chosen(at=MONDAY + timedelta(days=7), weeks=9)) == ""
    assert moved_in_words("shop", chosen(), chosen(0)).startswith(
        "shop: the quietest window moved from Tue 02:30–03:30 Europe/Berlin to Mon 00:00–01:00 Europe/Berlin, with about 1,234 requests"
    )
