"""Downsampling: how many of a watch's readings are kept for pictures and samples, within the record's limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

MOST_POINTS, FEWEST_POINTS = 400, 20
MOST_VERDICTS = 4_000  # with the rows beside them about 3 MB; the record cuts evidence of more than 4 MB
T = TypeVar("T")


def most_points(slis: int) -> int:
    """Return the number of readings that are kept of a watch.

    Args:
        slis: How many SLIs are judged at each.
    """
    return max(FEWEST_POINTS, min(MOST_POINTS, MOST_VERDICTS // max(1, slis)))


@dataclass
class Thinned(Generic[T]):
    """Readings of a watch of unknown length: every n-th is kept, with n growing the longer it lasts.

    Fields:
        most: How many are kept at the end, the last besides.
        kept: At most twice as many, while readings come.
    """

    most: int
    kept: list[T] = field(default_factory=list)
    last: T | None = None
    _stride: int = 1
    _seen: int = 0

    def add(self, point: T) -> None:
        """Add the next reading."""
        if self._seen % self._stride == 0:
            self.kept.append(point)
        self._seen, self.last = self._seen + 1, point
        if len(self.kept) > 2 * self.most:
            self.kept, self._stride = self.kept[::2], 2 * self._stride

    def points(self) -> list[T]:
        """Return the kept readings: always the first and the last."""
        chosen = self.kept[:: -(-len(self.kept) // self.most) or 1]
        return chosen if self.last is None or chosen[-1] is self.last else [*chosen, self.last]
