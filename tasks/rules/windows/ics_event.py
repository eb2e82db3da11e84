"""iCalendar events by the wall: each as times of its zone, without the zone, so that rules of recurrence know no daylight saving."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from blocks.errors import BadInput
from blocks.outside_text import outside
from tasks.rules.windows.ics_text import Raw, hours_of, twice
from tasks.rules.windows.rrule import misread
from tasks.rules.windows.zones import wall_of, zone_fault

Time = date | datetime
INDEX = "X-SHIPWAY-EVENT"  # says of an occurrence which event it is of
READ = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "STATUS", "SEQUENCE", "UID", "SUMMARY")
ONCE = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "STATUS", "SEQUENCE", "UID")
RECURS = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY", "HOURLY")
DAY, LAST = timedelta(days=1), time(23, 59, 59)
TITLE = 120  # characters
SINGLE = ("FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST")  # parts of a rule that have one value
ZONE_IN_PATH = re.compile(r"[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)+$")  # `/mozilla.org/20070129_1/Europe/Berlin` names one, too


class Written(NamedTuple):
    """An event: as `icalendar` reads it, and what it writes itself."""

    event: Any
    raw: Raw


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
        is_each_hour: Whether it recurs each hour, and so in none that does not exist; else such a start comes when that hour is over.
        hours: How much of its length is exact, and not days by the wall, if it writes a duration; None if it does not.
        periods: The same of each period of its RDATE, by its start.
    """

    title: str
    zone: ZoneInfo
    start: datetime
    end: datetime | None
    is_cancelled: bool
    is_hourly: bool
    is_each_hour: bool
    hours: timedelta | None
    periods: Mapping[datetime, timedelta]

    def hours_of(self, start: datetime, lasts: timedelta) -> timedelta:
        """Say how much of the length of an occurrence is exact: what its duration says, else what is less than a day."""
        hours = self.periods.get(start, self.hours)
        return lasts - timedelta(days=lasts.days) if hours is None or hours > lasts else hours


class Reader:
    """Reads the events of one calendar.

    Args:
        zone: The zone of times that name none, and of whole days.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        """Begin without an event."""
        self.zone = zone
        self.facts: list[Facts] = []

    def read(self, written: Written, *, master: Facts | None) -> dict[str, Any]:
        """Give the properties of an event by the wall, for the library that lets it recur; what else is to be known is added to `facts`.

        Args:
            written: The event.
            master: The event whose occurrence it replaces, if it does.

        Raises:
            BadInput: A property cannot be read, its zone is not known, or it recurs in a way that is not read.
        """
        event, title = written.event, str(outside(written.event.get("SUMMARY", ""), limit=TITLE))
        _expect_readable(event, title)
        zone = self._zone(event["DTSTART"], event["DTSTART"].dt, title)
        start, end = self._wall(event["DTSTART"], zone, title), self._end(event, zone, title)
        length = event["DURATION"].dt if "DURATION" in event else None
        hours = None if length is None else hours_of(written.raw["DURATION"][0])
        if (end is not None and end < start) or (length is not None and length < timedelta()):
            raise _wrong(title, "it ends before it begins")
        if not isinstance(event["DTSTART"].dt, datetime) and (end == start or end is None) and not length:
            end, length = None, timedelta(days=1)  # some calendars write the last day itself, and not the one after it
        rules = _rules(written, zone, title)
        found = {"UID": str(event.get("UID", f"{INDEX}-{len(self.facts)}")), "DTSTART": start, "SEQUENCE": event.get("SEQUENCE", 0)}
        found |= {"DTEND": end or start + (length or timedelta()), "RRULE": rules, INDEX: str(len(self.facts))}
        found |= {name: list(self._dates(event, name, zone, title)) for name in ("EXDATE", "RDATE")}
        if "RECURRENCE-ID" in event:
            found["RECURRENCE-ID"] = self._replaced(event["RECURRENCE-ID"], master, zone, title)
            found["RANGE"] = str(event["RECURRENCE-ID"].params.get("RANGE", ""))
        is_cancelled = str(event.get("STATUS", "")).upper() == "CANCELLED"
        is_hourly = any(rule["FREQ"] == ["HOURLY"] for rule in rules)
        is_each_hour = any(_is_each_hour(rule) for rule in rules)
        periods = _periods(found["RDATE"], written.raw, title)
        self.facts.append(Facts(title, zone, start, end, is_cancelled, is_hourly, is_each_hour, hours, periods))
        return found

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

    def _replaced(self, given: Any, master: Facts | None, zone: ZoneInfo, title: str) -> datetime:
        """Give which occurrence of an event it replaces."""
        zone = master.zone if master else zone
        found = self._wall(given, zone, title)
        in_gap = _in_gap(given, given.dt, zone)
        return in_gap if in_gap is not None and master and in_gap.time() == master.start.time() else found

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
                    if name == "EXDATE" and (in_gap := _in_gap(listed, value, zone)) is not None:
                        yield in_gap


def _expect_readable(event: Any, title: str) -> None:
    """Look whether all that is read of an event can be.

    Raises:
        BadInput: It cannot.
    """
    for name, why in event.errors:
        if name in READ or not name:
            raise _wrong(title, f"{f'its {name}' if name else 'a line of it'} cannot be read: {outside(why, limit=TITLE)}")
    if double := next((name for name in ONCE if isinstance(event.get(name), list)), ""):
        raise _wrong(title, f"it has several {double}")
    if "EXRULE" in event:
        raise _wrong(title, "it has an EXRULE, which is not read", fix="Let the calendar write the days without it as EXDATE.")
    if "DTSTART" not in event:
        raise _wrong(title, "it has no DTSTART")


def _in_gap(given: Any, said: Time, zone: ZoneInfo) -> datetime | None:
    """Give the time of the wall in a gap that a calendar may mean by a time in UTC: that of the clock before the gap.

    Returns:
        The time, by the wall; None if the time is not in UTC, or does not lie that close behind a gap.
    """
    if "TZID" in given.params or not isinstance(said, datetime) or said.tzinfo is None:
        return None
    moment = said.astimezone(UTC)
    wall = (moment + ((moment - DAY).astimezone(zone).utcoffset() or timedelta())).replace(tzinfo=None)
    is_meant = wall != wall_of(moment, zone) and wall.replace(tzinfo=zone, fold=0).astimezone(UTC) == moment
    return wall if is_meant else None


def _periods(dates: list[Any], raw: Raw, title: str) -> dict[datetime, timedelta]:
    """Say of each period of an RDATE how much of its length is exact."""
    written = [one for line in raw.get("RDATE", ()) for one in line.split(",")]
    found = {}
    if len(written) != len(dates):
        raise _wrong(title, "its RDATE cannot be read")
    for date_, text in zip(dates, written, strict=True):
        if isinstance(date_, tuple):
            begin, lasts = date_
            end = text.partition("/")[2].strip().upper()
            found[begin] = hours_of(end) if "P" in end else lasts - timedelta(days=lasts.days)
    return found


def _is_each_hour(rule: Mapping[str, Any]) -> bool:
    return rule["FREQ"] == ["HOURLY"] and rule.get("INTERVAL", [1]) == [1] and "BYHOUR" not in rule


def _rules(written: Written, zone: ZoneInfo, title: str) -> list[dict[str, Any]]:
    """Give the rules by which an event recurs, with their ends by the wall."""
    given = written.event.get("RRULE", [])
    rules = []
    if doubled := next((part for part in map(twice, written.raw.get("RRULE", ())) if part), ""):
        raise _wrong(title, f"its RRULE has `{doubled}` twice")
    for rule in given if isinstance(given, list) else [given]:
        found = dict(rule)
        if (often := str(found.get("FREQ", [""])[0]).upper()) not in RECURS:
            raise _wrong(
                title, f"it recurs {often or 'without a FREQ'}, which is not read", fix="Let it recur daily, or once an hour at most."
            )
        if several := next((part for part in SINGLE if len(found.get(part, ())) > 1), ""):
            raise _wrong(title, f"its RRULE has several values of `{several}`")
        if zero := next((part for part in ("COUNT", "INTERVAL") if any(value < 1 for value in found.get(part, ()))), ""):
            raise _wrong(title, f"the `{zero}` of its RRULE must be 1 or more")
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
