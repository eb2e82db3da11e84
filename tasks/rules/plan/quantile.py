"""Quantile of a small sample, with bounds for any distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of a sample.

    Fields:
        seen: The sample's own: the smallest value that at least this share of the samples does not exceed.
        low: The true one is at least this, with 95 % probability.
        high: It is at most this, with 95 % probability.
        count: How many samples.
    """

    seen: float
    low: float
    high: float
    count: int


def runs_needed(quantile: float) -> int:
    """Return how many samples a quantile needs to be bounded on both sides.

    Args:
        quantile: Between 0 and 1.

    Returns:
        The smallest number with which neither the smallest nor the largest sample misses it with more than 5 % probability.
    """
    return math.ceil(math.log(ALPHA) / math.log(max(quantile, 1 - quantile)))


def quantile_of(samples: Sequence[float], quantile: float) -> Quantile | None:
    """Find a quantile with its bounds.

    How many of n independent samples lie below the true q-quantile is binomial (n, q), so ranks of the ordered samples
    bound it without knowing the distribution (Conover, Practical Nonparametric Statistics, 1999, section 3.2; David &
    Nagaraja, Order Statistics, 2003, section 7.1). Times that drift together are less certain than this says; asking
    both versions by turns makes them drift alike.

    Args:
        samples: In any order and unit.
        quantile: Between 0 and 1.

    Returns:
        It and its bounds, or None if there are too few samples.
    """
    count = len(samples)
    if count < runs_needed(quantile):
        return None
    ordered = sorted(samples)
    below = _cumulative(count, quantile)
    low = max(rank for rank in range(1, count + 1) if rank == 1 or below[rank - 1] <= ALPHA)
    high = min(rank for rank in range(1, count + 1) if rank == count or below[rank - 1] >= 1 - ALPHA)
    seen = math.ceil(round(quantile * count, 9))
    return Quantile(ordered[seen - 1], ordered[low - 1], ordered[high - 1], count)


def _cumulative(count: int, ratio: float) -> list[float]:
    """Return the probability of at most k of n, for k from 0 to n - 1; by logarithms, for n in the thousands."""
    total, sums = 0.0, []
    for k in range(count):
        ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        total += math.exp(ways + k * math.log(ratio) + (count - k) * math.log1p(-ratio))
        sums.append(total)
    return sums
