"""Window: times in which production may change (allow) or must not (deny), as intervals in UTC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Literal, NamedTuple

from tasks.rules.windows.cron import DAY, MINUTE, read_cron
from tasks.rules.windows.holidays import Holidays, days_of
from tasks.rules.windows.rrule import starts_of
from tasks.rules.windows.zones import utc_of, wall_of, zone_of

Kind = Literal["allow", "deny"]
ALWAYS_FROM, EVER_UNTIL = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
UNKNOWN = "what it says is not known"
LONGEST_REASON = 300


class Interval(NamedTuple):
    """From a moment on until another, which is not part of it, both in UTC; and the name of its day or event, if it has one."""

    begin: datetime
    end: datetime
    reason: str = ""


@dataclass(frozen=True)
class Calendar:
    """What a calendar said when it was last read.

    Fields:
        spans: Its events, in rising order.
        until: How far they are known (UTC); None if it was never read.
        digest: Of what it says, see `ics.read_events`.
        note: What people should know: how old it is, and why it cannot be read; "" if it was read lately.
    """

    spans: tuple[Interval, ...] = ()
    until: datetime | None = None
    digest: str = ""
    note: str = ""


@dataclass(frozen=True)
class Window:
    """An allow or deny window.

    Fields:
        kind: Whether it allows or denies; a freeze denies.
        zone: The IANA name of the zone of all its times.
        reason: Why it is there.
        owner: Whom to ask about it.
        origin: Where it is written: `plan`, `policy NAME`.
        cron: When it opens, a cron line; "" for a window of one time.
        rrule: When it opens, a rule of RFC 5545 whose first start is `begins`; "" for a window of another kind.
        lasts: How long it is open: whole minutes, which are exact, or with `by_wall` whole days, which end at the same time of the wall.
        by_wall: Whether it lasts days by the wall.
        begins: When it opens once, by the wall; None for always before.
        ends: When it closes, by the wall; None for ever after.
        is_unknown: Whether it denies every time, as it is not known when it is open.
        holidays: Whose public holidays it is open on, from midnight to midnight; None for a window of another kind.
        ics: The address of the calendar whose events it is open in; "" for a window of another kind.
        calendar: What that calendar says. If it is None, or was never read, a window that allows is never open, and one that denies always.
    """

    kind: Kind
    zone: str
    reason: str
    owner: str
    origin: str = "plan"
    cron: str = ""
    lasts: timedelta = timedelta()
    by_wall: bool = False
    begins: datetime | None = None
    ends: datetime | None = None
    holidays: Holidays | None = None
    ics: str = ""
    calendar: Calendar | None = None
    is_unknown: bool = False
    rrule: str = ""

    def within(self, interval: Interval) -> Window:
        """Give the window as it is in one of its intervals, whose own reason is added."""
        return replace(self, reason=f"{self.reason}: {interval.reason}") if interval.reason else self


def intervals(window: Window, since: datetime, until: datetime) -> Iterator[Interval]:
    """List when a window is open, in rising order; neighbours do not overlap, and touch only if their reasons differ.

    Args:
        window: The window.
        since: Intervals that ended by then are left out (UTC).
        until: No day is looked at behind this moment (UTC); an interval may reach beyond it, and ends where the last such day's does.

    Yields:
        Intervals.

    Raises:
        BadInput: This machine does not know its zone.
    """
    if window.ics:
        found = _by_calendar(window, until)
    elif window.rrule and window.begins:
        found = _by_rule(window, window.begins, since, until)
    elif window.holidays:
        found = _on_holidays(window, window.holidays, since, until)
    else:
        found = _recurring(window, since, until) if window.cron else _once(window)
    return (one for one in _joined(found) if one.end > since)


def _once(window: Window) -> Iterator[Interval]:
    zone = zone_of(window.zone)
    begin = utc_of(window.begins, zone) if window.begins else ALWAYS_FROM
    end = utc_of(window.ends, zone) if window.ends else EVER_UNTIL
    if begin < end:
        yield Interval(begin, end)


def _recurring(window: Window, since: datetime, until: datetime) -> Iterator[Interval]:
    zone, cron = zone_of(window.zone), read_cron(window.cron)
    for day in cron.days(wall_of(since - window.lasts, zone).date() - 2 * DAY, wall_of(until, zone).date()):
        for run in cron.runs(day, zone, within=max(window.lasts, MINUTE)):
            end = utc_of(run.last_wall + window.lasts, zone) if window.by_wall else run.last + window.lasts
            if run.first < end:
                yield Interval(run.first, end)


def _by_rule(window: Window, first: datetime, since: datetime, until: datetime) -> Iterator[Interval]:
    zone = zone_of(window.zone)
    for start in starts_of(window.rrule, first, wall_of(since - window.lasts, zone) - 2 * DAY, wall_of(until, zone)):
        begin = utc_of(start, zone)
        end = utc_of(start + window.lasts, zone) if window.by_wall else begin + window.lasts
        if begin < end:
            yield Interval(begin, end)


def _on_holidays(window: Window, whose: Holidays, since: datetime, until: datetime) -> Iterator[Interval]:
    zone = zone_of(window.zone)
    for day, name in days_of(whose, wall_of(since, zone).date() - DAY, wall_of(until, zone).date()):
        begin = datetime.combine(day, time())
        yield Interval(utc_of(begin, zone), utc_of(begin + DAY, zone), name)


def _by_calendar(window: Window, until: datetime) -> Iterator[Interval]:
    """List the events of a calendar; while it is not known what it says, production is closed."""
    known = window.calendar or Calendar()
    yield from (one for one in known.spans if one.begin <= until)
    if window.kind == "deny":
        yield Interval(known.until or ALWAYS_FROM, EVER_UNTIL, UNKNOWN)


def _joined(found: Iterable[Interval]) -> Iterator[Interval]:
    """Join intervals that overlap, or touch and have the same reason."""
    last: Interval | None = None
    for one in found:
        if last is None:
            last = one
        elif one.begin < last.end or (one.begin == last.end and one.reason == last.reason):
            last = Interval(last.begin, max(last.end, one.end), _both(last.reason, one.reason))
        else:
            yield last
            last = one
    if last is not None:
        yield last


def _both(reason: str, other: str) -> str:
    """Give the reasons of two intervals that became one; many are cut off."""
    if not other or other in reason.split("; ") or len(reason) + len(other) + 2 > LONGEST_REASON:
        return reason or other
    return f"{reason}; {other}" if reason else other
