"""Window: times in which production may change (allow) or must not (deny), as intervals in UTC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from tasks.rules.windows.cron import DAY, MINUTE, read_cron
from tasks.rules.windows.zones import utc_of, wall_of, zone_of

Kind = Literal["allow", "deny"]
ALWAYS_FROM, EVER_UNTIL = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class Interval(NamedTuple):
    """From a moment on until another, which is not part of it; both in UTC."""

    begin: datetime
    end: datetime


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
        lasts: How long it is open: whole minutes, which are exact, or with `by_wall` whole days, which end at the same time of the wall.
        by_wall: Whether it lasts days by the wall.
        begins: When it opens once, by the wall; None for always before.
        ends: When it closes, by the wall; None for ever after.
        is_unknown: Whether it denies every time, as it is not known when it is open.
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
    is_unknown: bool = False


def intervals(window: Window, since: datetime, until: datetime) -> Iterator[Interval]:
    """List when a window is open, in rising order; neighbours neither touch nor overlap.

    Args:
        window: The window.
        since: Intervals that ended by then are left out (UTC).
        until: No day is looked at behind this moment (UTC); an interval may reach beyond it, and ends where the last such day's does.

    Yields:
        Intervals.

    Raises:
        BadInput: This machine does not know its zone.
    """
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


def _joined(found: Iterable[Interval]) -> Iterator[Interval]:
    """Join intervals that touch or overlap."""
    last: Interval | None = None
    for one in found:
        if last is None:
            last = one
        elif one.begin <= last.end:
            last = Interval(last.begin, max(last.end, one.end))
        else:
            yield last
            last = one
    if last is not None:
        yield last
