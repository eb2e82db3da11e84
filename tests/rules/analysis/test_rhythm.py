"""The rhythm of a week: quiet windows by the wall, what was not measured is not quiet, and whether a canary decides there."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.analysis.forecast import Traffic, forecast
from tasks.rules.analysis.rhythm import (
    LEAST_WEEKS,
    SLOT_MINUTES,
    SLOTS,
    Quiet,
    Slot,
    best_of_each_day,
    probe_minutes,
    profile,
    quiet_windows,
    rate_to_judge,
)
from tasks.rules.plan.judgement import Judgement
from tasks.rules.plan.plan import Step
from tasks.rules.windows.holidays import is_holiday
from tests.rules.windows.oracle import utc

MONDAY = utc(2026, 9, 28)
QUARTER = timedelta(minutes=SLOT_MINUTES)


def traffic(requests: Callable[[datetime], float | None], *, zone: str = "UTC", weeks: int = 8) -> list[tuple[float, float]]:
    """Make weeks of traffic, by the wall of a zone; None was not measured."""
    moments = [MONDAY + QUARTER * number for number in range(weeks * SLOTS)]
    made = [(moment.timestamp(), requests(moment.astimezone(ZoneInfo(zone)))) for moment in moments]
    return [(at, number) for at, number in made if number is not None]


def daily(wall: datetime) -> float:
    """Follow people: most at 15:00, least at 03:00."""
    return 1_000 * (1 - math.cos((wall.hour - 3 + wall.minute / 60) / 24 * 2 * math.pi)) + 50


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_the_quietest_hour_is_found_by_the_wall_of_the_zone(zone: str) -> None:
    """Also over the night on which clocks change, and with offsets of half and a quarter of an hour."""
    week = profile(traffic(daily, zone=zone), zone=zone)
    best = best_of_each_day(quiet_windows(week, minutes=60))
    assert len(best) == 7
    assert {one.minute % 1_440 for one in best} == {2 * 60 + 30}
    assert {one.words.partition(" ")[2] for one in best} == {"02:30–03:30"}


def test_a_busy_night_of_the_week_is_not_proposed() -> None:
    """A batch each Sunday at three; the other nights stay."""
    week = profile(traffic(lambda wall: 90_000 if wall.weekday() == 6 and wall.hour == 3 else daily(wall)), zone="UTC")
    windows = quiet_windows(week, minutes=60)
    assert windows[0].minute // 1_440 != 6
    sunday = next(one for one in best_of_each_day(windows) if one.minute // 1_440 == 6)
    assert sunday.words == "Sun 02:00–03:00"


def test_what_was_not_measured_is_not_quiet() -> None:
    """Prometheus was away each night: the nights are not known, and none of them is proposed; a measured zero is."""
    away = profile(traffic(lambda wall: None if wall.hour < 6 else daily(wall)), zone="UTC")
    assert away[0] is None
    assert all(6 * 60 <= one.minute % 1_440 <= 23 * 60 for one in quiet_windows(away, minutes=60))
    zero = profile(traffic(lambda wall: 0 if wall.hour < 6 else daily(wall)), zone="UTC")
    assert quiet_windows(zero, minutes=60)[0].expected == 0
    assert quiet_windows(profile([], zone="UTC"), minutes=60) == []


def test_public_holidays_are_a_kind_of_day_of_their_own() -> None:
    """They make no day of the week look quiet, and are not proposed: they do not come each week."""
    third = date(2026, 10, 3)  # a Saturday, the day of German unity

    def requests(wall: datetime) -> float:
        return 1.0 if wall.date() == third else daily(wall) * (1 if wall.weekday() == 5 else 2)

    points = traffic(requests, zone="Europe/Berlin", weeks=3)
    mixed, apart = (
        profile(points, zone="Europe/Berlin", is_holiday=one) for one in (None, lambda day: is_holiday(day, country="DE", subdivision="BE"))
    )
    assert (len(mixed), len(apart)) == (SLOTS, SLOTS + 96)
    assert apart[SLOTS:] == [Slot(1.0, 1.0, 1)] * 96
    saturday, usual = slice(5 * 96, 6 * 96), [daily(utc(2026, 10, 10) + QUARTER * number) for number in range(96)]
    assert [slot and slot.mean for slot in apart[saturday]] == pytest.approx(usual)
    assert [slot and slot.weeks for slot in apart[saturday]] == [2] * 96
    assert mixed[saturday] != apart[saturday]
    assert {one.minute // 1_440 for one in quiet_windows(apart, minutes=60)} == set(range(7))
    never = profile(points, zone="Europe/Berlin", is_holiday=lambda _: False)
    assert never == mixed  # a row of a day that never was is not shown


def test_one_week_is_not_enough() -> None:
    """It may have been a holiday; two are."""
    for weeks, found in ((LEAST_WEEKS - 1, 0), (LEAST_WEEKS, SLOTS)):
        assert len(quiet_windows(profile(traffic(daily, weeks=weeks), zone="UTC"), minutes=60)) == found


def test_values_that_are_no_counts_are_not_measured() -> None:
    """As Prometheus may give them."""
    week = profile([(MONDAY.timestamp(), value) for value in (math.nan, math.inf, -1.0)], zone="UTC")
    assert week == [None] * SLOTS


@given(
    seed=st.integers(0, 10**6),
    minutes=st.integers(5, 24 * 60),
)
def test_the_quietest_window_is_that_of_a_count_by_minutes(seed: int, minutes: int) -> None:
    """Sliding over the whole week, around its end."""
    drawn = Random(seed)
    means = [None if drawn.random() < 0.02 else drawn.randint(0, 50) for _ in range(SLOTS)]
    week = [None if mean is None else Slot(float(mean), float(mean), 2) for mean in means]
    by_minute = [None if mean is None else mean / SLOT_MINUTES for mean in means for _ in range(SLOT_MINUTES)]
    twice = [*by_minute, *by_minute]
    found = {one.minute: one.expected for one in quiet_windows(week, minutes=minutes)}
    for start in range(0, SLOTS * SLOT_MINUTES, SLOT_MINUTES * 67):
        span = twice[start : start + minutes]
        covered = twice[start : start + math.ceil(minutes / SLOT_MINUTES) * SLOT_MINUTES]
        if None in covered:
            assert start not in found
        else:
            assert found[start] == pytest.approx(sum(one for one in span if one is not None))
    assert list(found.values()) == sorted(found.values())


@pytest.mark.parametrize(
    ("minute", "words", "begins"),
    [
        (2 * 60, "Mon 02:00–03:00", utc(2026, 12, 7, 1)),
        (22 * 60 + 30, "Mon 22:30–23:30", utc(2026, 11, 30, 21, 30)),
        (23 * 60 + 30, "Mon 23:30–Tue 00:30", utc(2026, 11, 30, 22, 30)),
        (6 * 1_440 + 23 * 60 + 30, "Sun 23:30–Mon 00:30", utc(2026, 12, 6, 22, 30)),
    ],
)
def test_a_window_says_when_it_is_and_when_it_begins_next(minute: int, words: str, begins: datetime) -> None:
    """From a Monday at one o'clock in Berlin on."""
    one = Quiet(minute, 60, 0, 0, 8)
    assert (one.words, one.next_begin(utc(2026, 11, 30, 12), "Europe/Berlin").astimezone(UTC)) == (words, begins)


def judgement(**more: Any) -> Judgement:
    """Judge errors, and let two steps be watched."""
    return Judgement.model_validate({"slis": [{"name": "errors", "indicator": "errors", "tolerance": 0.05, "limit": 0.2}], **more})


STEPS = [Step.model_validate({"percent": percent, "watch_seconds": seconds}) for percent, seconds in ((10, 600), (50, 300))]
SEEN = {"errors": Traffic(5.0, 10, 1_000)}


def test_the_rate_to_judge_is_that_of_the_forecast_of_a_release() -> None:
    """With it every step decides, and with a little less one does not."""
    rate = rate_to_judge(judgement(), STEPS, SEEN)
    for factor, decides in ((1.01, True), (0.98, False)):
        lines = forecast(judgement(), STEPS, {"errors": SEEN["errors"]._replace(per_second=rate * factor)})
        assert all(line.decides for line in lines) is decides


def test_probes_need_no_traffic_and_what_cannot_pass_has_no_rate() -> None:
    """And probes need a time of their own."""
    probe = {"name": "probed", "source": "probe", "indicator": "errors", "path": "/", "tolerance": 0.05, "limit": 0.2}
    assert rate_to_judge(judgement(slis=[probe]), STEPS, {}) == 0
    never = {"name": "errors", "indicator": "errors", "tolerance": 0.05, "limit": 0.2}
    assert rate_to_judge(judgement(slis=[never]), STEPS, {"errors": Traffic(5.0, 500, 1_000)}) == math.inf
    assert 1 < probe_minutes(judgement(), STEPS) < 1_000
    assert probe_minutes(judgement(interval_seconds=2), STEPS) == pytest.approx(2 * probe_minutes(judgement(), STEPS))
