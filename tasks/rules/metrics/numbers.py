"""Ratio, spread and newest moment: the forms of every figure; where there is nothing to divide or to order, the figure is None, not 0."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Self

NINE_OF_TEN = 0.9


@dataclass(frozen=True, slots=True)
class Ratio:
    """Some of several.

    Fields:
        part: How many, or how much.
        whole: Of how many.
    """

    part: float
    whole: float

    @property
    def value(self) -> float | None:
        """`part / whole`, from 0 to 1; None if the whole is 0."""
        return self.part / self.whole if self.whole else None


@dataclass(frozen=True, slots=True)
class Spread:
    """Several durations.

    Fields:
        count: How many there are.
        median_seconds: The median; None of none.
        p90_seconds: Nine of ten are not longer: the nearest rank, so of fewer than ten the longest; None of none.
    """

    count: int
    median_seconds: float | None
    p90_seconds: float | None

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Order durations, in seconds."""
        if not seconds:
            return cls(0, None, None)
        ordered = sorted(seconds)
        return cls(len(ordered), median(ordered), ordered[math.ceil(NINE_OF_TEN * len(ordered)) - 1])


def newest(ended: Iterable[tuple[str, datetime | None]]) -> dict[str, datetime]:
    """Choose the newest end of each name, in order of the names."""
    found: dict[str, datetime] = {}
    for name, at in ended:
        if at is not None and (name not in found or at > found[name]):
            found[name] = at
    return dict(sorted(found.items()))
