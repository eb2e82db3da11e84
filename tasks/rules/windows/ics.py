"""iCalendar (RFC 5545), read: when the events of a calendar take place, in UTC.

`recurring-ical-events` says which occurrences there are, by the wall alone. How long they are is computed here: so many days by the wall,
then hours exactly. A start in a gap comes at the first instant behind it, and of a repeated hour the first counts.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from blocks.errors import BadInput
from tasks.rules.windows.ics_event import INDEX, READ, Facts, Reader
from tasks.rules.windows.window import Interval
from tasks.rules.windows.zones import utc_of, wall_of, zone_of

MOST_EVENTS = 10_000
MOST_OCCURRENCES = 10_000  # in the time that is looked at
BEGIN = re.compile(rb"^BEGIN:VEVENT\s*$", re.IGNORECASE | re.MULTILINE)
MARGIN = timedelta(days=2)  # between the wall of one zone and that of another
PASSING = ("UID", "SEQUENCE")  # what some servers write anew each time
FIX = "See that the address is that of an iCalendar file, which begins with BEGIN:VCALENDAR and ends with END:VCALENDAR."


class Events(NamedTuple):
    """What a calendar says: its occurrences in rising order, and a digest of its events, which is the same if they are."""

    spans: tuple[Interval, ...]
    digest: str


def read_events(content: bytes, *, zone: str, since: datetime, until: datetime) -> Events:
    """Read a calendar.

    Args:
        content: The file.
        zone: The IANA name of the zone of whole days, and of times that name none.
        since: Occurrences that ended by then are left out (UTC).
        until: Occurrences that begin from then on are left out (UTC).

    Raises:
        BadInput: It is not a calendar, an event of it cannot be read, or it has too many.
    """
    events, here = _parse(content), zone_of(zone)
    reader = Reader(here)
    found: list[Interval] = []
    for series in _series(events):
        found += list(_occurrences(series, reader, since, until, left=MOST_OCCURRENCES - len(found)))
    digest = hashlib.sha256("\n".join(sorted(map(_lasting, events))).encode()).hexdigest()
    return Events(tuple(sorted(found)), digest)


def _parse(content: bytes) -> list[Any]:
    import icalendar  # noqa: PLC0415 - it takes longer than all rules of windows together

    text = content.removeprefix(b"\xef\xbb\xbf").strip()
    if not text[:15].upper().startswith(b"BEGIN:VCALENDAR") or not text[-13:].upper().endswith(b"END:VCALENDAR"):
        raise BadInput("it is not a whole iCalendar file", field="ics", fix=FIX)
    if (begun := len(BEGIN.findall(text))) > MOST_EVENTS:
        raise BadInput(f"it has more than {MOST_EVENTS:,} events", field="ics", fix="Name a calendar of its own for these windows.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it guesses about a zone is not used
            calendars = icalendar.Calendar.from_ical(text.decode(), multiple=True)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OSError):
        raise BadInput("it is not an iCalendar file that can be read", field="ics", fix=FIX) from None
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    if len(events) != begun:
        raise BadInput("an event of it does not end", field="ics", fix=FIX)
    return events


def _series(events: list[Any]) -> Iterator[list[Any]]:
    """Part the events by their UID: what recurs first, and then what replaces some of its occurrences.

    Of several with one UID the newest counts; if they are equally new, they are different events whose UID is wrong, and all count.
    """
    found: dict[str, list[Any]] = {}
    for number, event in enumerate(events):
        found.setdefault(str(event.get("UID", number)), []).append(event)
    for series in found.values():
        replacing = [event for event in series if "RECURRENCE-ID" in event]
        own = [event for event in series if "RECURRENCE-ID" not in event]
        newest = max((_sequence(event) for event in own), default=0)
        first, *others = [event for event in own if _sequence(event) == newest] or [None]
        yield [*([first] if first is not None else []), *replacing]
        yield from ([event] for event in others)


def _sequence(event: Any) -> int:
    found = event.get("SEQUENCE", 0)
    return int(found) if isinstance(found, int) else 0


def _occurrences(series: list[Any], reader: Reader, since: datetime, until: datetime, *, left: int) -> Iterator[Interval]:
    import icalendar  # noqa: PLC0415
    import recurring_ical_events  # noqa: PLC0415

    calendar, master = icalendar.Calendar(), None
    for event in series:
        properties, zone = reader.read(event, master=master)
        master = master or zone
        calendar.add_component(_plain(properties))
    here = master or reader.zone
    bounds = [moment.astimezone(here).replace(tzinfo=None, fold=0) for moment in (since - MARGIN, until + MARGIN)]
    try:
        listed = recurring_ical_events.of(calendar).between(*bounds)
    except (ValueError, TypeError, OverflowError, recurring_ical_events.InvalidCalendar) as error:
        title = reader.facts[-1].title
        raise BadInput(
            f"the event `{title}` of the calendar recurs in a way that cannot be read", field="ics", fix="Put it right."
        ) from error
    for one in listed:
        for span in _spans(reader.facts[int(one[INDEX])], one["DTSTART"].dt, one["DTEND"].dt):
            if span.begin < span.end and span.end > since and span.begin < until:
                left -= 1
                if left < 0:
                    wrong = f"it has more than {MOST_OCCURRENCES:,} occurrences in {(until - since).days} days"
                    raise BadInput(wrong, field="ics", fix="Name a calendar of its own for these windows.")
                yield span


def _plain(properties: dict[str, Any]) -> Any:
    import icalendar  # noqa: PLC0415

    event = icalendar.Event()
    for name, value in properties.items():
        if name in {"RRULE", "EXDATE", "RDATE"}:
            for one in value:
                event.add(name, [one] if name != "RRULE" else one)
        elif name != "RANGE":
            event.add(name, value)
    if properties.get("RANGE"):
        event["RECURRENCE-ID"].params["RANGE"] = properties["RANGE"]
    return event


def _spans(facts: Facts, start: datetime, end: datetime) -> Iterator[Interval]:
    """Give an occurrence in UTC: with the end that its event writes if it is that very one, else for days by the wall, and then exactly."""
    if facts.is_cancelled:
        return
    begin = utc_of(start, facts.zone)
    if facts.end is not None and (start, end) == (facts.start, facts.end):
        yield Interval(begin, utc_of(end, facts.zone), facts.title)
        return
    whole = timedelta(days=(end - start).days)
    rest = end - start - whole
    yield Interval(begin, utc_of(start + whole, facts.zone) + rest, facts.title)
    second = start.replace(tzinfo=facts.zone, fold=1).astimezone(UTC)
    if facts.is_hourly and begin < second and wall_of(second, facts.zone) == start:  # the repeated hour, as the clock passes it
        yield Interval(second, second + (end - start), facts.title)


def _lasting(event: Any) -> str:
    """Write what counts of an event, without what changes each time that it is asked for."""
    import icalendar  # noqa: PLC0415

    kept = icalendar.Event()
    for name in READ:
        if name in event and name not in PASSING:
            kept[name] = event[name]
    return str(kept.to_ical().decode())
