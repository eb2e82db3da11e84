"""Cron: the starts of a recurring window, day by day, as runs of starts that follow each other closely.

A line with hours and minutes of its own is about the wall: a start in a gap comes at the first instant behind it, and of a repeated
hour the first counts. One that begins with `*` in its minutes or hours follows the clock as it passes, as Debian's cron and cronsim do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tasks.rules.windows.zones import utc_of, wall_of

FIELDS = 5
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
FIX = "Write minute, hour, day of the month, month and day of the week, as `0 22 * * 1-5`."
SOME_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - the wall's


class Run(NamedTuple):
    """Starts of one day of which each lies within a window's duration of the one before it.

    Fields:
        first: The first start, in UTC.
        last: The last start, in UTC.
        last_wall: The wall time of the last start, as cron says it.
    """

    first: datetime
    last: datetime
    last_wall: datetime


@dataclass(frozen=True)
class Cron:
    """A cron line, parsed.

    Fields:
        line: Its five fields.
        parsed: What cronsim made of it.
        minutes: The minutes of a day at which it starts, in order, if the day matches.
        follows_clock: Whether it follows the clock rather than the wall on the nights on which these differ.
    """

    line: str
    parsed: CronSim
    minutes: tuple[int, ...]
    follows_clock: bool

    def days(self, since: date, until: date) -> Iterator[date]:
        """List the days that match, from the first to the last one."""
        day = since
        while day <= until:
            if day.month in self.parsed.months and self.parsed.match_day(day):
                yield day
            day += DAY

    def runs(self, day: date, zone: ZoneInfo, *, within: timedelta) -> list[Run]:
        """List a matching day's starts, in runs.

        Args:
            day: The day.
            zone: Its zone.
            within: A start belongs to the run of the one before it if it lies at most this far behind it.
        """
        midnight = datetime.combine(day, time())
        if _is_plain(midnight, zone):
            begin = midnight.replace(tzinfo=zone).astimezone(UTC)
            return [Run(begin + first, begin + last, midnight + last) for first, last in _pairs(self.minutes, within)]
        starts = self._by_clock(midnight, zone) if self.follows_clock else self._by_wall(midnight, zone)
        runs: list[Run] = []
        for start, wall in starts:
            if runs and start - runs[-1].last <= within:
                runs[-1] = Run(runs[-1].first, start, wall)
            else:
                runs.append(Run(start, start, wall))
        return runs

    def _by_wall(self, midnight: datetime, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
        walls = [midnight + timedelta(minutes=minute) for minute in self.minutes]
        return sorted((utc_of(wall, zone), wall) for wall in walls)

    def _by_clock(self, midnight: datetime, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
        begin, end, wanted = utc_of(midnight, zone), utc_of(midnight + DAY, zone), set(self.minutes)
        moments = [begin + MINUTE * number for number in range(int((end - begin) / MINUTE))]
        walls = [(moment, wall_of(moment, zone)) for moment in moments]
        return [(moment, wall) for moment, wall in walls if wall.date() == midnight.date() and wall.hour * 60 + wall.minute in wanted]


@lru_cache(maxsize=1_000)
def read_cron(line: str) -> Cron:
    """Parse a cron line of five fields.

    Raises:
        ValueError: It is not one; says what is wrong.
    """
    fields = line.split()
    if len(fields) != FIELDS or not line.isascii():
        raise ValueError(f"a cron line has {FIELDS} fields, and this has {len(fields)}")
    try:
        parsed = CronSim(line, SOME_DAY)
        next(parsed)
    except CronSimError as error:
        raise ValueError(f"`{line}` is not a cron line: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError(f"`{line}` matches no day in 50 years") from None
    minutes = tuple(hour * 60 + minute for hour in sorted(parsed.hours) for minute in sorted(parsed.minutes))
    return Cron(line, parsed, minutes, follows_clock=fields[0].startswith("*") or fields[1].startswith("*"))


def cron_fault(line: str) -> str | None:
    """Say what is wrong with a cron line; None if nothing is."""
    try:
        read_cron(line)
    except ValueError as error:
        return str(error)
    return None


@lru_cache(maxsize=1_000)
def _pairs(minutes: tuple[int, ...], within: timedelta) -> tuple[tuple[timedelta, timedelta], ...]:
    """Part the minutes of a day into runs, each with its first and last start from midnight on."""
    pairs: list[tuple[timedelta, timedelta]] = []
    for start in (MINUTE * minute for minute in minutes):
        if pairs and start - pairs[-1][1] <= within:
            pairs[-1] = (pairs[-1][0], start)
        else:
            pairs.append((start, start))
    return tuple(pairs)


def _is_plain(midnight: datetime, zone: ZoneInfo) -> bool:
    """Say if a day has 24 hours, each once: then the wall and the clock agree."""
    return midnight.replace(tzinfo=zone).utcoffset() == (midnight + DAY).replace(tzinfo=zone).utcoffset()
