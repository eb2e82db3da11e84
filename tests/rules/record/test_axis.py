"""Ticks and numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.record.axis import clock, duration, percent, ratio_ticks, time_ticks


@given(st.floats(min_value=1e-7, max_value=1))
def test_ticks_of_ratios_cover_the_axis_with_a_handful(top: float) -> None:
    """They start at 0, reach the top and are few."""
    ticks = ratio_ticks(top)
    assert ticks[0] == 0
    assert ticks[-1] >= top * 0.999
    assert 3 <= len(ticks) <= 8


@given(st.floats(min_value=0.1, max_value=1e8))
def test_ticks_of_time_stay_inside_the_axis(end: float) -> None:
    """They are few, and none is beyond the end."""
    ticks = time_ticks(end)
    assert ticks[-1] <= end
    assert 1 <= len(ticks) <= 9


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.0921, "9.2 %"),
        (0.000543, "0.054 %"),
        (0.5, "50 %"),
        (0.05, "5 %"),
        (0.17460, "17 %"),
        (0.9996, "100 %"),
    ],
)
def test_percentages_have_two_digits(ratio: float, text: str) -> None:
    """Two significant digits, and none that says nothing."""
    assert percent(ratio).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.84, "0.8 s"),
        (9.97, "10 s"),
        (14, "14 s"),
        (125, "2 min 5 s"),
        (3_600, "1 h"),
        (12_030, "3 h 20 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    """At most two units."""
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "longest", "text"), [(45, 100, "45"), (90, 600, "1:30"), (7_500, 20_000, "2:05")])
def test_ticks_are_written_in_the_unit_of_their_axis(seconds: float, longest: float, text: str) -> None:
    """One unit an axis."""
    assert clock(seconds, longest_seconds=longest) == text
