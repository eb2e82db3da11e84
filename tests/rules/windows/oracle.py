"""A slow second opinion: go through every minute of a span, and mark those in which a window is open."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

from tasks.rules.windows.window import Window

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def open_minutes(groups: Sequence[Sequence[Window]], since: datetime, *, days: int, before: int) -> list[bool]:
    """Say for each minute from `since` on if it is open; starts of up to so many days before count, too."""
    begin, count = since - before * DAY, (days + before) * 1440
    found = [True] * count
    for group in groups:
        allows = [covered(window, begin, count) for window in group if window.kind == "allow"]
        denies = [covered(window, begin, count) for window in group if window.kind == "deny"]
        for number in range(count):
            allowed = not allows or any(one[number] for one in allows)
            found[number] &= allowed and not any(one[number] for one in denies)
    return found[before * 1440 :]


@cache
def _walls(zone: str, begin: datetime, count: int) -> tuple[list[datetime], list[datetime]]:
    """Give the wall time of each minute, and the highest one so far."""
    known = ZoneInfo(zone)
    walls = [(begin + MINUTE * number).astimezone(known).replace(tzinfo=None) for number in range(count)]
    return walls, list(accumulate(walls, max))


@cache
def _simulated(cron: str, first: datetime, last: datetime) -> list[datetime]:
    """Let cronsim say at which minutes of a wall without changes of the clock a line matches."""
    return list(takewhile(lambda wall: wall <= last, CronSim(cron, first - MINUTE)))


@cache
def covered(window: Window, begin: datetime, count: int) -> list[bool]:
    """Mark the minutes in which one window is open."""
    walls, highest = _walls(window.zone, begin, count + 1440)
    edges = [0] * (len(walls) + 1)
    for start, wall in _starts(window.cron, walls, highest):
        # The first minute that reaches a wall time is the first of a repeated hour, or the one behind a gap.
        end = bisect_left(highest, wall + window.lasts) if window.by_wall else start + window.lasts // MINUTE
        edges[start] += 1
        edges[min(max(end, start), len(walls))] -= 1
    return [level > 0 for level in accumulate(edges)][:count]


def _starts(cron: str, walls: list[datetime], highest: list[datetime]) -> list[tuple[int, datetime]]:
    wanted = _simulated(cron, min(walls), max(walls))
    if any(field.startswith("*") for field in cron.split()[:2]):
        matching = set(wanted)
        return [(number, wall) for number, wall in enumerate(walls) if wall in matching]
    return [(number, wall) for wall in wanted if (number := bisect_left(highest, wall)) < len(walls)]


def utc(*when: int) -> datetime:
    """Give a moment in UTC."""
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc]
