"""Sync windows of Argo CD: when a project's cron schedules let an Application sync, and until when they do not.

Rules of https://argo-cd.readthedocs.io/en/stable/user-guide/sync_windows/: an active `deny` forbids; else an active `allow` permits; else
any `allow` that is not active forbids. A sync by hand passes if every window that forbids has `manualSync`. Pure: the clock is an argument.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

Json = Mapping[str, Any]
HORIZON = timedelta(days=8)
MOST_DURATION = timedelta(days=31)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, MONTHS), (0, 6, DAYS))
PART = re.compile(r"(?:\*|\?|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
ANY = {"*", "?", "*/1", "?/1"}
ALWAYS, NEVER = {"schedule": "* * * * *", "duration": "24h"}, {"schedule": "0 0 31 2 *", "duration": "1m"}
MOMENT = timedelta(seconds=1)


@dataclass(frozen=True)
class Closed:
    """No sync may begin now.

    Fields:
        until: When one may, in UTC; None if that is more than eight days off, or not known.
    """

    until: datetime | None

    def __str__(self) -> str:
        """Say it in words."""
        return f"sync window until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else "sync window, whose end is not known"


@dataclass(frozen=True)
class _Window:
    allows: bool
    manual: bool
    starts: tuple[datetime, ...]  # in UTC
    lasts: timedelta

    def is_active(self, at: datetime) -> bool:
        last = bisect_left(self.starts, at)
        return last > 0 and at < self.starts[last - 1] + self.lasts


def matching(windows: Sequence[dict[str, Any]], application: Json) -> list[dict[str, Any]]:
    """List the windows of a project that are an Application's."""
    return [window for window in windows if _matches(window, application)]


def without_zones(windows: Sequence[dict[str, Any]], active: Sequence[Json], now: datetime) -> list[dict[str, Any]]:
    """Make windows of what Argo CD's API says of an Application, which leaves their time zones out.

    Args:
        windows: All of the Application's.
        active: Those that are active now.
        now: With its time zone.

    Returns:
        The windows; one that is not as it would be in UTC stays as it is now.
    """
    found = []
    for window in windows:
        is_active = window in active
        try:
            same = _read(window, now.astimezone(UTC)).is_active(now) == is_active
        except (ValueError, KeyError):
            same = True
        found.append(window if same else {**window, **(ALWAYS if is_active else NEVER)})
    return found


def closed(windows: Sequence[Json], now: datetime, *, manual: bool) -> Closed | None:
    """Say whether windows keep a sync from beginning.

    Args:
        windows: Of the Application, see `matching`.
        now: With its time zone.
        manual: Whether it is a sync by hand.

    Returns:
        Until when; None if a sync may begin, or if a window cannot be read (Argo CD itself then says so).
    """
    now = now.astimezone(UTC)
    try:
        read = [_read(window, now) for window in windows]
    except (ValueError, KeyError):
        return None
    if _may_sync(read, now, manual=manual):
        return None
    ends = {start + window.lasts for window in read for start in window.starts} | {start for window in read for start in window.starts}
    known = (end for end in sorted(ends) if now < end < now + HORIZON)
    return Closed(next((end for end in known if _may_sync(read, end + MOMENT, manual=manual)), None))


def _may_sync(windows: Sequence[_Window], at: datetime, *, manual: bool) -> bool:
    active = [window for window in windows if window.is_active(at)]
    forbidding = [window for window in active if not window.allows]
    if not forbidding and not active:
        forbidding = [window for window in windows if window.allows]
    return not forbidding or (manual and all(window.manual for window in forbidding))


def _read(window: Json, now: datetime) -> _Window:
    lasts = _duration(str(window["duration"]))
    offset = now.astimezone(_zone(str(window.get("timeZone") or "UTC"))).utcoffset() or timedelta()
    local = (now + offset).replace(tzinfo=None)  # as Argo CD does it: today's offset counts for all days
    starts = tuple(start.replace(tzinfo=UTC) - offset for start in _starts(str(window["schedule"]), local - lasts, local + HORIZON))
    return _Window(window.get("kind") == "allow", bool(window.get("manualSync")), starts, lasts)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return ZoneInfo("UTC")  # as Argo CD does


def _duration(text: str) -> timedelta:
    """Read a duration in Go's words, as 1h30m."""
    found = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)", text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise ValueError(text)
    return min(timedelta(seconds=sum(float(number) * UNITS[unit] for number, unit in found)), MOST_DURATION)


def _starts(schedule: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    parts = schedule.split()
    if len(parts) != len(FIELDS):
        raise ValueError(schedule)
    minutes, hours, days, months, weekdays = (
        _numbers(part, low, high, names) for part, (low, high, names) in zip(parts, FIELDS, strict=True)
    )
    either = not any(ANY & set(part.split(",")) for part in (parts[2], parts[4]))  # cron's own rule: two restricted days are joined by "or"
    day = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= end:
        fits = (day.day in days, day.isoweekday() % 7 in weekdays)
        if day.month in months and (any(fits) if either else all(fits)):
            moments = (day.replace(hour=hour, minute=minute) for hour in sorted(hours) for minute in sorted(minutes))
            yield from (moment for moment in moments if begin <= moment <= end)
        day += timedelta(days=1)


def _numbers(field: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        match = PART.fullmatch(part.lower())
        if match is None:
            raise ValueError(field)
        first = _number(match["first"], low, names) if match["first"] else low
        last = _number(match["last"], low, names) if match["last"] else (first if match["first"] and not match["step"] else high)
        step = int(match["step"] or 1)
        if not low <= first <= last <= high or step == 0:
            raise ValueError(field)
        found |= set(range(first, last + 1, step))
    return found


def _number(word: str, low: int, names: tuple[str, ...]) -> int:
    return names.index(word) + low if word in names else int(word)


def _matches(window: Json, application: Json) -> bool:
    destination = application["spec"].get("destination") or {}
    asked = (
        (window.get("applications"), (application["metadata"]["name"],)),
        (window.get("clusters"), (destination.get("name"), destination.get("server"))),
        (window.get("namespaces"), (destination.get("namespace"),)),
    )
    fits = [any(name and fnmatchcase(name, one) for one in patterns for name in names) for patterns, names in asked if patterns]
    return bool(fits) and (all(fits) if window.get("andOperator") else any(fits))
