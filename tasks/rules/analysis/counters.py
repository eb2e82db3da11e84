"""Counters: from cumulative counters, as scraped, to counts that can be judged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, NamedTuple

BLOCK_GROWTH = 1 / 16
LARGEST_COUNT = 2**60

_IN_TIME = attrgetter("at", "total", "bad", "started")


@dataclass(frozen=True, slots=True)
class Reading:
    """One scrape of one revision's counters.

    Attributes:
        at: Moment of the scrape in seconds since the epoch.
        revision: The revision of these counters.
        started: Identifies the counter's life; another value means that it was reset to zero.
        bad: Bad events since `started`.
        total: All events since `started`.
    """

    at: float
    revision: Literal["baseline", "canary"]
    started: str
    bad: int
    total: int


class Block(NamedTuple):
    """What both revisions did between two moments: a table of two by two."""

    canary_bad: int
    canary_total: int
    baseline_bad: int
    baseline_total: int


@dataclass(frozen=True)
class Tally:
    """The counts of one watch.

    Attributes:
        canary_bad: Bad events of the canary since its first reading.
        canary_total: All its events since then.
        baseline_bad: The same of the baseline.
        baseline_total: The same of the baseline.
        blocks: The time so far, cut into tables; what came after the last cut is in none of them.
        has_canary: Whether there was any reading of the canary.
        has_baseline: Whether there was any reading of the baseline.
    """

    canary_bad: int = 0
    canary_total: int = 0
    baseline_bad: int = 0
    baseline_total: int = 0
    blocks: tuple[Block, ...] = ()
    has_canary: bool = False
    has_baseline: bool = False


def fault(readings: Iterable[Reading]) -> str | None:
    """Return what is wrong with the first impossible reading, or None if all are possible.

    Args:
        readings: Scrapes in any order.
    """
    for reading in readings:
        if reading.revision not in {"baseline", "canary"}:
            return f"a reading belongs to the revision {reading.revision!r}, and only baseline and canary are known"
        bad, total = reading.bad, reading.total
        # A NaN compares false with everything, and no float is a count.
        if not (type(bad) is int and type(total) is int and 0 <= bad <= total <= LARGEST_COUNT and _is_moment(reading.at)):
            what = f"the {reading.revision} was read as {bad} bad of {total} at {reading.at}"
            return f"{what}, which is impossible; check the source of these counts"
    return None


def _is_moment(at: object) -> bool:
    return isinstance(at, (int, float)) and math.isfinite(at)


class _Counter:
    """Sum of one revision's counters across resets, and the part that is not in a block yet."""

    __slots__ = ("bad", "enough", "lives", "new_bad", "new_total", "total")

    def __init__(self) -> None:
        self.lives: dict[str, tuple[int, int]] = {}
        self.bad = self.total = self.new_bad = self.new_total = 0
        self.enough = 1.0

    def read(self, reading: Reading) -> None:
        bad, total = now = reading.bad, reading.total
        before = self.lives.get(reading.started)
        self.lives[reading.started] = now
        if before is None:
            if len(self.lives) == 1:
                return
            before = (0, 0)
        elif total < before[1]:
            before = (0, 0)
        self.new_total += total - before[1]
        if bad > before[0]:
            self.new_bad += bad - before[0]

    def close(self) -> tuple[int, int]:
        """Add what is new; if the source was not read at one instant, bad may run ahead of all."""
        bad, total = self.new
        self.bad, self.total, self.new_bad, self.new_total = self.bad + bad, self.total + total, 0, 0
        self.enough = max(1.0, BLOCK_GROWTH * self.total)
        return bad, total

    @property
    def new(self) -> tuple[int, int]:
        return self.new_bad, max(self.new_total, self.new_bad)

    @property
    def sums(self) -> tuple[int, int]:
        bad, total = self.new
        return self.bad + bad, self.total + total


class Counting:
    """Counts of one watch so far: fed with readings in the order of time, and read at any moment.

    The first reading of a revision is where counting starts: what a counter held before the watch is not judged. A new
    life of a counter counts from zero; a life that is seen again continues from its last value, so two sources that
    alternate are not counted twice. A total that falls within one life is an unannounced reset. Duplicates add nothing.

    A block is cut as soon as each revision has grown by a sixteenth, and by a request at least. That depends on the
    totals alone, never on what was bad, which is what keeps the test valid. A watch of a day so has some hundred blocks.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._canary, self._baseline = _Counter(), _Counter()
        self._blocks: list[Block] = []
        self._moment = -math.inf

    def add(self, reading: Reading) -> None:
        """Add a possible scrape (see `fault`); one that is earlier than the last counts as of the same moment."""
        if reading.at > self._moment:
            if self._may_cut():
                self._blocks.append(Block(*self._canary.close(), *self._baseline.close()))
            self._moment = reading.at
        (self._canary if reading.revision == "canary" else self._baseline).read(reading)

    def tally(self) -> Tally:
        """Return the counts; events after the last cut are not in a block."""
        canary, baseline = self._canary, self._baseline
        last = [Block(*canary.new, *baseline.new)] if self._may_cut() else []
        return Tally(
            *canary.sums, *baseline.sums, blocks=(*self._blocks, *last), has_canary=bool(canary.lives), has_baseline=bool(baseline.lives)
        )

    def _may_cut(self) -> bool:
        return self._canary.new_total >= self._canary.enough and self._baseline.new_total >= self._baseline.enough


def tally(readings: Sequence[Reading]) -> Tally:
    """Count a whole watch; the order of arrival does not matter.

    Args:
        readings: Possible scrapes (see `fault`) of one watch, in any order.
    """
    counting = Counting()
    for reading in sorted(readings, key=_IN_TIME):
        counting.add(reading)
    return counting.tally()
