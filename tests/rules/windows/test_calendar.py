"""The calendar: what is open, frozen and scheduled, and the same as a page and as an iCalendar file that nothing in a text can break."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.windows.calendar import Event, cuts, events_of, freeze_events, overlaps, release_event
from tasks.rules.windows.calendar_page import Page, at_midnight, page_text
from tasks.rules.windows.icalendar import MOST_OCTETS, escaped, folded, icalendar_text
from tasks.rules.windows.window import Calendar, Interval, Window
from tests.rules.windows.oracle import utc
from tests.rules.windows.test_freeze import freeze_of

NIGHT = Window("allow", "Europe/Berlin", "few customers", "ada", cron="0 22 * * 1-5", lasts=timedelta(hours=4))
FREEZE = Window("deny", "UTC", "stocktaking", "ada", "policy shop", begins=datetime(2026, 12, 1, 23), ends=datetime(2026, 12, 3))  # noqa: DTZ001
MONDAY = utc(2026, 11, 30, 12)
HOUR = timedelta(hours=1)


def release(service: str, begin: datetime, latest: datetime | None = None, why: str = "bug 812") -> Event:
    """Schedule a release."""
    return release_event(
        service=service, name=f"release {service} 1.1", run=f"{service}-{begin}", begin=begin, latest=latest, who="rita", why=why
    )


def test_openings_and_freezes_of_the_coming_days() -> None:
    """An opening ends where a freeze begins, and what reaches beyond the last day has its own end, which that day is not."""
    found = [(one.kind, one.begin, one.end) for one in events_of("shop", [(NIGHT,), (FREEZE,)], MONDAY, utc(2026, 12, 3, 22))]
    assert found == [
        ("open", utc(2026, 11, 30, 21), utc(2026, 12, 1, 1)),
        ("open", utc(2026, 12, 1, 21), utc(2026, 12, 1, 23)),
        ("freeze", utc(2026, 12, 1, 23), utc(2026, 12, 3)),
        ("open", utc(2026, 12, 3, 0), utc(2026, 12, 3, 1)),
        ("open", utc(2026, 12, 3, 21), utc(2026, 12, 4, 1)),
    ]


def test_a_freeze_that_goes_on_after_the_last_day_has_its_own_end() -> None:
    """One without an end is drawn until the last day, and says that it has none."""
    until, endless = utc(2026, 12, 2), replace(FREEZE, ends=None)
    ends = [(one.end, one.has_end) for window in (FREEZE, endless) for one in events_of("shop", [(window,)], MONDAY, until)]
    assert ends == [(utc(2026, 12, 3), True), (until, False)]


def test_a_service_without_allow_windows_shows_only_its_freezes() -> None:
    """It is open all the time, which no calendar has to say."""
    assert [one.kind for one in events_of("shop", [(FREEZE,)], MONDAY, utc(2026, 12, 30))] == ["freeze"]
    assert events_of("shop", [], MONDAY, utc(2026, 12, 30)) == []


def test_a_window_that_opens_each_minute_is_bounded() -> None:
    """A year of it does not fill the memory."""
    often = Window("allow", "UTC", "x", "y", cron="*/2 * * * *", lasts=timedelta(minutes=1))
    assert len(events_of("shop", [(often,)], MONDAY, MONDAY + timedelta(days=366))) == 2_000


def test_overlaps_are_said() -> None:
    """Releases side by side, in a freeze, and while production is closed; one that fits says nothing."""
    windows = events_of("shop", [(NIGHT,), (FREEZE,)], MONDAY, utc(2026, 12, 7))
    fits = release("shop", utc(2026, 11, 30, 22), utc(2026, 12, 1, 1))
    assert overlaps([*windows, fits]) == []
    assert overlaps([fits, release("blog", utc(2026, 12, 1), None)]) == [
        "release shop 1.1 and release blog 1.1 may run side by side from Tue 2026-12-01 00:00 UTC on"
    ]
    frozen = overlaps([*windows, release("shop", utc(2026, 12, 2, 21), utc(2026, 12, 2, 23))])
    assert frozen == ["release shop 1.1 will be skipped: it lies in the freeze (stocktaking)"]
    noon = overlaps([*windows, release("shop", utc(2026, 12, 4, 12), utc(2026, 12, 4, 13))])
    assert noon == ["release shop 1.1 will be skipped: production is closed from Fri 2026-12-04 12:00 UTC until its end"]


def test_a_release_without_a_latest_moment_waits_and_is_not_skipped() -> None:
    """In a freeze, and while production is closed."""
    windows = events_of("shop", [(NIGHT,), (FREEZE,)], MONDAY, utc(2026, 12, 7))
    noon = overlaps([*windows, release("shop", utc(2026, 12, 4, 12))])
    assert noon == ["release shop 1.1 will wait: production is closed from Fri 2026-12-04 12:00 UTC on"]
    assert overlaps([*windows, release("shop", utc(2026, 12, 2, 21))]) == [
        "release shop 1.1 will wait: it lies in the freeze (stocktaking)"
    ]


def test_of_openings_that_are_not_listed_nothing_is_said_but_that() -> None:
    """After the last one that is listed production may well open."""
    often = Window("allow", "UTC", "x", "y", cron="*/5 * * * *", lasts=timedelta(minutes=2))
    windows = events_of("shop", [(often,)], MONDAY, MONDAY + timedelta(days=28))
    assert overlaps([*windows, release("shop", MONDAY + timedelta(days=20), MONDAY + timedelta(days=21))]) == []
    assert cuts(windows) == ["shop opens more than 2,000 times: its openings after Mon 2026-12-07 10:37 UTC are not shown"]
    assert cuts(events_of("shop", [(NIGHT,)], MONDAY, utc(2026, 12, 7))) == []


def test_freezes_that_people_set_are_shown_for_each_service_that_they_stop() -> None:
    """With who, when and why; a release in one that has no end goes out if it is lifted."""
    own = freeze_of(service="shop", until=MONDAY + HOUR, at=MONDAY)
    every = freeze_of(id="ba9876543210", at=MONDAY)
    found = freeze_events(["shop", "blog"], [own, every, freeze_of(service="other", at=MONDAY)], MONDAY, MONDAY + 24 * HOUR)
    assert [(one.service, one.end - MONDAY, one.has_end) for one in found] == [
        ("shop", HOUR, True),
        ("shop", 24 * HOUR, False),
        ("blog", 24 * HOUR, False),
    ]
    assert "set by ada" in found[0].detail
    said = overlaps([*found[2:], release("blog", MONDAY + 2 * HOUR, MONDAY + 3 * HOUR)])
    assert said == ["release blog 1.1 will be skipped: it lies in the freeze (incident 7), unless that is lifted"]


def unfolded(text: str) -> list[str]:
    """Read the lines of an iCalendar file as RFC 5545 says."""
    return text.replace("\r\n ", "").split("\r\n")[:-1]


def unescaped(text: str) -> str:
    """Read a text value as RFC 5545 says."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], text)


@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n;,\\é😀"), max_size=300))
def test_any_text_comes_back_from_an_icalendar_file(text: str) -> None:
    """Escaped and folded, each line of at most 75 octets."""
    plain = text.replace("\u2028", "\n").replace("\u2029", "\n")
    written = icalendar_text([release("shop", MONDAY, why=text)], at=MONDAY, name=text)
    assert all(len(line.encode()) <= MOST_OCTETS for line in written.split("\r\n"))
    lines = unfolded(written)
    assert [unescaped(line.partition(":")[2]) for line in lines if line.startswith("X-WR-CALNAME:")] == [plain]
    assert [unescaped(line.partition(":")[2]) for line in lines if line.startswith("DESCRIPTION:")] == [f"requested by rita: {plain}"]
    assert [line for line in lines if line.startswith(("BEGIN", "END"))] == [
        "BEGIN:VCALENDAR",
        "BEGIN:VEVENT",
        "END:VEVENT",
        "END:VCALENDAR",
    ]


@pytest.mark.parametrize("text", ["a\r\nBEGIN:VEVENT", "a\rb", "bell\x07", "null\x00", "half \ud800 character"])
def test_control_characters_end_no_line(text: str) -> None:
    """Nor are they in the file."""
    written = escaped(text)
    assert not re.search(r"[\x00-\x1f\ud800]", written)


def test_a_line_is_folded_within_no_character() -> None:
    """As many octets as fit."""
    lines = folded("X:" + "é" * 80).split("\r\n")
    assert [len(line.encode()) for line in lines] == [74, 75, 15]
    assert "".join(line.removeprefix(" ") for line in lines) == "X:" + "é" * 80


@pytest.mark.parametrize("kind", ["allow", "deny"])
def test_an_event_of_a_calendar_that_cannot_be_read_keeps_its_name_however_old_that_is(kind: Literal["allow", "deny"]) -> None:
    """Who subscribed would see it deleted and made anew each hour."""
    spans = (Interval(MONDAY + HOUR, MONDAY + 3 * HOUR, "sale"),)
    names = set()
    for note in ("", "as it was 3 h ago, and not read since: h", "as it was 4 h ago, and not read since: h"):
        window = Window(kind, "UTC", "r", "o", ics="https://h/x", calendar=Calendar(spans, MONDAY + 700 * 24 * HOUR, "d", note))
        (event,) = events_of("shop", [(window,)], MONDAY, MONDAY + 24 * HOUR)
        assert note in event.detail
        names.add(event.uid)
    assert len(names) == 1


def test_an_event_of_an_icalendar_file_has_what_rfc_5545_asks_for() -> None:
    """Times in UTC."""
    event = events_of("shop", [(NIGHT,)], MONDAY, utc(2026, 12, 1, 12))[0]
    lines = unfolded(icalendar_text([event], at=MONDAY, name="shop"))
    assert {"VERSION:2.0", "DTSTAMP:20261130T120000Z", "DTSTART:20261130T210000Z", "DTEND:20261201T010000Z"} <= set(lines)


@pytest.mark.parametrize("at", [MONDAY, utc(2026, 11, 30, 20, 30), utc(2026, 11, 30, 22), utc(2026, 12, 2)])
def test_an_event_has_a_name_that_stays_the_same(at: datetime) -> None:
    """Also one that is under way, and before and after it begins: who subscribed sees it once."""
    found = [
        {(one.kind, one.end): one.uid for one in events_of("shop", [(NIGHT,), (FREEZE,)], moment, utc(2026, 12, 30))}
        for moment in (at, at + HOUR)
    ]
    assert found[1].items() <= found[0].items()
    assert len(set(found[1].values())) == len(found[1])
    freezes = [freeze_events(["shop"], [freeze_of(at=MONDAY)], moment, utc(2026, 12, 30))[0].uid for moment in (at, at + HOUR)]
    assert freezes[0] == freezes[1]


class _Seen(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "onclick", "onerror", "action"}]

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;"


def test_a_page_shows_texts_and_runs_none() -> None:
    """Nothing comes from outside, and no text becomes an element or an attribute."""
    event = release(HOSTILE, MONDAY, why=HOSTILE)
    seen = _Seen(page_text(Page([HOSTILE], [event], [HOSTILE], "Europe/Berlin", MONDAY, 3)))
    assert seen.text.count(HOSTILE) >= 4
    assert not {"script", "img", "link", "iframe"} & set(seen.tags)
    assert seen.outside == []


@pytest.mark.parametrize(("first", "hours"), [(utc(2027, 3, 27, 12), 23), (utc(2026, 10, 24, 12), 25)])
def test_a_bar_shows_the_hours_where_they_are_on_both_nights(first: datetime, hours: int) -> None:
    """A day of 23 or 25 hours is as wide as any; noon lies where it is that day."""
    noon = at_midnight(first, "Europe/Berlin", days=2) - 12 * HOUR
    text = page_text(Page(["shop"], [release("shop", noon, noon + HOUR)], [], "Europe/Berlin", first, 2))
    assert f'class="release" style="left:{(hours - 12) / hours:.2%};width:{1 / hours:.2%}"' in text
