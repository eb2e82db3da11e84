"""iCalendar (RFC 5545) as text: whether a file is a whole one, and what its events write that the library for it does not keep.

The library reads what is indented as the rest of the line before, and of a part of a rule that is written twice the last: a file that lost
its line ends would be a calendar without events. And it gives `P1D` and `PT24H` as the same time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from blocks.errors import BadInput

MOST_EVENTS = 10_000
BEGINS, ENDS = (re.compile(rf"^[ \t]*{word}:VEVENT[ \t]*\r?$", re.IGNORECASE | re.MULTILINE) for word in ("BEGIN", "END"))
FOLD = re.compile(r"(?:(?<!\n)\r\n|(?<![\r\n])\n)(?:\r?\n)*[ \t]")  # as the library reads it
LINE = re.compile(r'([A-Za-z0-9][A-Za-z0-9-]*)(?:;(?:"[^"]*"|[^":])*)?:(.*)', re.DOTALL)
LENGTH = re.compile(r"[-+]?P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
NOT_READ = ("VFREEBUSY", "VAVAILABILITY")  # they say when people are busy or free
KEPT = ("DURATION", "RDATE", "RRULE")
FIX = "See that the address is that of an iCalendar file, which begins with BEGIN:VCALENDAR and ends with END:VCALENDAR."

Raw = Mapping[str, Sequence[str]]  # the values of some properties of an event, as they are written


class Component(NamedTuple):
    """A part of a calendar: its name, and the values of those of its own properties that are looked at."""

    name: str
    raw: dict[str, list[str]]


def events_as_written(text: str) -> list[Raw]:
    """Look if a file is a whole calendar, and list what its events write, in the order in which they begin.

    Raises:
        BadInput: It is not, or has too many events.
    """
    if not text[:15].upper().startswith("BEGIN:VCALENDAR") or not text[-13:].upper().endswith("END:VCALENDAR"):
        raise _broken("it is not a whole iCalendar file")
    if "\r" in text.replace("\r\n", ""):
        raise _broken("its lines do not end as those of an iCalendar file: it has a carriage return without a line feed")
    if len(BEGINS.findall(text)) > MOST_EVENTS:
        raise BadInput(f"it has more than {MOST_EVENTS:,} events", field="ics", fix="Name a calendar of its own for these windows.")
    components = list(_components(text))
    if other := next((one.name for one in components if one.name in NOT_READ), ""):
        raise BadInput(f"it has a {other}, which is not read", field="ics", fix="Name a calendar of events: each is a VEVENT.")
    if any(set(one.raw.get("VERSION", ())) != {"2.0"} for one in components if one.name == "VCALENDAR"):
        raise _broken("it is not a whole iCalendar file: its VERSION is not 2.0")
    events = [one.raw for one in components if one.name == "VEVENT"]
    if not len(events) == len(BEGINS.findall(text)) == len(ENDS.findall(text)):
        raise _broken("an event of it does not begin or end on a line of its own")
    if not events and "BEGIN:VEVENT" in text.upper():
        raise _broken("its events do not begin at the beginning of a line")
    return list(events)


def hours_of(written: str) -> timedelta:
    """Give those hours, minutes and seconds of a duration that are exact; its weeks and days are days by the wall."""
    found = LENGTH.fullmatch(written.strip().upper())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()[2:]) if found else (0, 0, 0)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def twice(rule: str) -> str:
    """Name a part that a rule of recurrence has twice; "" if it has none."""
    names = [part.partition("=")[0].strip().upper() for part in rule.split(";")]
    return next((name for name in names if name and names.count(name) > 1), "")


def _components(text: str) -> Iterator[Component]:
    """List the components of a file in the order in which they begin."""
    found: list[Component] = []
    still: list[Component] = []
    for line in FOLD.sub("", text).split("\n"):
        if (parts := LINE.match(line)) is None:
            continue  # the library says what is wrong with it
        name, value = parts[1].upper(), parts[2].strip()
        if name == "BEGIN":
            still.append(Component(value.upper(), {}))
            found.append(still[-1])
        elif name == "END":
            if not still or still.pop().name != value.upper():
                raise _broken(f"a part of it does not end: {value.upper()[:20]} ends where another one does")
        elif still and name in {*KEPT, "VERSION"}:
            still[-1].raw.setdefault(name, []).append(value)
    if still:
        raise _broken(f"a part of it does not end: {still[-1].name[:20]}")
    yield from found


def _broken(wrong: str) -> BadInput:
    return BadInput(wrong, field="ics", fix=FIX)
