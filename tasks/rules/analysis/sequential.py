"""Sequential test, always valid, of two streams of good and bad events: evidence that may be checked after every request.

Evidence is an e-value: a number that no rule for stopping can bring above 1/alpha with more than probability alpha while
the null hypothesis is true (Ville 1939). For one table of n1 canary and n0 baseline requests and one alternative (q0, q1)

    S = P(table | q0, q1) / P(table | z, z + delta),   z = argmin over x of n1 KL(q1 | x + delta) + n0 KL(q0 | x)

is an e-value against *every* pair of ratios on the other side of the line p1 = p0 + delta, not only on it:
log E[S] = n1 log(1 + s1 (p1 - z - delta)) + n0 log(1 + s0 (p0 - z)) is concave in (p0, p1), and the conditions of its
maximum over the convex null are those of the minimum of the divergence. (Reverse information projection: Grünwald, de
Heide & Koolen 2024, "Safe testing"; for two by two tables Turner, Ly & Grünwald 2024, "Generic E-variables for exact
sequential k-sample tests that allow for optional stopping".) Tables multiply, alternatives are averaged. So the ratios
may drift from table to table, and the split of the traffic may be anything that does not look at what is bad.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.rules.analysis.counters import Block

Side = Literal["worse", "no_worse"]
Array = NDArray[np.float64]
Pair = tuple[Any, Any]

WORSE_ODDS = (1.25, 1.6, 2.2, 3.2, 5.0, 8.0, 14.0, 30.0, 100.0, 1000.0)
BETTER_ODDS = (1 / 1.5, 1 / 3, 1 / 10, 1 / 100)
OUTAGE, OUTAGE_STAKE = (0.01, 0.999), 0.2
RARE_TO_COMMON = (3e-5, 1e-3, 0.01, 0.05, 0.2)
MOST_STEPS = 60
PRECISION = 1e-7
SEGMENT = 16


class Alternatives(NamedTuple):
    """Pairs of ratios that are bet on, and the logarithm of the stake on each; arrays of shape (alternatives,)."""

    baseline: Array
    canary: Array
    log_stake: Array


@lru_cache(maxsize=256)
def alternatives(tolerance: float, side: Side) -> Alternatives:
    """Build the grid of bets: baseline ratios around the tolerance, and for each of them ratios of the canary.

    A good part of the stake is on a canary that fails nearly always: an outage must be seen within a few requests. Without
    a tolerance and for rare events the evidence depends on the odds alone, so few baseline ratios are enough.

    Args:
        tolerance: Allowed difference of ratios, 0 <= delta < 1.
        side: `worse` bets on canary > baseline + delta, `no_worse` on the opposite.
    """
    pairs: list[tuple[float, float]] = []
    for baseline in _baselines(tolerance):
        if side == "worse":
            pairs += [(baseline, _times_odds(baseline + tolerance, factor)) for factor in WORSE_ODDS]
        else:
            pairs += [(baseline, baseline)] if tolerance else []
            pairs += [(baseline, _times_odds(baseline, factor)) for factor in BETTER_ODDS[:3]]
    stakes = [1 / len(pairs)] * len(pairs)
    if side == "worse" and OUTAGE[1] > OUTAGE[0] + tolerance:
        pairs, stakes = [OUTAGE, *pairs], [OUTAGE_STAKE, *(stake * (1 - OUTAGE_STAKE) for stake in stakes)]
    baselines, canaries = np.array(pairs).T
    return Alternatives(baselines, canaries, np.log(stakes))


def _baselines(tolerance: float) -> list[float]:
    if tolerance == 0:
        return list(RARE_TO_COMMON)
    grid = [tolerance * factor for factor in (0.03, 0.3, 1.0, 3.0)]
    while grid[-1] < 0.1:  # noqa: PLR2004
        grid.append(grid[-1] * 3.5)
    return [ratio for ratio in grid if ratio + tolerance < 0.95] or [(1 - tolerance) / 2]  # noqa: PLR2004


def _times_odds(ratio: float, factor: float) -> float:
    odds = ratio / (1 - ratio) * factor
    return odds / (1 + odds)


def project(bets: Alternatives, share: Any, tolerance: float) -> Array:
    """Find for each alternative the baseline ratio z of the closest point (z, z + delta) on the line, in KL divergence.

    Starts at the closed solution for rare events (a quadratic) and corrects it by Newton's method, held in its bracket, on
    the cubic w1 (z+delta-q1) z (1-z) + w0 (z-q0) (z+delta) (1-z-delta) = 0, which has one root between q0 and q1 - delta.

    Args:
        bets: The alternatives.
        share: w1, the canary's share of the requests, a number or of shape (tables, 1); w0 is the rest.
        tolerance: delta.
    """
    q0, q1, delta = bets.baseline, bets.canary, tolerance
    rest = 1.0 - share
    z = _rare_root(q0, q1, delta, share)
    low, high = np.minimum(q0, np.maximum(q1 - delta, 0.0)), np.maximum(q0, q1 - delta)
    z = np.clip(z, low, high)
    for _ in range(MOST_STEPS):
        top, below = z + delta, z - q0
        above, here, there = top - q1, z * (1 - z), top * (1 - top)
        value = share * above * here + rest * below * there
        slope = share * (here + above * (1 - 2 * z)) + rest * (there + below * (1 - 2 * top))
        low, high = np.where(value < 0, z, low), np.where(value > 0, z, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = z - value / slope
        step = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        is_done = bool((np.abs(step - z) <= PRECISION * step).all())
        z = step
        if is_done:
            break
    return np.asarray(z)


def _rare_root(q0: Array, q1: Array, delta: float, share: Any) -> Array:
    """Solve z^2 - 2 half z - product = 0 for its positive root, without cancellation."""
    half = 0.5 * (share * (q1 - delta) + (1.0 - share) * (q0 - delta))
    product = (1.0 - share) * q0 * delta
    root = np.sqrt(half * half + product)
    return np.asarray(np.where(half > 0, half + root, product / np.maximum(root - half, 1e-300)))


def table_log_evidence(canary: Pair, baseline: Pair, *, tolerance: float, side: Side) -> Array:
    """Weigh one table, or many at once.

    Args:
        canary: Bad and all requests of the canary: whole numbers, or arrays of shape (tables, 1).
        baseline: The same of the baseline.
        tolerance: Allowed difference of ratios.
        side: What is bet on.

    Returns:
        log S of each alternative (see the module), of shape (alternatives,) or (tables, alternatives).
    """
    if isinstance(canary[1], int) and isinstance(baseline[1], int):
        return _weigh(canary, baseline, _block_gains(canary[1], baseline[1], tolerance, side))
    return _weigh(canary, baseline, _gains(canary[1] / (canary[1] + baseline[1]), tolerance, side))


class Gains(NamedTuple):
    """What each bet gains in the logarithm from one event."""

    canary_bad: Array
    canary_good: Array
    baseline_bad: Array
    baseline_good: Array


def _gains(share: Any, tolerance: float, side: Side) -> Gains:
    bets = alternatives(tolerance, side)
    z = project(bets, share, tolerance)
    top = z + tolerance
    return Gains(
        np.log(bets.canary / top), np.log((1 - bets.canary) / (1 - top)), np.log(bets.baseline / z), np.log((1 - bets.baseline) / (1 - z))
    )


def _weigh(canary: Pair, baseline: Pair, gains: Gains) -> Array:
    one = canary[0] * gains.canary_bad + (canary[1] - canary[0]) * gains.canary_good
    return np.asarray(one + baseline[0] * gains.baseline_bad + (baseline[1] - baseline[0]) * gains.baseline_good)


def difference_log_evidence(blocks: Sequence[Block], *, tolerance: float, side: Side) -> float:
    """Weigh all tables about the line canary = baseline + tolerance.

    Args:
        blocks: Tables in the order of time, cut without looking at what is bad; each has requests of both revisions.
        tolerance: Allowed difference of ratios, 0 <= delta < 1.
        side: `worse`: evidence against canary <= baseline + delta; `no_worse`: against canary >= baseline + delta.

    Returns:
        Natural logarithm of the e-value; 0 without data.
    """
    if not blocks:
        return 0.0
    segments = [_segment(tuple(blocks[start : start + SEGMENT]), tolerance, side) for start in range(0, len(blocks), SEGMENT)]
    return float(log_sum(np.add.reduce(segments) + alternatives(tolerance, side).log_stake))


@lru_cache(maxsize=8_192)
def _segment(blocks: tuple[Block, ...], tolerance: float, side: Side) -> Array:
    """Weigh a run of tables; remembered, since a watch asks again and again for the same past, and then for one table more."""
    last = blocks[-1]
    here = _weigh(last[:2], last[2:], _block_gains(last[1], last[3], tolerance, side))
    return here if len(blocks) == 1 else _segment(blocks[:-1], tolerance, side) + here


@lru_cache(maxsize=4_096)
def _block_gains(canary_total: int, baseline_total: int, tolerance: float, side: Side) -> Gains:
    """Project once for all SLIs that count the same requests."""
    return _gains(canary_total / (canary_total + baseline_total), tolerance, side)


def limit_log_evidence(bad: int, total: int, *, limit: float, side: Side) -> float:
    """Weigh the canary alone against a fixed ratio: the average of likelihood ratios (Wald 1945; Robbins 1970).

    Args:
        bad: The canary's bad events.
        total: All its events.
        limit: The ratio, 0 < limit < 1.
        side: `worse`: evidence against ratio <= limit; `no_worse`: against ratio >= limit.

    Returns:
        Natural logarithm of the e-value; 0 without data.
    """
    factors = WORSE_ODDS if side == "worse" else BETTER_ODDS
    terms = [bad * math.log(factor) - total * math.log1p(limit * (factor - 1)) for factor in factors]
    top = max(terms)
    return top + math.log(math.fsum(math.exp(term - top) for term in terms) / len(terms))


def log_sum(terms: Array) -> Any:
    """Add up over the last axis in the logarithm, without overflow."""
    top = terms.max(axis=-1)
    return top + np.log(np.exp(terms - np.expand_dims(top, -1)).sum(axis=-1))
