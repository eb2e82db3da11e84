"""Windows that recur by a rule of RFC 5545: which days, both nights on which clocks change, and what is refused."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from tasks.rules.plan.file import read_plan
from tasks.rules.windows import rrule as of_rules
from tasks.rules.windows.ics import read_events
from tasks.rules.windows.rrule import rule_fault, starts_of
from tasks.rules.windows.window import Window, intervals
from tasks.rules.windows.words import times_in_words
from tests.rules.plan.test_file import MINIMAL
from tests.rules.windows.calendars import calendar
from tests.rules.windows.oracle import utc

NIGHT = datetime(2026, 1, 30, 22)  # noqa: DTZ001 - the wall's, the last Friday of January
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def of_rule(rule: str, first: datetime, zone: str = "Europe/Berlin", *, by_wall: bool = False, lasts: timedelta = HOUR) -> Window:
    """Make a window."""
    return Window("allow", zone, "quiet", "ada", lasts=lasts, by_wall=by_wall, begins=first, rrule=rule)


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=MONTHLY;BYDAY=-1FR", ["2026-01-30", "2026-02-27", "2026-03-27", "2026-04-24"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=2", ["2026-01-30", "2026-02-27"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20260301", ["2026-01-30", "2026-02-27"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20260227", ["2026-01-30", "2026-02-27"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20260227T220000", ["2026-01-30", "2026-02-27"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20260227T215959;COUNT=9", ["2026-01-30"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-01-30", "2026-02-27", "2026-03-31", "2026-04-30"]),
        ("FREQ=YEARLY;BYWEEKNO=5,-48;BYDAY=FR", ["2026-01-30", "2026-02-06"]),
        ("freq=weekly;interval=4", ["2026-01-30", "2026-02-27", "2026-03-27", "2026-04-24"]),
        ("FREQ=MONTHLY;BYMONTHDAY=30", ["2026-01-30", "2026-03-30", "2026-04-30"]),
    ],
)
def test_a_rule_gives_its_days(rule: str, days: list[str]) -> None:
    """From its first start on, also if one looks from long before."""
    found = starts_of(rule, NIGHT, datetime(2020, 1, 1), datetime(2026, 5, 1))  # noqa: DTZ001 - the wall's
    assert [f"{start:%Y-%m-%d}" for start in found] == days
    assert rule_fault(rule, NIGHT) is None


@pytest.mark.parametrize(
    ("zone", "first", "lasts", "by_wall", "wanted"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 2, 30), HOUR, False, (utc(2026, 3, 29, 1), utc(2026, 3, 29, 2))),  # noqa: DTZ001
        ("Europe/Berlin", datetime(2026, 10, 25, 2, 30), HOUR, False, (utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 30))),  # noqa: DTZ001
        ("Europe/Berlin", datetime(2026, 3, 28, 12), timedelta(days=1), True, (utc(2026, 3, 28, 11), utc(2026, 3, 29, 10))),  # noqa: DTZ001
        ("Australia/Adelaide", datetime(2026, 10, 4, 2, 30), HOUR, False, (utc(2026, 10, 3, 16, 30), utc(2026, 10, 3, 17, 30))),  # noqa: DTZ001
        ("Australia/Lord_Howe", datetime(2026, 4, 5, 1, 45), HOUR, False, (utc(2026, 4, 4, 14, 45), utc(2026, 4, 4, 15, 45))),  # noqa: DTZ001
    ],
)
def test_both_nights_are_right(zone: str, first: datetime, lasts: timedelta, by_wall: bool, wanted: tuple[datetime, datetime]) -> None:  # noqa: FBT001 - a column of the table
    """A start in the gap comes at the first instant behind it, a repeated hour takes its first, and days go by the wall."""
    window = of_rule("FREQ=YEARLY", first, zone, by_wall=by_wall, lasts=lasts)
    found = next(intervals(window, utc(first.year, first.month, 1), utc(first.year, first.month, 28) + 5 * DAY))
    assert (found.begin, found.end) == wanted


def test_it_opens_on_29_february_alone() -> None:
    """In leap years."""
    window = of_rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", datetime(2028, 2, 29, 3), "UTC")  # noqa: DTZ001 - the wall's
    assert [one.begin.year for one in intervals(window, utc(2026, 1, 1), utc(2037, 1, 1))] == [2028, 2032, 2036]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("FREQ=HOURLY", "`FREQ` must be DAILY"),
        ("BYDAY=MO", "`FREQ` must be DAILY"),
        ("FREQ=DAILY;BYHOUR=3", "`BYHOUR` cannot stand in the rule"),
        ("FREQ=YEARLY;BYEASTER=1", "`BYEASTER` cannot stand"),
        ("FREQ=DAILY;UNTIL=20270101T000000Z", "`UNTIL` must be a time of the wall"),
        ("FREQ=MONTHLY;BYDAY=-1MO", "`from` is 2026-01-30 22:00, which is not one of the days"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=3", "is not one of the days"),
        ("FREQ=DAILY;INTERVAL=0", "`INTERVAL` must be a whole number"),
        ("FREQ=DAILY;INTERVAL=x", "`INTERVAL` must be"),
        ("FREQ=DAILY;COUNT=0", "`COUNT` must be"),
        ("FREQ=DAILY;COUNT=x", "`COUNT` must be"),
        ("FREQ=DAILY;COUNT", "is not a rule"),
        ("FREQ=WEEKLY;BYDAY=MO;BYDAY=FR", "each once"),
        ("FREQ=WEEKLY;BYDAY=XX", "is not a rule"),
        ("FREQ=DAILY;UNTIL=x", "is not a rule"),
        ("RRULE:FREQ=DAILY", "is not a rule"),
        ("FREQ=DAILY\nFREQ=WEEKLY", "is not a rule"),
        ("", "is not a rule"),
    ],
)
def test_a_wrong_rule_is_said(rule: str, said: str) -> None:
    """Within a moment, also if it never fits."""
    begun = time.monotonic()
    assert said in (rule_fault(rule, NIGHT) or "nothing is wrong")
    assert time.monotonic() - begun < 1


MISREAD = [
    ("FREQ=WEEKLY;BYDAY=5FR", "`BYDAY=5FR` needs `FREQ=MONTHLY`"),
    ("FREQ=DAILY;BYDAY=-1FR", "`BYDAY=-1FR` needs `FREQ=MONTHLY`"),
    ("FREQ=YEARLY;BYWEEKNO=5;BYDAY=+1FR", "`YEARLY` without `BYWEEKNO`"),
    ("FREQ=MONTHLY;BYDAY=FR,-1MO", "`BYDAY=FR,-1MO` cannot be read: some of its days have a number"),
    ("FREQ=MONTHLY;BYDAY=-1FR,6FR", "`BYDAY=6FR` is on no day"),
    ("FREQ=YEARLY;BYDAY=5FR,54FR", "`BYDAY=54FR` is on no day"),
    ("FREQ=WEEKLY;BYDAY=TU,FR;BYSETPOS=1", "`BYSETPOS` cannot stand in a rule with `FREQ=WEEKLY`"),
    ("FREQ=WEEKLY;BYMONTHDAY=30", "`BYMONTHDAY` cannot stand"),
    ("FREQ=MONTHLY;BYMONTHDAY=0", "`BYMONTHDAY=0` cannot be read: it is a number from 1 to 31"),
    ("FREQ=MONTHLY;BYMONTHDAY=30,-32", "`BYMONTHDAY=-32` cannot be read"),
    ("FREQ=DAILY;BYMONTH=1,13", "`BYMONTH=13` cannot be read"),
    ("FREQ=YEARLY;BYWEEKNO=5,53;BYDAY=FR", "`BYWEEKNO=53` cannot be read"),
]


@pytest.mark.parametrize(("rule", "said"), MISREAD)
def test_a_rule_that_would_mean_other_days_is_refused_in_a_window_and_in_a_calendar(rule: str, said: str) -> None:
    """`dateutil` reads each of them as a rule: as every Friday, as no day at all, or as each day of the month."""
    assert said in (rule_fault(rule, NIGHT) or "nothing is wrong")
    event = calendar(f"DTSTART:20260130T220000|DURATION:PT1H|SUMMARY:freeze|RRULE:{rule}")
    with pytest.raises(BadInput, match=f"the event `freeze` of the calendar is wrong: .*{re.escape(said)}"):
        read_events(event, zone="UTC", since=utc(2026, 1, 1), until=utc(2026, 4, 1))


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["FREQ=DAILY", "INTERVAL=", "COUNT=-1", "BYDAY=", "UNTIL=9", "BYSETPOS=0", "=", "WKST=5"])).map(";".join)
)
def test_any_text_is_a_rule_or_said_to_be_none(rule: str) -> None:
    """Nothing else comes out."""
    if rule_fault(rule, NIGHT) is None:
        assert next(starts_of(rule, NIGHT, NIGHT, NIGHT)) == NIGHT


def test_a_plan_has_it_with_its_words_and_its_fix() -> None:
    """And a wrong one names its place."""
    window = '{rrule: "FREQ=MONTHLY;BYDAY=-1FR", from: "2026-01-30T22:00", duration_minutes: 240, zone: Europe/Berlin, reason: r, owner: o}'
    plan, problems = read_plan(f"{MINIMAL}windows: {{allow: [{window}]}}\n", name="p.yaml")
    assert plan is not None, problems
    (found,) = plan.windows.group("plan")
    assert times_in_words(found) == "`FREQ=MONTHLY;BYDAY=-1FR` from 2026-01-30 22:00 on for 240 min in Europe/Berlin"
    for wrong, said in [
        (window.replace("-1FR", "-1MO"), "windows.allow[0]: `from` is 2026-01-30 22:00, which is not one of the days"),
        (window.replace("duration_minutes: 240, ", ""), "windows.allow[0]: `rrule` needs one duration, and has 0"),
        (window.replace('from: "2026-01-30T22:00", ', ""), "windows.allow[0].from: `from` is missing"),
        (window.replace("01-30T", "02-30T"), "windows.allow[0].from: `2026-02-30T22:00` is not a date"),
    ]:
        plan, problems = read_plan(f"{MINIMAL}windows: {{allow: [{wrong}]}}\n", name="p.yaml")
        assert plan is None
        assert said in "\n".join(map(str, problems))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("rule", ["FREQ=WEEKLY;UNTIL=20270301T220000", "FREQ=DAILY;UNTIL=20270101", "FREQ=DAILY;COUNT=50", "FREQ=WEEKLY"])
def test_two_windows_and_two_threads_share_a_rule_without_waiting_for_each_other(rule: str) -> None:
    """Plan and policy may have the same one, two targets look at once, and no look hangs."""
    at, first = datetime(2026, 11, 30, 12, tzinfo=UTC), datetime(2026, 11, 6, 22)  # noqa: DTZ001 - by the wall
    windows = [
        Window("deny", zone, "freeze", "ada", rrule=rule, begins=first, lasts=timedelta(hours=4)) for zone in ("Europe/Berlin", "UTC")
    ]

    def look() -> list[datetime]:
        both = [intervals(one, at, at + timedelta(days=120)) for one in windows]
        return [span.begin for pair in zip(*both, strict=False) for span in pair]

    for _ in range(20):
        of_rules._days.cache_clear()
        with ThreadPoolExecutor(2) as pool:
            one, other = (found.result(timeout=20) for found in [pool.submit(look), pool.submit(look)])
        assert one == other
