"""Openings: tables of single questions, with times that can be checked by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from tasks.rules.windows import opening
from tasks.rules.windows.decision import fault
from tasks.rules.windows.opening import cut_at, longest_opening, look, next_opening, stretches
from tasks.rules.windows.window import Kind, Window, intervals
from tests.rules.windows.oracle import utc


def every(cron: str, kind: Kind = "allow", *, zone: str = "Europe/Berlin", reason: str = "quiet", **lasts: int) -> Window:
    """Make a window that recurs."""
    return Window(kind, zone, reason, "ada", cron=cron, lasts=timedelta(**lasts), by_wall="days" in lasts)


def once(begins: str, ends: str, kind: Kind = "deny", *, zone: str = "Europe/Berlin") -> Window:
    """Make a window of one time, open at a side whose time is empty."""
    times: dict[str, Any] = {name: datetime.fromisoformat(text) if text else None for name, text in (("begins", begins), ("ends", ends))}
    return Window(kind, zone, "Christmas", "bob", **times)


NIGHTLY = every("0 22 * * 1-5", minutes=240)


@pytest.mark.parametrize(
    ("windows", "at", "is_open", "until"),
    [
        ([], utc(2026, 11, 29), True, None),
        ([NIGHTLY], utc(2026, 11, 30, 20, 59), False, utc(2026, 11, 30, 21)),  # Monday, 22:00 in Berlin
        ([NIGHTLY], utc(2026, 11, 30, 21), True, utc(2026, 12, 1, 1)),  # over midnight
        ([NIGHTLY], utc(2026, 12, 1, 1), False, utc(2026, 12, 1, 21)),  # the end is not part of it
        ([NIGHTLY], utc(2026, 12, 5, 0, 59), True, utc(2026, 12, 5, 1)),  # Friday's, on Saturday
        (
            [NIGHTLY, once("2026-12-20T00:00", "2027-01-02T00:00")],
            utc(2026, 12, 19, 12),
            False,
            utc(2027, 1, 1, 23),
        ),  # in the middle of Friday's
        ([once("2026-12-20T00:00", "2027-01-02T00:00")], utc(2026, 12, 1), True, utc(2026, 12, 19, 23)),
        ([once("2026-12-20T00:00", "")], utc(2027, 5, 1), False, None),
        ([once("", "2026-12-20T00:00")], utc(2026, 5, 1), False, utc(2026, 12, 19, 23)),
        ([NIGHTLY, every("30 22 * * *", "deny", minutes=60)], utc(2026, 11, 30, 21), True, utc(2026, 11, 30, 21, 30)),
        ([NIGHTLY, every("30 22 * * *", "deny", minutes=60)], utc(2026, 11, 30, 21, 30), False, utc(2026, 11, 30, 22, 30)),
        ([every("0 0 29 2 *", days=1)], utc(2026, 11, 29), False, utc(2028, 2, 28, 23)),
        ([every("30 2 * * *", minutes=60)], utc(2026, 3, 29, 0, 30), False, utc(2026, 3, 29, 1)),  # the gap: 03:00 for an hour
        ([every("30 2 * * *", minutes=60)], utc(2026, 3, 29, 1), True, utc(2026, 3, 29, 2)),
        ([every("30 2 * * *", minutes=60)], utc(2026, 10, 25, 0, 30), True, utc(2026, 10, 25, 1, 30)),  # the first 02:30, for an hour
        ([every("0 12 * * *", days=1)], utc(2026, 10, 24, 10), True, None),  # each day until the next one
        ([every("0 12 24 10 *", days=1)], utc(2026, 10, 24, 10), True, utc(2026, 10, 25, 11)),  # 25 hours
        ([every("0 12 24 10 *", minutes=1440)], utc(2026, 10, 24, 10), True, utc(2026, 10, 25, 10)),  # 24 hours
        ([every("0 0 1 * *", days=31)], utc(2026, 2, 1), True, None),  # longer than its period
        ([every("0 3 * * *", "allow", zone="Asia/Kolkata", minutes=60)], utc(2026, 11, 29), False, utc(2026, 11, 29, 21, 30)),
    ],
)
def test_one_look_says_if_and_until_when(windows: list[Window], at: datetime, *, is_open: bool, until: datetime | None) -> None:
    """Allow and deny windows, of one time and recurring."""
    found = look([tuple(windows)], at)
    assert (found.is_open, found.until) == (is_open, until)


def test_it_is_open_only_where_every_group_is() -> None:
    """The plan's windows and every policy's."""
    plan, policy = (every("0 20 * * *", minutes=180),), (every("0 22 * * *", minutes=180),)
    assert [look([plan, policy], utc(2026, 11, 29, hour)).is_open for hour in (19, 20, 21, 22)] == [False, False, True, False]


def test_the_reason_names_the_window() -> None:
    """A freeze goes before the windows that are not open; open, those that are."""
    freeze = once("2026-12-20T00:00", "2027-01-02T00:00")
    assert look([(NIGHTLY, freeze)], utc(2026, 12, 21, 12)).because == (freeze,)
    assert look([(NIGHTLY, freeze)], utc(2026, 12, 1, 12)).because == (NIGHTLY,)
    assert look([(NIGHTLY, freeze)], utc(2026, 12, 1, 22)).because == (NIGHTLY,)


def test_a_window_that_is_too_short_is_passed_over() -> None:
    """The next one that is open for long enough; none where no window is."""
    windows = (every("0 1 * * *", minutes=30), every("0 3 * * 0", minutes=120))
    found = next_opening([windows], utc(2026, 11, 30), needed=timedelta(hours=1))
    assert found is not None
    assert (found.begin, found.end) == (utc(2026, 12, 6, 2), utc(2026, 12, 6, 4))
    assert next_opening([windows], utc(2026, 11, 30), needed=timedelta(hours=3)) is None
    assert longest_opening([windows], utc(2026, 11, 30)) == timedelta(hours=2)


def test_windows_that_touch_are_one_opening() -> None:
    """Two hours in two windows are two hours."""
    windows = (every("0 1 * * *", minutes=60), every("0 2 * * *", minutes=60))
    found = next_opening([windows], utc(2026, 11, 30), needed=timedelta(hours=2))
    assert found is not None
    assert (found.begin, found.end) == (utc(2026, 11, 30), utc(2026, 11, 30, 2))


@pytest.mark.parametrize(
    "windows",
    [
        [every("0 3 * * *", minutes=60), every("0 0 * * *", "deny", days=1)],
        [once("2020-01-01T00:00", "2020-01-02T00:00", "allow")],
        [once("2026-03-29T02:10", "2026-03-29T02:50", "allow")],  # all of it in the gap
        [every("*/2 * * * *", minutes=1), every("*/2 * * * *", "deny", minutes=1)],
        [every("0 0 * 2 2#5", days=1)],  # the fifth Tuesday of a February, in 2028 and in 28 years
    ],
)
def test_what_never_opens_is_found(windows: list[Window]) -> None:
    """Within two years."""
    found = look([tuple(windows)], utc(2028, 3, 1))
    assert (found.is_open, found.until) == (False, None)
    assert longest_opening([tuple(windows)], utc(2028, 3, 1)) == timedelta()


@pytest.mark.parametrize(
    "windows",
    [
        [every("* * * * *", minutes=1)],
        [every("* * * * *", days=366)],
        [every("*/2 * * * *", minutes=1), every("*/2 * * * *", "deny", minutes=1)],
        [every("* * * * *", "deny", minutes=5)],
        [*[every(f"{number} 1 * * *", minutes=30) for number in range(25)], *[every("0 2 * * *", "deny", minutes=60)] * 25],
        [every(f"{number % 59}-59/7 * * * *", "allow" if number % 2 else "deny", minutes=1) for number in range(100)],
        [every(f"{number % 59}-59/7 * * * *", "allow" if number % 2 else "deny", minutes=1) for number in range(1_000)],
        [once("2026-11-01T00:00", "2028-10-01T00:00"), *[every(f"{number}-59/7 * * * *", minutes=1) for number in range(50)]],
        [once("2026-11-01T00:00", "2028-10-01T00:00"), *[every(f"{number % 59}-59/7 * * * *", minutes=1) for number in range(1_000)]],
    ],
)
def test_the_cost_is_bounded(windows: list[Window]) -> None:
    """All of two years, in processor time; of 1,000 windows, or one of each minute, or many behind a long freeze.

    It takes a second and a half at most, and three times as long while the coverage is measured.
    """
    begun = time.process_time()
    list(islice(stretches([tuple(windows)], utc(2026, 11, 29)), 1_000_000))
    assert time.process_time() - begun < 10


def test_what_is_too_much_to_look_through_is_closed_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a moment on, by the number of windows and of their openings; what opens before counts."""
    rare, often = every("0 0 1 * *", minutes=120), every("*/10 * * * *", minutes=1)
    at, hour = utc(2026, 11, 29, 12), timedelta(hours=1)
    whole = next_opening([(rare, often)], at, needed=hour)
    assert whole is not None
    assert (whole.begin, cut_at([(rare, often)], at)) == (utc(2026, 11, 30, 23), utc(2027, 4, 17, 9, 11))
    monkeypatch.setattr(opening, "MOST_LOOKS", 40)
    cut = cut_at([(rare, often)], at)
    assert cut is not None
    assert cut - at < timedelta(hours=4)
    assert next_opening([(rare, often)], at, needed=hour) is None
    assert next_opening([(rare, often)], utc(2026, 11, 30, 23), needed=hour) == whole
    said = fault([(rare, often)], at, needed=hour, if_too_short="wait")
    assert "the longest opening is 1 min. The windows have too many openings: those from Sun 2026-11-29 " in said
    assert cut_at([(every("0 0 1 1 *", minutes=120),)], at) is None


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Sydney", "America/New_York"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 * * * *", "15,45 1-3 * * *", "*/20 2 * * *", "0 0 * * 0"])
def test_starts_are_those_of_cronsim(zone: str, cron: str) -> None:
    """Where clocks change by whole hours, over a year with both nights."""
    since = utc(2026, 1, 1)
    simulated = CronSim(cron, since.astimezone(ZoneInfo(zone)))
    wanted = sorted({moment.astimezone(UTC) for moment in islice(simulated, 3_000) if moment < utc(2027, 1, 1)})
    found = [one.begin for one in intervals(every(cron, zone=zone, minutes=1), since, utc(2027, 1, 1)) if one.begin > since]
    assert found[: len(wanted)] == wanted
