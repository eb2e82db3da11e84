"""Rhythm of a service's traffic: a profile of the week by the wall of its zone, its quietest windows, and whether a canary decides there.

What was not measured is not known, and is never taken for no traffic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from tasks.rules.analysis.forecast import StepPower, Traffic, forecast
from tasks.rules.plan.judgement import Judgement, ProbeSli
from tasks.rules.plan.plan import Step
from tasks.rules.windows.quietest import DAY_MINUTES, WEEK_MINUTES, span_in_words
from tasks.rules.windows.zones import utc_of, wall_of, zone_of

SLOT_MINUTES = 15  # as fine as the offsets of all zones
SLOTS, DAY_SLOTS = WEEK_MINUTES // SLOT_MINUTES, DAY_MINUTES // SLOT_MINUTES
LEAST_WEEKS = 2  # a window whose time was measured in fewer weeks is not proposed
DAY = timedelta(days=1)


class Slot(NamedTuple):
    """A quarter of an hour of the week.

    Fields:
        mean: Requests in it, on average.
        most: Requests in it, in the busiest week.
        weeks: In how many weeks it was measured.
    """

    mean: float
    most: float
    weeks: int


@dataclass(frozen=True)
class Quiet:
    """A window of the week.

    Fields:
        minute: When it begins, in minutes since Monday 00:00 by the wall.
        minutes: How long it is.
        expected: Requests in it, on average.
        most: Requests in it at most: the sum of its busiest quarters.
        weeks: In how many weeks it was measured.
    """

    minute: int
    minutes: int
    expected: float
    most: float
    weeks: int

    @property
    def per_second(self) -> float:
        """Expected requests a second."""
        return self.expected / (self.minutes * 60)

    @property
    def words(self) -> str:
        """When it is, as `Tue 03:15–04:15`."""
        return span_in_words(self.minute, self.minutes)

    def next_begin(self, at: datetime, zone: str) -> datetime:
        """Give when it begins next (UTC)."""
        here = zone_of(zone)
        today = wall_of(at, here).date()
        ahead = (self.minute // DAY_MINUTES - today.weekday()) % 7
        clock = time(self.minute % DAY_MINUTES // 60, self.minute % 60)
        moments = [utc_of(datetime.combine(today + DAY * days, clock), here) for days in (ahead, ahead + 7)]
        return next((moment for moment in moments if moment > at), moments[-1])


def profile(points: Iterable[tuple[float, float]], *, zone: str, is_holiday: Callable[[date], bool] | None = None) -> list[Slot | None]:
    """Make the profile of a week; public holidays are a kind of day of their own, and no part of the days of the week.

    Args:
        points: Where a quarter of an hour begins, in seconds since the epoch, and the requests in it. What was not measured is absent.
        zone: By whose wall.
        is_holiday: Whether a day is a public holiday, if they count.

    Returns:
        A slot for each quarter from Monday 00:00 on, and then for each of a holiday, if one was measured; None for a slot
        that never was.
    """
    here, count = zone_of(zone), SLOTS + (DAY_SLOTS if is_holiday else 0)
    found: list[list[float]] = [[] for _ in range(count)]
    days: list[set[date]] = [set() for _ in range(count)]  # an hour that clocks repeat is measured twice, in one week
    for at, requests in points:
        if math.isfinite(requests) and requests >= 0:
            wall = wall_of(datetime.fromtimestamp(at, UTC), here)
            day = 7 if is_holiday and is_holiday(wall.date()) else wall.weekday()
            slot = (day * DAY_MINUTES + wall.hour * 60 + wall.minute) // SLOT_MINUTES
            found[slot].append(requests)
            days[slot].add(wall.date())
    week = [Slot(sum(seen) / len(seen), max(seen), len(on)) if seen else None for seen, on in zip(found, days, strict=True)]
    return week if any(week[SLOTS:]) else week[:SLOTS]


def quiet_windows(week: Sequence[Slot | None], *, minutes: int) -> list[Quiet]:
    """List the windows of a length whose whole time was measured in two weeks or more, the quietest first.

    Args:
        week: The profile; its holidays are not looked at.
        minutes: Their length; each begins at a quarter of an hour.
    """
    count = math.ceil(minutes / SLOT_MINUTES)
    found = []
    for first in range(SLOTS):
        slots = [week[(first + number) % SLOTS] for number in range(count)]
        known = [slot for slot in slots if slot is not None and slot.weeks >= LEAST_WEEKS]
        if len(known) < count:
            continue
        shares = [min(1.0, minutes / SLOT_MINUTES - number) for number in range(count)]  # the last quarter may be needed in part
        mean, most = (sum(slot[field] * share for slot, share in zip(known, shares, strict=True)) for field in (0, 1))
        found.append(Quiet(first * SLOT_MINUTES, minutes, mean, most, min(slot.weeks for slot in known)))
    return sorted(found, key=lambda one: (one.expected, one.most, one.minute))


def best_of_each_day(windows: Iterable[Quiet]) -> list[Quiet]:
    """Give the quietest window that begins on each day of the week, the quietest first."""
    best: dict[int, Quiet] = {}
    for one in windows:
        best.setdefault(one.minute // DAY_MINUTES, one)
    return list(best.values())


def rate_to_judge(judgement: Judgement, steps: Sequence[Step], seen: Mapping[str, Traffic], *, compared: bool = True) -> float:
    """Give the requests a second at which every watched step can decide about every SLI.

    Args:
        judgement: The plan's section.
        steps: The environment's steps.
        seen: The traffic that is measured now, for its ratio of bad requests; an SLI that is absent counts as without any.
        compared: False before the first deployment.

    Returns:
        0 if probes alone decide; infinite if a step can never pass.
    """
    probed = {sli.name for sli in judgement.slis if isinstance(sli, ProbeSli)}
    lines = forecast(
        judgement, steps, {name: one._replace(per_second=1.0) for name, one in _known(judgement, seen).items()}, compared=compared
    )
    return max((_rate(line, steps) for line in lines if line.sli not in probed), default=0.0)


def probe_minutes(judgement: Judgement, steps: Sequence[Step], *, compared: bool = True) -> float:
    """Give how long probes would need for a verdict in all steps, a request each at every reading; infinite if they cannot pass."""
    slis = [
        ProbeSli.model_construct(
            source="probe", path="/", indicator="errors", name=sli.name, tolerance=sli.tolerance, limit=sli.limit, deciding=sli.deciding
        )
        for sli in judgement.slis
    ]
    lines = forecast(judgement.model_copy(update={"slis": slis}), steps, {}, compared=compared)
    needed: dict[int, float] = {}
    for line in lines:
        needed[line.percent] = max(needed.get(line.percent, 0.0), math.inf if line.needed is None else line.needed)
    return sum(needed.values()) * judgement.interval_seconds / 60


def _known(judgement: Judgement, seen: Mapping[str, Traffic]) -> dict[str, Traffic]:
    return {sli.name: seen.get(sli.name, Traffic(1.0, 0, 0)) for sli in judgement.slis}


def _rate(line: StepPower, steps: Sequence[Step]) -> float:
    if line.needed is None:
        return math.inf
    watched = next(step.watch_seconds for step in steps if step.percent == line.percent)
    return line.needed / (watched * line.percent / 100)
