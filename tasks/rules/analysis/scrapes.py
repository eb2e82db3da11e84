"""Scrapes: from raw scrapes of many counters to their growth; every target has its own resets, and the growth is added up.

A sum of counters falls if one process of many restarts, and then shows nothing about the others. So each series is
followed separately, and only its growth is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypedDict

LARGEST_COUNT = 2**60


class Weight(NamedTuple):
    """How often one event of a series counts as bad, and as an event: (1, 1) failed, (0, 1) fine, (-1, 0) quick enough."""

    bad: int
    total: int


class Target(TypedDict):
    """Last scrapes of one target.

    Fields:
        at: The last one's moment in seconds since the epoch, by the source's clock.
        values: Count by series; only series that count at all.
        moments: When each series was scraped last. Labels may make one target of two processes; their moments tell them apart.
    """

    at: float
    values: dict[str, int]
    moments: dict[str, float]


class Lives(TypedDict):
    """All targets of one revision, and the sum of their counters.

    Fields:
        bad: Bad events: the counters' values when first seen, plus their growth since.
        total: All events, likewise.
        targets: The last scrape by target.
    """

    bad: int
    total: int
    targets: dict[str, Target]


class Sample(NamedTuple):
    """One value of one series.

    Fields:
        target: The process that was scraped.
        series: The series' labels; unlike for any two series of a target.
        at: The scrape's moment in seconds since the epoch, by the source's clock.
        value: The counter's value.
    """

    target: str
    series: str
    at: float
    value: int


def no_lives() -> Lives:
    """Start empty."""
    return Lives(bad=0, total=0, targets={})


def add_scrapes(lives: Lives, samples: Iterable[Sample], weights: Mapping[str, Weight]) -> Lives:
    """Add the samples after the last scrape of each target.

    A series that was never seen counts from zero. If any series of a target falls, its process restarted: then all series that
    were last scraped with it count from zero, those too that reappear later. Samples that are no later than the target's last are known.
    Of two values that a series has at one moment, under two spellings of a label, the larger one counts.

    Args:
        lives: The state so far.
        samples: New and old samples, in any order.
        weights: By series; one without a weight does not count.

    Returns:
        The new state; `lives` is not changed.
    """
    scrapes: dict[str, dict[float, dict[str, int]]] = {}
    for sample in samples:
        if sample.series in weights:
            found = scrapes.setdefault(sample.target, {}).setdefault(sample.at, {})
            found[sample.series] = max(sample.value, found.get(sample.series, 0))
    bad, total, targets = lives["bad"], lives["total"], dict(lives["targets"])
    for name, moments in scrapes.items():
        target = targets.get(name, Target(at=float("-inf"), values={}, moments={}))
        for at in sorted(at for at in moments if at > target["at"]):
            now = moments[at]
            before = _living(target, now)
            for series, value in now.items():
                growth = value - before.get(series, 0)
                bad += growth * weights[series].bad
                total += growth * weights[series].total
            target = Target(at=at, values={**before, **now}, moments={**target["moments"], **dict.fromkeys(now, at)})
        targets[name] = target
    return Lives(bad=bad, total=total, targets=targets)


def _living(target: Target, now: Mapping[str, int]) -> dict[str, int]:
    """Return the counts that continue: without those of a restarted process, which shows by a series that falls."""
    values, moments = target["values"], target["moments"]
    ended = {moments[series] for series, value in now.items() if value < values.get(series, 0)}
    return {series: value for series, value in values.items() if moments[series] not in ended} if ended else values


def newest(lives: Lives) -> float | None:
    """Return the moment of the newest scrape, or None without one."""
    return max((target["at"] for target in lives["targets"].values()), default=None)


class PairLife(TypedDict):
    """Two cumulative counts that are summed elsewhere.

    Fields:
        bad: The sum here: the counts when first seen, plus their growth since.
        total: All events, likewise.
        last: The counts as last accepted, bad and total; None before the first.
        low: The counts as last read, if they are lower than that; else None.
        fell_at: When they fell, in seconds since the epoch; else None.
    """

    bad: int
    total: int
    last: list[int] | None
    low: list[int] | None
    fell_at: float | None


def no_pair() -> PairLife:
    """Start empty."""
    return PairLife(bad=0, total=0, last=None, low=None, fell_at=None)


def add_pair(life: PairLife, now: Sequence[int] | None, *, at: float, patience_seconds: float) -> PairLife:
    """Add the growth of two counts; if either fell for good, counting continues from there, and the events in between are lost.

    A sum over processes falls by the counts of a process that exited, and as much if one scrape of a process was missed. Counting
    the rest from zero, as is right for one counter, would count its whole past twice, and so would continuing from there, once
    the process is back. So a fall is tolerated for a while, in which nothing is counted.

    Args:
        life: What is known.
        now: Bad and all events as read, or None if there are none yet.
        at: When they were read, in seconds since the epoch.
        patience_seconds: After this time without a further fall the missing process counts as exited.
    """
    if now is None:
        return life
    bad, total = now
    was_bad, was_total = life["last"] or (0, 0)
    if bad < was_bad or total < was_total:
        low, fell_at = life.get("low") or [was_bad, was_total], life.get("fell_at")
        fell_at = at if fell_at is None or bad < low[0] or total < low[1] else fell_at
        if at - fell_at < patience_seconds:
            return {**life, "low": [bad, total], "fell_at": fell_at}
        was_bad, was_total = bad, total
    return PairLife(bad=life["bad"] + bad - was_bad, total=life["total"] + total - was_total, last=[bad, total], low=None, fell_at=None)
