"""iCalendar (RFC 5545), read: when the events of a calendar take place, in UTC.

`recurring-ical-events` says which occurrences there are, by the wall alone. How long they are is computed here: so many days by the wall,
then hours exactly. A start in a gap comes at the first instant behind it, and of a repeated hour the first counts.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from blocks.errors import BadInput
from tasks.rules.windows.ics_event import INDEX, READ, Facts, Reader, Written
from tasks.rules.windows.ics_text import FIX, events_as_written
from tasks.rules.windows.window import Interval
from tasks.rules.windows.zones import utc_of, wall_of, zone_of

MOST_OCCURRENCES = 10_000  # in the time that is looked at
MARGIN = timedelta(days=2)  # between the wall of one zone and that of another
PASSING = ("UID", "SEQUENCE")  # what some servers write anew each time


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


def _parse(content: bytes) -> list[Written]:
    import icalendar  # noqa: PLC0415 - it takes longer than all rules of windows together

    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise BadInput("it is not an iCalendar file that can be read: it is not in UTF-8", field="ics", fix=FIX) from None
    written = events_as_written(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it guesses about a zone is not used
            calendars = icalendar.Calendar.from_ical(text, multiple=True)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OSError):
        raise BadInput("it is not an iCalendar file that can be read", field="ics", fix=FIX) from None
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    if len(events) != len(written):
        raise BadInput("an event of it cannot be told from others", field="ics", fix=FIX)
    return [Written(event, raw) for event, raw in zip(events, written, strict=True)]


def _series(events: list[Written]) -> Iterator[list[Written]]:
    """Part the events by their UID: what recurs first, and then what replaces some of its occurrences.

    Of several with one UID the newest counts; if they are equally new, they are different events whose UID is wrong, and all count.
    """
    found: dict[str, list[Written]] = {}
    for number, one in enumerate(events):
        found.setdefault(str(one.event.get("UID", number)), []).append(one)
    for series in found.values():
        replacing = [one for one in series if "RECURRENCE-ID" in one.event]
        own = [one for one in series if "RECURRENCE-ID" not in one.event]
        newest = max((_sequence(one.event) for one in own), default=0)
        newest_ones = [one for one in own if _sequence(one.event) == newest]
        yield [*newest_ones[:1], *replacing]
        yield from ([one] for one in newest_ones[1:])


def _sequence(event: Any) -> int:
    found = event.get("SEQUENCE", 0)
    return int(found) if isinstance(found, int) else 0


def _occurrences(series: list[Written], reader: Reader, since: datetime, until: datetime, *, left: int) -> Iterator[Interval]:
    import icalendar  # noqa: PLC0415
    import recurring_ical_events  # noqa: PLC0415

    calendar, master = icalendar.Calendar(), None
    for one in series:
        calendar.add_component(_plain(reader.read(one, master=master)))
        master = master or reader.facts[-1]
    here = master.zone if master else reader.zone
    bounds = [moment.astimezone(here).replace(tzinfo=None, fold=0) for moment in (since - MARGIN, until + MARGIN)]
    try:
        listed = recurring_ical_events.of(calendar).between(*bounds)
    except (ValueError, TypeError, OverflowError, recurring_ical_events.InvalidCalendar) as error:
        title = reader.facts[-1].title
        raise BadInput(
            f"the event `{title}` of the calendar recurs in a way that cannot be read", field="ics", fix="Put it right."
        ) from error
    for found in listed:
        for span in _spans(reader.facts[int(found[INDEX])], found["DTSTART"].dt, found["DTEND"].dt):
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
    if facts.is_each_hour and start != facts.start and wall_of(begin, facts.zone) != start:
        return  # an hour that does not exist, as the clock passes it
    if facts.end is not None and (start, end) == (facts.start, facts.end):
        yield Interval(begin, utc_of(end, facts.zone), facts.title)
        return
    hours = facts.hours_of(start, end - start)
    yield Interval(begin, utc_of(end - hours, facts.zone) + hours, facts.title)
    second = start.replace(tzinfo=facts.zone, fold=1).astimezone(UTC)
    if facts.is_hourly and begin < second and wall_of(second, facts.zone) == start:  # the repeated hour, as the clock passes it
        yield Interval(second, second + (end - start), facts.title)


def _lasting(one: Written) -> str:
    """Write what counts of an event, without what changes each time that it is asked for."""
    import icalendar  # noqa: PLC0415

    kept = icalendar.Event()
    for name in READ:
        if name in one.event and name not in PASSING:
            kept[name] = one.event[name]
    return f"{kept.to_ical().decode()}{sorted(one.raw.items())}"
