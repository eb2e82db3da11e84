"""Calendars that are whole, and those that lost something on the way: these are refused, so that the last good one holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from blocks.errors import BadInput
from tasks.rules.windows.ics import read_events
from tests.rules.windows.calendars import calendar

ONE = "DTSTART:20260302T120000Z|DURATION:PT1H|SUMMARY:freeze"
BUSY = b"BEGIN:VFREEBUSY\r\nFREEBUSY:20260302T120000Z/PT1H\r\nEND:VFREEBUSY\r\n"


def read(text: bytes) -> int:
    """Say how many occurrences a calendar has in March 2026."""
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    return len(read_events(text, zone="Europe/Berlin", since=begin, until=begin + timedelta(days=31)).spans)


def indented(text: bytes, since: bytes) -> bytes:
    """Indent the lines from one on until the last one, so that each is the rest of the line before."""
    begin, end = text.index(since), text.index(b"\r\nEND:VCALENDAR")
    return text[:begin] + b"  " + text[begin:end].replace(b"\r\n", b"\r\n  ") + text[end:]


def without_events(text: bytes) -> bytes:
    """Leave the events out."""
    return text[: text.index(b"BEGIN:VEVENT")] + text[text.index(b"END:VCALENDAR") :]


def without_lines(text: bytes, before: bytes) -> bytes:
    """Let each line of an event begin with something else, so that it is the rest of the line before."""
    begin, end = text.index(b"BEGIN:VEVENT"), text.index(b"END:VCALENDAR")
    event = b"".join(before + line for line in text[begin:end].splitlines(keepends=True))
    return text[:begin] + b"X-WR-CALNAME:freezes\r\n" + event + text[end:]


HURT = {
    "indented events": (lambda text: indented(text, b"BEGIN:VEVENT"), "an event of it does not begin or end on a line of its own"),
    "indented lines": (lambda text: indented(text, b"PRODID"), "its VERSION is not 2.0"),
    "all indented": (lambda text: indented(text, b"VERSION"), "a part of it does not end"),
    "an indented begin": (lambda text: text.replace(b"\r\nBEGIN:VEVENT", b"\r\n\tBEGIN:VEVENT"), "a part of it does not end"),
    "no version": (lambda text: text.replace(b"VERSION:2.0\r\n", b""), "its VERSION is not 2.0"),
    "lines that begin with a space and a dash": (lambda text: without_lines(text, b" - "), "do not begin at the beginning of a line"),
    "an old version": (lambda text: text.replace(b"VERSION:2.0", b"VERSION:1.0"), "its VERSION is not 2.0"),
    "a second one without version": (lambda text: text + calendar().replace(b"VERSION:2.0\r\n", b""), "its VERSION is not 2.0"),
    "the version of an event": (
        lambda text: text.replace(b"VERSION:2.0\r\n", b"").replace(b"UID:0", b"UID:0\r\nVERSION:2.0"),
        "its VERSION is not 2.0",
    ),
    "CR alone": (lambda text: text.replace(b"\r\n", b"\r"), "a carriage return without a line feed"),
    "one CR alone": (lambda text: text.replace(b"freeze\r\n", b"freeze\r"), "a carriage return without a line feed"),
    "busy times alone": (
        lambda text: without_events(text).replace(b"END:VCAL", BUSY + b"END:VCAL"),
        "it has a VFREEBUSY, which is not read",
    ),
    "busy times beside": (lambda text: text.replace(b"END:VCAL", BUSY + b"END:VCAL"), "it has a VFREEBUSY, which is not read"),
    "a begin that is lost": (lambda text: text.replace(b"BEGIN:VEVENT\r\n", b""), "a part of it does not end: VEVENT ends"),
    "an end that is lost": (lambda text: text.replace(b"END:VEVENT\r\n", b""), "a part of it does not end: VCALENDAR ends"),
    "another begin": (lambda text: text.replace(b"BEGIN:VEVENT", b"BEGIN:EVENT"), "a part of it does not end: VEVENT ends"),
    "a calendar in it": (lambda text: text.replace(b"END:VCAL", b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCAL"), "does not end: VCALENDAR"),
}


@pytest.mark.parametrize(("hurt", "said"), HURT.values(), ids=HURT)
def test_a_calendar_that_lost_something_is_not_one_without_events(hurt: Callable[[bytes], bytes], said: str) -> None:
    """Its freezes would be lifted."""
    assert read(calendar(ONE)) == 1
    with pytest.raises(BadInput) as refused:
        read(hurt(calendar(ONE)))
    assert said in str(refused.value)


def test_a_calendar_without_events_is_one() -> None:
    """An empty one is what a team has whose freezes are over."""
    assert read(calendar()) == 0


@pytest.mark.parametrize(
    "text",
    [
        calendar(f"{ONE}|BEGIN:VALARM|TRIGGER:-PT5M|DURATION:PT48H|ACTION:DISPLAY|END:VALARM"),
        b"\xef\xbb\xbf" + calendar(ONE) + b"\r\n\r\n",
        calendar(ONE) + calendar(),
        calendar(ONE).replace(b"DTSTART", b"DT\r\n START"),
        calendar(ONE).replace(b"VERSION:2.0\r\n", b"VERSION:2.0\r\nVERSION:2.0\r\n"),
        calendar(f"{ONE}|DESCRIPTION:their mail says BEGIN:VEVENT"),
    ],
)
def test_what_others_write_in_their_ways_is_read(text: bytes) -> None:
    """Alarms with a length of their own, a mark of the encoding, two calendars in a file, folded lines; and each with either line ends."""
    assert read(text) == read(text.replace(b"\r\n", b"\n")) == 1
