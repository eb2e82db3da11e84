"""From raw scrapes of many counters to what they grew by: every target has its own life, and the growth is added up.

A sum of counters falls when one process of many begins again, and then says nothing about the others. So each series is
followed by itself, and only what it grew by is added to the rest.
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
    """What the last scrapes of one target held.

    Fields:
        at: The last one's moment in seconds since the epoch, by the source's clock.
        values: Count by series; only series that count at all.
        moments: When each series was scraped last. Labels may make one target of two processes; their moments tell them apart.
    """

    at: float
    values: dict[str, int]
    moments: dict[str, float]


class Lives(TypedDict):
    """All targets of one revision, and what their counters add up to.

    Fields:
        bad: Bad events: what the counters held when they were first seen, and what they grew by since.
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
    """Begin with nothing."""
    return Lives(bad=0, total=0, targets={})


def add_scrapes(lives: Lives, samples: Iterable[Sample], weights: Mapping[str, Weight]) -> Lives:
    """Add what came after the last scrape of each target.

    A series that was never seen counts from zero. When any series of a target falls, its process began again: then all series that
    were last scraped with it count from zero, those too that come back later. Samples that are no later than the target's last are known.
    Of two values that a series has at one moment, under two spellings of a label, the larger one counts.

    Args:
        lives: What is known.
        samples: New and old samples, in any order.
        weights: By series; one without a weight does not count.

    Returns:
        What is known then; `lives` stays as it was.
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
    """Return the counts that go on: without those of a process that began again, which some series shows by its fall."""
    values, moments = target["values"], target["moments"]
    ended = {moments[series] for series, value in now.items() if value < values.get(series, 0)}
    return {series: value for series, value in values.items() if moments[series] not in ended} if ended else values


def newest(lives: Lives) -> float | None:
    """Return the moment of the newest scrape, or None where there was none."""
    return max((target["at"] for target in lives["targets"].values()), default=None)


class PairLife(TypedDict):
    """Two cumulative counts that somebody else adds up.

    Fields:
        bad: What they add up to here: what the counts were when first seen, and what they grew by since.
        total: All events, likewise.
        last: The counts as last believed, bad and total; None before they were there.
        low: The counts as last read, where they are lower than that; else None.
        fell_at: When they fell, in seconds since the epoch; None where they have not.
    """

    bad: int
    total: int
    last: list[int] | None
    low: list[int] | None
    fell_at: float | None


def no_pair() -> PairLife:
    """Begin with nothing."""
    return PairLife(bad=0, total=0, last=None, low=None, fell_at=None)


def add_pair(life: PairLife, now: Sequence[int] | None, *, at: float, patience_seconds: float) -> PairLife:
    """Add what two counts grew by; where either fell for good, counting goes on from there, and what happened in between is lost.

    A sum over processes falls by what the one held that ended, and as much where one scrape of a process was missed. Counting the
    rest from zero, as is right for one counter, would count its whole past a second time, and so would going on from there, once
    the process is back. So a fall is borne for a while, in which nothing is counted.

    Args:
        life: What is known.
        now: Bad and all events as read, or None where there are none yet.
        at: When they were read, in seconds since the epoch.
        patience_seconds: After this time without a further fall what is missing is taken for ended.
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
