"""Openings agree with an oracle that goes through every minute, on the nights on which clocks are changed and elsewhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.rules.windows.opening import Group, look, next_opening, stretches
from tasks.rules.windows.window import Window
from tests.rules.windows.oracle import MINUTE, open_minutes, utc

DAYS, BEFORE = 4, 3
SPANS = (
    ("Europe/Berlin", utc(2026, 3, 27)),
    ("Europe/Berlin", utc(2026, 10, 23)),
    ("Australia/Sydney", utc(2026, 4, 2)),
    ("Australia/Sydney", utc(2026, 10, 1)),
    ("Australia/Lord_Howe", utc(2026, 4, 2)),  # changes by half an hour
    ("Australia/Lord_Howe", utc(2026, 10, 1)),
    ("America/Sao_Paulo", utc(2018, 11, 1)),  # the gap is at midnight
    ("America/Sao_Paulo", utc(2018, 2, 15)),
    ("Asia/Kolkata", utc(2028, 2, 26)),
    ("UTC", utc(2026, 12, 29)),
)
HOURS = ("0", "1", "2", "2", "3", "23", "1-3", "22-23", "*/6", "*")
LINES = st.builds(
    "{} {} {} * {}".format,
    st.sampled_from(["0", "30", "59", "15,45", "*/15", "*"]),
    st.sampled_from(HOURS),
    st.sampled_from(["*", "*", "*", "29", "L", "1-5"]),
    st.sampled_from(["*", "*", "*", "0", "1-5", "SUN#1"]),
)
DURATIONS = st.one_of(
    st.sampled_from([1, 15, 30, 60, 61, 90, 180, 1500]).map(lambda minutes: (timedelta(minutes=minutes), False)),
    st.sampled_from([1, 2]).map(lambda days: (timedelta(days=days), True)),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Group], datetime]:
    """Draw groups of windows, all in the zone of one span, or one of them in another zone."""
    zone, since = draw(st.sampled_from(SPANS))

    def window() -> Window:
        lasts, by_wall = draw(DURATIONS)
        kind = draw(st.sampled_from(["allow", "allow", "deny"]))
        elsewhere = draw(st.sampled_from([zone, zone, zone, "UTC"]))
        return Window(kind, elsewhere, "quiet", "ada", cron=draw(LINES), lasts=lasts, by_wall=by_wall)

    groups = [tuple(window() for _ in range(draw(st.integers(0, 3)))) for _ in range(draw(st.integers(1, 2)))]
    return groups, since


def one(kind: str, cron: str, zone: str, since: datetime, **lasts: int) -> tuple[list[Group], datetime]:
    """Give a situation with one window."""
    return [(Window(kind, zone, "quiet", "ada", cron=cron, lasts=timedelta(**lasts), by_wall="days" in lasts),)], since  # type: ignore[arg-type]


@pytest.mark.slow
@given(situations())
@example(one("allow", "30 2 * * *", *SPANS[0], minutes=60))
@example(one("allow", "30 2 * * *", *SPANS[1], minutes=60))
@example(one("allow", "0 * * * *", *SPANS[1], minutes=30))
@example(one("deny", "*/10 3 * * *", *SPANS[5], minutes=10))
@example(one("allow", "15 2 * * *", *SPANS[5], minutes=10))
@example(one("allow", "0 0 * * *", *SPANS[6], days=1))
@example(one("deny", "30 23 * * *", *SPANS[7], minutes=60))
@example(one("allow", "0 0 29 2 *", *SPANS[8], days=1))
@example(one("allow", "* * * * *", *SPANS[2], minutes=1))
def test_every_minute_is_open_or_closed_as_the_oracle_says(situation: tuple[list[Group], datetime]) -> None:
    """Both nights in three zones that change, one by half an hour and one at midnight; overlaps; windows longer than their period."""
    groups, since = situation
    found = list(stretches(groups, since, horizon=timedelta(days=DAYS)))
    assert all(left.end == right.begin for left, right in pairwise(found))
    minutes, number = [], 0
    for moment in (since + MINUTE * passed for passed in range(DAYS * 1440)):
        while (end := found[number].end) is not None and end <= moment:
            number += 1
        minutes.append(found[number].is_open)
    assert minutes == open_minutes(groups, since, days=DAYS, before=BEFORE)


@pytest.mark.slow
@given(situations(), st.integers(0, 1440 * 3))
def test_one_look_agrees_with_what_comes_later(situation: tuple[list[Group], datetime], minute: int) -> None:
    """It says when it opens or closes: until then nothing changes, and then it does."""
    groups, since = situation
    at = since + MINUTE * minute
    seen = look(groups, at)
    opened = next_opening(groups, at)
    assert (opened is not None and opened.begin == at) == seen.is_open
    minutes = open_minutes(groups, since, days=DAYS, before=BEFORE)[minute:]
    assert seen.is_open == minutes[0]
    lasts = next((number for number, is_open in enumerate(minutes) if is_open != minutes[0]), None)
    if lasts is not None:
        assert seen.until == at + MINUTE * lasts
    else:
        assert seen.until is None or seen.until >= at + MINUTE * len(minutes)
