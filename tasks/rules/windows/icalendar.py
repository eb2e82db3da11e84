"""iCalendar (RFC 5545): the calendar as a file that people subscribe to; all times in UTC, texts escaped, lines folded."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from tasks.rules.windows.calendar import NOUNS, Event

MOST_OCTETS = 75  # of a line, without its end
ESCAPED = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})


def icalendar_text(events: Iterable[Event], *, at: datetime, name: str, notes: Sequence[str] = ()) -> str:
    """Write the calendar.

    Args:
        events: What it holds.
        at: When it is made (UTC).
        name: What it is called.
        notes: What its reader should know, as overlaps.
    """
    head = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Shipway//Calendar//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"NAME:{escaped(name)}",  # RFC 7986; the next line is the same for calendars that are older
        f"X-WR-CALNAME:{escaped(name)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        *([f"DESCRIPTION:{escaped('; '.join(notes))}"] if notes else []),
    ]
    lines = [*head, *(line for event in events for line in _event(event, at)), "END:VCALENDAR"]
    return "".join(f"{folded(line)}\r\n" for line in lines)


def escaped(text: str) -> str:
    """Escape a text value; control characters, which no calendar takes, are left out."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return "".join(one for one in plain if one == "\n" or unicodedata.category(one) not in {"Cc", "Cs"}).translate(ESCAPED)


def folded(line: str) -> str:
    """Fold a line after 75 octets at the latest, and within no character."""
    parts: list[str] = [""]
    size = 0
    for one in line:
        octets = len(one.encode())
        if size + octets > MOST_OCTETS:
            parts.append("")
            size = 1  # the blank that begins a line that goes on
        parts[-1] += one
        size += octets
    return "\r\n ".join(parts)


def _event(event: Event, at: datetime) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{event.uid}@shipway"
    yield f"DTSTAMP:{_moment(at)}"
    yield f"DTSTART:{_moment(event.begin)}"
    yield f"DTEND:{_moment(event.end)}"
    yield f"SUMMARY:{escaped(event.title)}"
    yield f"DESCRIPTION:{escaped(event.detail)}"
    yield f"CATEGORIES:{escaped(NOUNS[event.kind])}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
