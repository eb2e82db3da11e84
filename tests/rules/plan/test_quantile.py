"""Quantiles of few samples, and how far they can be trusted."""

from __future__ import annotations

import random
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.plan.quantile import Quantile, quantile_of, runs_needed

QUANTILES = st.floats(0.5, 0.99)


@pytest.mark.parametrize(("quantile", "runs"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_so_many_runs_bound_a_quantile(quantile: float, runs: int) -> None:
    """One run fewer says nothing; the numbers are those of the tables (0.9 ** 29 is just below 5 %)."""
    assert runs_needed(quantile) == runs
    assert quantile_of(range(runs - 1), quantile) is None
    assert quantile_of(range(runs), quantile) is not None


@pytest.mark.parametrize(
    ("count", "quantile", "found"),
    [
        (5, 0.5, Quantile(3, 1, 5, 5)),  # 1/32 of the time all five lie on one side
        (30, 0.9, Quantile(27, 24, 30, 30)),  # P(Bin(30, 0.9) <= 23) = 2.6 %, <= 24 = 7.3 %
        (100, 0.9, Quantile(90, 85, 96, 100)),
        (10, 0.5, Quantile(5, 2, 9, 10)),
    ],
)
def test_the_bounds_are_those_of_the_binomial_tables(count: int, quantile: float, found: Quantile) -> None:
    """Ranks of 1 … n, as tables of order statistics give them."""
    assert quantile_of(range(count, 0, -1), quantile) == found


@given(QUANTILES, st.lists(st.floats(0, 1e6), min_size=300, max_size=400))
def test_the_bounds_enclose_what_was_seen_and_are_samples(quantile: float, samples: list[float]) -> None:
    """Lower bound, quantile and upper bound come in this order, from the sample."""
    found = quantile_of(samples, quantile)
    assert found is not None
    assert found.low <= found.seen <= found.high
    assert {found.low, found.seen, found.high} <= set(samples)


@given(QUANTILES, st.integers(300, 4_000))
def test_at_least_its_share_lies_at_or_below_the_quantile(quantile: float, count: int) -> None:
    """And one sample fewer would be less than its share; thousands of runs are no trouble."""
    found = quantile_of(range(1, count + 1), quantile)
    assert found is not None
    assert found.seen >= quantile * count - 1e-6
    assert found.seen - 1 < quantile * count


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_each_bound_misses_the_truth_in_one_of_twenty_at_most(quantile: float) -> None:
    """Whatever the distribution: ranks alone count, so uniform samples stand for all."""
    drawn = random.Random(1)
    found = [quantile_of([drawn.random() for _ in range(40)], quantile) for _ in range(1_000)]
    lows, highs = ([getattr(one, bound) for one in found] for bound in ("low", "high"))
    assert sum(low > quantile for low in lows) <= 70
    assert sum(high < quantile for high in highs) <= 70
    assert bisect_left(sorted(lows), quantile) > 0
