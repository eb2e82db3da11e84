"""iCalendar events by the wall: each as times of its zone, without the zone, so that rules of recurrence know no daylight saving."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from blocks.errors import BadInput
from blocks.outside_text import outside
from tasks.rules.windows.rrule import misread
from tasks.rules.windows.zones import wall_of, zone_fault

Time = date | datetime
INDEX = "X-SHIPWAY-EVENT"  # says of an occurrence which event it is of
READ = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "STATUS", "SEQUENCE", "UID", "SUMMARY")
ONCE = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "STATUS", "SEQUENCE", "UID")
RECURS = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY", "HOURLY")
LAST = time(23, 59, 59)
TITLE = 120  # characters
ZONE_IN_PATH = re.compile(r"[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)+$")  # `/mozilla.org/20070129_1/Europe/Berlin` names one, too


@dataclass(frozen=True)
class Facts:
    """What an occurrence gets from its event.

    Fields:
        title: The event's summary.
        zone: Of its times.
        start: Its own start, by the wall.
        end: The end that it writes for itself, by the wall; None if it writes a duration, or neither.
        is_cancelled: Whether it does not take place.
        is_hourly: Whether it recurs within a day, and so in both hours of a repeated one.
    """

    title: str
    zone: ZoneInfo
    start: datetime
    end: datetime | None
    is_cancelled: bool
    is_hourly: bool


class Reader:
    """Reads the events of one calendar.

    Args:
        zone: The zone of times that name none, and of whole days.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        """Begin without an event."""
        self.zone = zone
        self.facts: list[Facts] = []

    def read(self, event: Any, *, master: ZoneInfo | None) -> tuple[dict[str, Any], ZoneInfo]:
        """Give the properties of an event by the wall, for the library that lets it recur, and its zone.

        Args:
            event: An event of `icalendar`.
            master: The zone of the event whose occurrence it replaces, if it does.

        Raises:
            BadInput: A property cannot be read, its zone is not known, or it recurs in a way that is not read.
        """
        title = str(outside(event.get("SUMMARY", ""), limit=TITLE))
        for name, why in event.errors:
            if name in READ or not name:
                raise _wrong(title, f"{f'its {name}' if name else 'a line of it'} cannot be read: {outside(why, limit=TITLE)}")
        if double := next((name for name in ONCE if isinstance(event.get(name), list)), ""):
            raise _wrong(title, f"it has several {double}")
        if "DTSTART" not in event:
            raise _wrong(title, "it has no DTSTART")
        zone = self._zone(event["DTSTART"], event["DTSTART"].dt, title)
        start, end = self._wall(event["DTSTART"], zone, title), self._end(event, zone, title)
        length = event["DURATION"].dt if "DURATION" in event else None
        if (end is not None and end < start) or (length is not None and length < timedelta()):
            raise _wrong(title, "it ends before it begins")
        if not isinstance(event["DTSTART"].dt, datetime) and (end == start or end is None) and not length:
            end, length = None, timedelta(days=1)  # some calendars write the last day itself, and not the one after it
        rules = _rules(event, zone, title)
        found = {"UID": str(event.get("UID", f"{INDEX}-{len(self.facts)}")), "DTSTART": start, "SEQUENCE": event.get("SEQUENCE", 0)}
        found |= {"DTEND": end or start + (length or timedelta()), "RRULE": rules, INDEX: str(len(self.facts))}
        found |= {name: list(self._dates(event, name, zone, title)) for name in ("EXDATE", "RDATE")}
        if "RECURRENCE-ID" in event:
            found["RECURRENCE-ID"] = self._wall(event["RECURRENCE-ID"], master or zone, title)
            found["RANGE"] = str(event["RECURRENCE-ID"].params.get("RANGE", ""))
        is_cancelled = str(event.get("STATUS", "")).upper() == "CANCELLED"
        self.facts.append(Facts(title, zone, start, end, is_cancelled, any(rule["FREQ"] == ["HOURLY"] for rule in rules)))
        return found, zone

    def _zone(self, given: Any, said: Time, title: str) -> ZoneInfo:
        if name := str(given.params.get("TZID", "")):
            return _zone_named(name, title)
        is_utc = isinstance(said, datetime) and said.tzinfo is not None
        return ZoneInfo("UTC") if is_utc else self.zone

    def _wall(self, given: Any, zone: ZoneInfo, title: str, value: Any = None) -> datetime:
        """Give a time by the wall of a zone; a day is its midnight."""
        said = given.dt if value is None else value
        if not isinstance(said, date):
            raise _wrong(title, "it has a time without a day")
        if not isinstance(said, datetime):
            return datetime.combine(said, time())
        plain, own = said.replace(tzinfo=None), self._zone(given, said, title)
        if said.tzinfo is not None and "TZID" not in given.params:
            return wall_of(said.astimezone(UTC), zone)
        return plain if own.key == zone.key else wall_of(plain.replace(tzinfo=own), zone)

    def _end(self, event: Any, zone: ZoneInfo, title: str) -> datetime | None:
        return self._wall(event["DTEND"], zone, title) if "DTEND" in event else None

    def _dates(self, event: Any, name: str, zone: ZoneInfo, title: str) -> Iterator[Any]:
        """List the dates of RDATE or EXDATE; a period is a pair of its start and how long it is."""
        found = event.get(name, [])
        for listed in found if isinstance(found, list) else [found]:
            for one in listed.dts:
                value = one.dt
                if isinstance(value, tuple):
                    begin, end = self._wall(listed, zone, title, value[0]), value[1]
                    yield begin, (end if isinstance(end, timedelta) else self._wall(listed, zone, title, end) - begin)
                elif not isinstance(value, datetime) and name == "EXDATE" and isinstance(event["DTSTART"].dt, datetime):
                    yield value  # the whole day
                else:
                    yield self._wall(listed, zone, title, value)


def _rules(event: Any, zone: ZoneInfo, title: str) -> list[dict[str, Any]]:
    """Give the rules by which an event recurs, with their ends by the wall."""
    given = event.get("RRULE", [])
    rules = []
    for rule in given if isinstance(given, list) else [given]:
        found = dict(rule)
        if (often := str(found.get("FREQ", [""])[0]).upper()) not in RECURS:
            raise _wrong(
                title, f"it recurs {often or 'without a FREQ'}, which is not read", fix="Let it recur daily, or once an hour at most."
            )
        found["FREQ"] = [often]
        if wrong := misread(found):
            raise _wrong(title, wrong)
        if until := found.get("UNTIL"):
            found["UNTIL"] = [_last(until[0], zone)]
        rules.append(found)
    return rules


def _last(until: Time, zone: ZoneInfo) -> datetime:
    if not isinstance(until, datetime):
        return datetime.combine(until, LAST)
    return until if until.tzinfo is None else wall_of(until.astimezone(UTC), zone)


def _zone_named(name: str, title: str) -> ZoneInfo:
    """Give the zone of a TZID: an IANA name, alone or behind a prefix, or a name of Windows."""
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # noqa: PLC0415 - it takes longer than all rules of windows together

    behind = ZONE_IN_PATH.search(name)
    names = [name, WINDOWS_TO_OLSON.get(name, ""), behind[0] if behind else "", "/".join(name.split("/")[-2:])]
    for one in names:
        if one and zone_fault(one) is None:
            return ZoneInfo(one)
    wrong = zone_fault(name) or ""
    raise _wrong(title, wrong, fix="Let the calendar write IANA names, as `TZID=Europe/Berlin`, or times in UTC.")


def _wrong(title: str, wrong: str, *, fix: str = "Put that event right in the calendar.") -> BadInput:
    return BadInput(f"the event `{title or 'without a summary'}` of the calendar is wrong: {wrong}", field="ics", fix=fix)
