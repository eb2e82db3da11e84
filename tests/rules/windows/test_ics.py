"""Calendars as windows: when their events take place, on both daylight-saving nights, and what is refused."""

from __future__ import annotations

import sys
import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blocks.errors import BadInput
from tasks.rules.windows import ics, ics_text
from tasks.rules.windows.ics import read_events
from tasks.rules.windows.window import Interval, Window, intervals
from tests.rules.windows.calendars import calendar

BERLIN = "Europe/Berlin"
ONE = "DTSTART:20260302T120000Z|DURATION:PT1H|SUMMARY:freeze"


def found(*events: str, since: str, days: int = 1, zone: str = BERLIN) -> list[str]:
    """Read a calendar from a day on, and write its occurrences: their begin and end in UTC, and their title."""
    begin = datetime.fromisoformat(since).replace(tzinfo=UTC)
    spans = read_events(calendar(*events), zone=zone, since=begin, until=begin + timedelta(days=days)).spans
    return [f"{one.begin:%d %H:%M} {one.end:%d %H:%M} {one.reason}".strip() for one in spans]


NIGHTS = [
    # The gap: 02:30 becomes 03:00, and lasts its whole hour; of the repeated hour the first 02:30 counts.
    (BERLIN, "023000", "PT1H", "2026-03-29", ["29 01:00 29 02:00"]),
    (BERLIN, "023000", "PT1H", "2026-10-25", ["25 00:30 25 01:30"]),
    # Hours are exact over the night, days end by the wall.
    (BERLIN, "220000", "PT6H", "2026-03-28T12:00", ["28 21:00 29 03:00"]),
    (BERLIN, "220000", "PT6H", "2026-10-24T12:00", ["24 20:00 25 02:00"]),
    (BERLIN, "220000", "PT24H", "2026-03-28T21:00", ["28 21:00 29 21:00"]),
    (BERLIN, "220000", "PT48H", "2026-03-28T21:00", ["28 21:00 30 21:00"]),
    (BERLIN, "220000", "PT48H", "2026-10-24T20:00", ["24 20:00 26 20:00"]),
    (BERLIN, "220000", "P1DT12H", "2026-03-28T21:00", ["28 21:00 30 08:00"]),
    (BERLIN, "220000", "P1W", "2026-03-28T21:00", ["28 21:00 04 20:00"]),
    (BERLIN, "220000", "P1D", "2026-03-28T21:00", ["28 21:00 29 20:00"]),
    (BERLIN, "220000", "P1D", "2026-10-24T20:00", ["24 20:00 25 21:00"]),
    # South of the equator, with half an hour beside full ones: clocks go forward in October, and back in April.
    ("Australia/Adelaide", "023000", "PT1H", "2026-10-03T16:00", ["03 16:30 03 17:30"]),
    ("Australia/Adelaide", "023000", "PT1H", "2026-04-04T15:30", ["04 16:00 04 17:00"]),
    ("Australia/Adelaide", "220000", "PT6H", "2026-10-03T12:00", ["03 12:30 03 18:30"]),
    # And by half an hour.
    ("Australia/Lord_Howe", "021500", "PT1H", "2026-10-03T15:00", ["03 15:30 03 16:30"]),
    ("Australia/Lord_Howe", "014500", "PT1H", "2026-04-04T14:30", ["04 14:45 04 15:45"]),
    ("Australia/Lord_Howe", "220000", "P1D", "2026-10-03T11:00", ["03 11:30 04 11:00"]),
]


@pytest.mark.parametrize(("zone", "start", "lasts", "since", "wanted"), NIGHTS)
def test_both_daylight_saving_nights_are_right(zone: str, start: str, lasts: str, since: str, wanted: list[str]) -> None:
    """Of an event that recurs daily since January, in zones of both hemispheres."""
    event = f"DTSTART;TZID={zone}:20260101T{start}|DURATION:{lasts}|RRULE:FREQ=DAILY"
    assert [one for one in found(event, since=since, days=1) if one.startswith(wanted[0][:8])] == wanted


def test_the_periods_of_a_calendar_are_exact_in_hours_and_days_by_the_wall() -> None:
    """As the event's own duration is, whichever the event has; one that writes its end ends then."""
    dates = "20260328T200000/PT24H,20260328T210000/P1D,20260328T220000/20260329T220000"
    event = f"DTSTART;TZID={BERLIN}:20260301T120000|DURATION:P1D|RDATE;VALUE=PERIOD;TZID={BERLIN}:{dates}"
    assert found(event, since="2026-03-28T12:00") == ["28 19:00 29 19:00", "28 20:00 29 19:00", "28 21:00 29 20:00"]


def test_the_digest_knows_a_day_from_24_hours() -> None:
    """Else an override of one would hold for the other."""
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    event = f"DTSTART;TZID={BERLIN}:20260328T200000|DURATION:P1D"
    read = [
        read_events(calendar(one), zone=BERLIN, since=begin, until=begin + timedelta(days=60))
        for one in (event, event.replace("P1D", "PT24H"))
    ]
    assert read[0].digest != read[1].digest


@pytest.mark.parametrize("zone", [BERLIN, "Australia/Adelaide", "Australia/Lord_Howe"])
@pytest.mark.parametrize("minute", [0, 15, 30, 59])
def test_an_hourly_event_is_the_window_of_the_same_cron_line(zone: str, minute: int) -> None:
    """It takes both hours of a repeated one, else a freeze would be lifted for an hour, and none that does not exist."""
    event = f"DTSTART;TZID={zone}:20260101T00{minute:02}00|DURATION:PT10M|RRULE:FREQ=HOURLY"
    line = Window("deny", zone, "r", "o", cron=f"{minute} * * * *", lasts=timedelta(minutes=10))
    for day in ("2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24"):
        since = datetime.fromisoformat(day).replace(tzinfo=UTC)
        until = since + timedelta(days=2)
        wanted = [one for one in intervals(line, since, until) if one.begin < until]
        assert list(read_events(calendar(event), zone=zone, since=since, until=until).spans) == wanted


@pytest.mark.parametrize("start", ["000000", "020000", "023000"])
@pytest.mark.parametrize("hours", [2, 3, 6, 12, 24])
def test_a_freeze_of_some_hours_that_follows_itself_is_not_lifted_where_an_hour_is_left_out(start: str, hours: int) -> None:
    """One whose hour does not exist begins when that hour is over."""
    event = f"DTSTART;TZID={BERLIN}:20260101T{start}|DURATION:PT{hours}H|RRULE:FREQ=HOURLY;INTERVAL={hours}"
    since, until = datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
    covered = since
    for span in sorted(read_events(calendar(event), zone=BERLIN, since=since, until=until).spans, key=lambda one: one.begin):
        assert span.begin <= covered
        covered = max(covered, span.end)
    assert covered >= until


def test_the_order_of_an_events_lines_is_not_in_the_digest() -> None:
    """A server may write them in another one each time, which would void overrides."""
    since = datetime(2026, 3, 1, tzinfo=UTC)
    lines = [f"DTSTART;TZID={BERLIN}:20260328T200000", "DURATION:P1D", "RRULE:FREQ=DAILY;COUNT=3"]
    digests = {
        read_events(calendar("|".join(order)), zone=BERLIN, since=since, until=since + timedelta(days=60)).digest
        for order in (lines, [lines[0], lines[2], lines[1]])
    }
    assert len(digests) == 1


def test_a_time_in_utc_names_the_occurrence_that_the_wall_has_in_the_gap() -> None:
    """Servers that write EXDATE and RECURRENCE-ID in UTC take the 02:30 that does not exist by the clock before: it is 01:30 in UTC."""
    event = f"UID:a|DTSTART;TZID={BERLIN}:20260327T023000|DURATION:PT1H|RRULE:FREQ=DAILY;COUNT=4"
    moved = "UID:a|RECURRENCE-ID:20260329T013000Z|DTSTART:20260329T100000Z|DURATION:PT1H|SUMMARY:moved"
    assert found(event, since="2026-03-28", days=3) == ["28 01:30 28 02:30", "29 01:00 29 02:00", "30 00:30 30 01:30"]
    assert found(f"{event}|EXDATE:20260329T013000Z", since="2026-03-28", days=3) == ["28 01:30 28 02:30", "30 00:30 30 01:30"]
    assert found(event, moved, since="2026-03-28", days=3) == ["28 01:30 28 02:30", "29 10:00 29 11:00 moved", "30 00:30 30 01:30"]
    later = event.replace("023000", "033000")  # which takes place at that moment, and is meant by it, too
    assert found(f"{later}|EXDATE:20260329T013000Z", since="2026-03-29") == []
    assert found(later, moved, since="2026-03-29") == ["29 10:00 29 11:00 moved"]


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        (["DTSTART;VALUE=DATE:20260302|SUMMARY:day"], ["01 23:00 02 23:00 day"]),
        (["DTSTART;VALUE=DATE:20260302|DTEND;VALUE=DATE:20260304"], ["01 23:00 03 23:00"]),
        (["DTSTART:20260302T120000|DURATION:PT1H|SUMMARY:floating"], ["02 11:00 02 12:00 floating"]),
        (["DTSTART:20260302T120000Z|DTEND:20260302T130000Z|SUMMARY:utc"], ["02 12:00 02 13:00 utc"]),
        (["DTSTART;TZID=America/New_York:20260302T120000|DTEND;TZID=Europe/Berlin:20260302T190000"], ["02 17:00 02 18:00"]),
        (["DTSTART;TZID=W. Europe Standard Time:20260302T120000|DURATION:PT1H"], ["02 11:00 02 12:00"]),
        (["DTSTART;TZID=/mozilla.org/20070129_1/Europe/Berlin:20260302T120000|DURATION:PT1H"], ["02 11:00 02 12:00"]),
        (["DTSTART:20260302T120000|SUMMARY:without a length"], []),
        (["DTSTART:20260302T120000|DURATION:PT1H|STATUS:CANCELLED"], []),
        (["DTSTART:20260302T120000Z|DURATION:PT1H|SUMMARY:a\\, b"], ["02 12:00 02 13:00 a, b"]),
        (
            ["DTSTART:20260302T120000Z|DURATION:PT1H|UID:a", "DTSTART:20260303T120000Z|DURATION:PT1H|UID:a"],
            ["02 12:00 02 13:00", "03 12:00 03 13:00"],
        ),
        (
            ["DTSTART:20260302T120000Z|DURATION:PT1H|SEQUENCE:1|UID:a", "DTSTART:20260303T120000Z|DURATION:PT1H|SEQUENCE:2|UID:a"],
            ["03 12:00 03 13:00"],
        ),
        (
            ["DTSTART:20260301T120000|DURATION:PT1H|RRULE:FREQ=DAILY;UNTIL=20260304T110000Z|EXDATE:20260303T120000"],
            ["01 11:00 01 12:00", "02 11:00 02 12:00", "04 11:00 04 12:00"],
        ),
        (["DTSTART;VALUE=DATE:20260301|DTEND;VALUE=DATE:20260301|RRULE:FREQ=DAILY;COUNT=2"], ["28 23:00 01 23:00", "01 23:00 02 23:00"]),
        (["DTSTART:20260301T120000|DTEND:20260301T120000"], []),
        (["DTSTART:20260301T120000|DURATION:PT1H|RRULE:FREQ=DAILY;COUNT=2"], ["01 11:00 01 12:00", "02 11:00 02 12:00"]),
        (
            ["DTSTART:20260301T120000|DURATION:PT1H|RRULE:FREQ=DAILY;COUNT=3|EXDATE;VALUE=DATE:20260302"],
            ["01 11:00 01 12:00", "03 11:00 03 12:00"],
        ),
        (
            ["DTSTART:20260301T120000|DURATION:PT1H|RDATE:20260302T150000|RDATE;VALUE=PERIOD:20260303T000000Z/PT3H"],
            ["01 11:00 01 12:00", "02 14:00 02 15:00", "03 00:00 03 03:00"],
        ),
        (
            [
                f"DTSTART;TZID={BERLIN}:20260301T120000|DURATION:PT1H|RRULE:FREQ=DAILY;COUNT=3|SUMMARY:daily",
                "RECURRENCE-ID:20260302T110000Z|DTSTART;TZID=America/New_York:20260302T120000|DURATION:PT2H|SUMMARY:moved",
                f"RECURRENCE-ID;TZID={BERLIN}:20260303T120000|DTSTART;TZID={BERLIN}:20260303T120000|STATUS:CANCELLED",
            ],
            ["01 11:00 01 12:00 daily", "02 17:00 02 19:00 moved"],
        ),
        (
            [
                "DTSTART;VALUE=DATE:20260301|RRULE:FREQ=DAILY;COUNT=2|SUMMARY:days",
                "RECURRENCE-ID;VALUE=DATE:20260302|DTSTART;VALUE=DATE:20260304|SUMMARY:later",
            ],
            ["28 23:00 01 23:00 days", "03 23:00 04 23:00 later"],
        ),
    ],
)
def test_events_take_place_when_the_calendar_says(events: list[str], wanted: list[str]) -> None:
    """Whole days, floating times, zones, recurrence, exceptions, and occurrences that were moved or cancelled."""
    assert found(*events, since="2026-03-01", days=5) == wanted


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is not a whole iCalendar file"),
        (b"<html><body>Sign in</body></html>", "See that the address is that of an iCalendar file"),
        (calendar("DTSTART:20260302T120000|DURATION:PT1H")[:-20], "it is not a whole iCalendar file"),
        (b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\n", "a part of it does not end: VCALENDAR ends where another one does"),
        (calendar(ONE).replace(b"END:VEVENT\r\n", b""), "a part of it does not end"),
        (
            calendar(ONE).replace(b"END:VCALENDAR", b"END:VCALENDAR\r\nBEGIN:VCALENDAR\r\nVERSION:2.0\r\nX:END:VCALENDAR"),
            "does not end: VCALENDAR",
        ),
        (calendar("DTSTART:20260302T120000|RRULE FREQ=DAILY|SUMMARY:odd"), "a line of it cannot be read"),
        (calendar("SUMMARY:\xff").replace(b"\xc3\xbf", b"\xff"), "it is not an iCalendar file"),
        (
            calendar("DTSTART;TZID=Mars/Base:20260302T120000|SUMMARY:landing"),
            "the event `landing` of the calendar is wrong: the time zone `Mars/Base` is not known. Let",
        ),
        (calendar("DTSTART;TZID=CET:20260302T120000"), "`CET` is not the name of a time zone. Let the calendar write IANA names"),
        (calendar("DTSTART:2026-03-02|SUMMARY:odd"), "the event `odd` of the calendar is wrong: its DTSTART cannot be read"),
        (calendar("DTSTART:20260302T120000|DTSTART:20260303T120000|SUMMARY:odd"), "it has several DTSTART"),
        (calendar("DTSTART:20260302T120000|DTEND:120000|SUMMARY:odd"), "it has a time without a day"),
        (calendar("SUMMARY:odd"), "the event `odd` of the calendar is wrong: it has no DTSTART"),
        (calendar("DTSTART:20260302T120000|DTEND:20260302T110000|SUMMARY:odd"), "the event `odd` of the calendar is wrong: it ends before"),
        (calendar("DTSTART:20260302T120000|DTEND;VALUE=DATE:20260302"), "it ends before it begins"),
        (calendar("DTSTART:20260302T120000|DURATION:-PT1H"), "it ends before it begins"),
        (calendar(f"{ONE}|RRULE:FREQ=DAILY;FREQ=WEEKLY;COUNT=9"), "its RRULE has `FREQ` twice"),
        (calendar(f"{ONE}|RRULE:FREQ=DAILY;UNTIL=20260303;until=20260401"), "its RRULE has `UNTIL` twice"),
        (calendar(f"{ONE}|RRULE:FREQ=DAILY,WEEKLY"), "its RRULE has several values of `FREQ`"),
        (calendar(f"{ONE}|RRULE:FREQ=DAILY;UNTIL=20260303T120000,20260401T120000"), "its RRULE has several values of `UNTIL`"),
        (calendar(f"{ONE}|RRULE:FREQ=DAILY;COUNT=0"), "the `COUNT` of its RRULE must be 1 or more"),
        (calendar(f"{ONE}|RRULE:FREQ=DAILY;INTERVAL=0"), "the `INTERVAL` of its RRULE must be 1 or more"),
        (calendar(f"{ONE}|RRULE:FREQ=DAILY|EXRULE:FREQ=DAILY;INTERVAL=2"), "it has an EXRULE, which is not read"),
        (calendar("DTSTART:20260302T120000|RRULE:FREQ=SECONDLY|SUMMARY:odd"), "it recurs SECONDLY, which is not read"),
        (calendar("DTSTART:20260302T120000|RRULE:FREQ=DAILY;BYFOO=3|SUMMARY:odd"), "recurs in a way that cannot be read"),
        (calendar("DTSTART:20260302T120000|EXDATE:tomorrow|SUMMARY:odd"), "its EXDATE cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(content: bytes, said: str) -> None:
    """A property that cannot be read makes the calendar broken: its event could be a freeze."""
    with pytest.raises(BadInput) as refused:
        read_events(content, zone=BERLIN, since=datetime(2026, 3, 1, tzinfo=UTC), until=datetime(2026, 4, 1, tzinfo=UTC))
    assert said in str(refused.value)


def test_a_calendar_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of events, and of their occurrences; a rule that never ends is cut off where the time ends that is looked at."""
    monkeypatch.setattr(ics_text, "MOST_EVENTS", 2)
    monkeypatch.setattr(ics, "MOST_OCCURRENCES", 100)
    with pytest.raises(BadInput, match="more than 2 events"):
        found(*["DTSTART:20260302T120000|DURATION:PT1H"] * 3, since="2026-03-01")
    endless = "DTSTART:20260101T120000|DURATION:PT1H|RRULE:FREQ=DAILY"
    assert len(found(endless, since="2026-03-01", days=100)) == 100
    with pytest.raises(BadInput, match="more than 100 occurrences in 101 days"):
        found(endless, since="2026-03-01", days=101)


def test_the_digest_is_that_of_what_the_calendar_says() -> None:
    """A server that writes its own moment into each answer changes nothing, another title or time does."""

    def digest(event: str) -> str:
        return read_events(
            calendar(event), zone=BERLIN, since=datetime(2026, 3, 1, tzinfo=UTC), until=datetime(2026, 4, 1, tzinfo=UTC)
        ).digest

    event = "DTSTART:20260302T120000|DURATION:PT1H|SUMMARY:a"
    assert digest(event) == digest(f"{event}|DTSTAMP:20260101T000000Z|LAST-MODIFIED:20260101T000000Z")
    assert (
        len({digest(event), digest(event.replace(":a", ":b")), digest(event.replace("1200", "1300")), digest(f"{event}|STATUS:CANCELLED")})
        == 4
    )


def test_without_zone_data_nothing_is_guessed() -> None:
    """The error names the package that is missing."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("tzdata", "tzdata.zoneinfo", "tzdata.zoneinfo.Europe"):
            patch.setitem(sys.modules, name, None)
        zoneinfo.reset_tzpath(to=())
        zoneinfo.ZoneInfo.clear_cache()
        try:
            with pytest.raises(BadInput, match="install the package tzdata"):
                found("DTSTART:20260302T120000|DURATION:PT1H", since="2026-03-01")
        finally:
            zoneinfo.reset_tzpath()
            zoneinfo.ZoneInfo.clear_cache()


@given(
    zone=st.sampled_from([BERLIN, "Australia/Adelaide", "Australia/Lord_Howe", "America/New_York", "UTC"]),
    minute=st.integers(0, 1439),
    lasts=st.integers(1, 1439),
    day=st.integers(0, 700),
)
@example(zone="America/New_York", minute=1142, lasts=1439, day=0)  # the first of these days still has the last minute of the day before
def test_a_daily_event_is_the_window_of_the_same_cron_line(zone: str, minute: int, lasts: int, day: int) -> None:
    """Two readings of the same times, by two libraries, agree on every day of two years."""
    since = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(days=day)
    until = since + timedelta(days=3)
    hours, minutes = divmod(minute, 60)
    event = f"DTSTART;TZID={zone}:20251225T{hours:02}{minutes:02}00|DURATION:PT{lasts}M|RRULE:FREQ=DAILY"
    line = Window("deny", zone, "r", "o", cron=f"{minutes} {hours} * * *", lasts=timedelta(minutes=lasts))
    wanted = [one for one in intervals(line, since, until) if one.begin < until]
    read = read_events(calendar(event), zone=zone, since=since, until=until).spans
    assert _joined(list(read)) == wanted


def _joined(spans: list[Interval]) -> list[Interval]:
    whole: list[Interval] = []
    for one in spans:
        if whole and one.begin <= whole[-1].end:
            whole[-1] = Interval(whole[-1].begin, max(whole[-1].end, one.end))
        else:
            whole.append(one)
    return whole
