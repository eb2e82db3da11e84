"""The test's arithmetic against what can be computed exactly, and its promise under peeking."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.analysis.counters import BLOCK_GROWTH, Block
from tasks.rules.analysis.intervals import difference_low, ratio_bounds
from tasks.rules.analysis.sequential import (
    Side,
    alternatives,
    difference_log_evidence,
    limit_log_evidence,
    log_sum,
    project,
    table_log_evidence,
)

SIDES: st.SearchStrategy[Side] = st.sampled_from(["worse", "no_worse"])


@given(
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    tolerance=st.sampled_from([0.0, 1e-4, 0.01, 0.2, 0.6]),
    side=SIDES,
    place=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_the_expected_evidence_of_a_table_is_at_most_one(
    sizes: tuple[int, int], tolerance: float, side: Side, place: tuple[float, float, float]
) -> None:
    """Summed over every possible table, no bet gains on average against any pair of ratios of the null hypothesis."""
    (canary, baseline), (ratio, along, inside) = sizes, place
    line = ratio * (1 - tolerance)
    p0, p1 = line, line + tolerance
    if side == "worse":
        p0, p1 = p0 + inside * (1 - p0), p1 * (1 - along)
    else:
        p0, p1 = p0 * (1 - along), p1 + inside * (1 - p1)
    expected = 0.0
    for a, b in itertools.product(range(canary + 1), range(baseline + 1)):
        likely = math.comb(canary, a) * p1**a * (1 - p1) ** (canary - a) * math.comb(baseline, b) * p0**b * (1 - p0) ** (baseline - b)
        expected += likely * np.exp(table_log_evidence((a, canary), (b, baseline), tolerance=tolerance, side=side))
    assert np.all(expected <= 1 + 1e-9)


@pytest.mark.parametrize("side", ["worse", "no_worse"])
@pytest.mark.parametrize("tolerance", [0.0, 1e-5, 0.001, 0.05, 0.5, 0.99])
@pytest.mark.parametrize("share", [1e-6, 0.001, 0.05, 0.5, 0.95, 0.999999])
def test_the_projection_is_the_minimum(side: Side, tolerance: float, share: float) -> None:
    """The divergence's slope along the line is zero at the projected point, for every bet and split of the traffic."""
    bets = alternatives(tolerance, side)
    z = project(bets, share, tolerance)
    top = z + tolerance
    slope = share * (top - bets.canary) / (top * (1 - top)) + (1 - share) * (z - bets.baseline) / (z * (1 - z))
    scale = share * bets.canary / (top * (1 - top)) + (1 - share) * bets.baseline / (z * (1 - z))
    assert np.all(np.abs(slope) <= 1e-6 * scale)


@given(st.integers(0, 40), st.integers(0, 4_000), st.sampled_from([0.001, 0.05, 0.5, 0.99]))
def test_evidence_against_a_limit_has_one_direction(bad: int, good: int, limit: float) -> None:
    """Evidence that the canary is above its limit and evidence that it is below are never both at hand."""
    above, below = (limit_log_evidence(bad, bad + good, limit=limit, side=side) for side in ("worse", "no_worse"))
    assert min(above, below) <= 1e-9


@pytest.mark.parametrize("side", ["worse", "no_worse"])
@pytest.mark.parametrize("tolerance", [0.0, 1e-6, 0.01, 0.3, 0.96, 1 - 1e-6])
def test_the_stakes_add_up_to_one(side: Side, tolerance: float) -> None:
    """No more is staked than there is, which is what makes the average of all bets fair."""
    assert np.exp(alternatives(tolerance, side).log_stake).sum() == pytest.approx(1)


def test_without_data_there_is_no_evidence() -> None:
    """Nothing seen weighs nothing, in each of the four questions."""
    assert difference_log_evidence([], tolerance=0.01, side="worse") == 0
    assert limit_log_evidence(0, 0, limit=0.05, side="worse") == pytest.approx(0)


def test_blocks_weigh_the_same_in_one_sum_and_one_by_one() -> None:
    """What is remembered of past blocks equals what is computed anew."""
    blocks = [Block(index % 3, 10 + index, index % 2, 90) for index in range(40)]
    stakes = alternatives(0.01, "worse").log_stake
    tables = [table_log_evidence(block[:2], block[2:], tolerance=0.01, side="worse") for block in blocks]
    assert difference_log_evidence(blocks, tolerance=0.01, side="worse") == pytest.approx(log_sum(np.sum(tables, axis=0) + stakes))


@pytest.mark.parametrize(("bad", "total"), [(0, 1), (1, 1), (0, 1000), (1, 1000), (500, 1000), (999, 1000), (7, 10**9), (10**9, 10**12)])
def test_a_bound_is_where_the_evidence_reaches_its_mark(bad: int, total: int) -> None:
    """At each bound the mixture's likelihood ratio is exactly 1/alpha."""
    alpha = 0.01
    mixture = math.lgamma(bad + 0.5) + math.lgamma(total - bad + 0.5) - math.lgamma(total + 1) - math.log(math.pi)
    low, high = ratio_bounds(bad, total, alpha=alpha)
    assert low <= bad / total <= high
    for bound in {low, high} - {0.0, 1.0}:
        ratio = mixture - bad * math.log(bound) - (total - bad) * math.log1p(-bound)
        assert ratio == pytest.approx(-math.log(alpha), abs=0.05 if total > 10**10 else 1e-3)


def test_the_least_difference_grows_with_the_data() -> None:
    """The same ratios say more with more requests, and never more than was seen."""
    least = [difference_low((10 * size, 100 * size), (10 * size, 1000 * size), floor=0.01, alpha=0.01) for size in (1, 4, 16, 64)]
    assert least == sorted(least)
    assert 0.01 <= least[0] < least[-1] < 0.09


@pytest.mark.parametrize(("baseline", "tolerance", "share"), [(0.05, 0.0, 0.5), (0.01, 0.01, 0.1), (0.001, 0.02, 0.3)])
def test_false_alarms_stay_below_alpha_under_peeking(baseline: float, tolerance: float, share: float) -> None:
    """Of 300 canaries exactly as bad as allowed, looked at after every request, no more fail or pass than alpha promises.

    The bound is alpha plus four standard errors: a false refusal of this test once in some 30,000 seeds at the worst.
    """
    streams, alpha, rng = 300, 0.01, np.random.default_rng(7)
    sides: tuple[Side, Side] = ("worse", "no_worse")
    sums = {side: np.tile(alternatives(tolerance, side).log_stake, (streams, 1)) for side in sides}
    reached = {side: np.zeros(streams, dtype=bool) for side in sums}
    n, m = np.zeros((streams, 1)), np.zeros((streams, 1))
    for _ in range(60):
        new_n = np.ceil(np.maximum(1, BLOCK_GROWTH * n))
        new_m = rng.negative_binomial(new_n, share) + 1.0
        a, b = rng.binomial(new_n.astype(int), baseline + tolerance), rng.binomial(new_m.astype(int), baseline)
        n, m = n + new_n, m + new_m
        for side, reach in reached.items():
            sums[side] += table_log_evidence((a, new_n), (b, new_m), tolerance=tolerance, side=side)
            reach |= log_sum(sums[side]) >= -math.log(alpha)  # noqa: PLW2901 in place
    most = alpha + 4 * math.sqrt(alpha * (1 - alpha) / streams)
    assert all(hits.mean() <= most for hits in reached.values())
