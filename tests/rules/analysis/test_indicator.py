"""From a revision's counts to bad and total events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from tasks.rules.analysis.indicator import bad_and_total, snap_threshold

COUNTS: dict[str, Any] = {"started": "a", "requests": 10, "errors": 2, "buckets": {"0.1": 4, "0.25": 7, "1": 9, "+Inf": 10}}


def test_errors_are_counted_over_requests() -> None:
    """The indicator of errors uses no bucket."""
    assert bad_and_total(COUNTS, indicator="errors") == (2, 10, None)


@pytest.mark.parametrize(
    ("threshold", "bad", "bound"), [(0.05, 6, 0.1), (0.1, 6, 0.1), (0.2, 3, 0.25), (0.25, 3, 0.25), (0.3, 1, 1.0), (5.0, 1, 1.0)]
)
def test_a_threshold_is_snapped_to_the_next_bucket(threshold: float, bad: int, bound: float) -> None:
    """Slow is what lies above the smallest bound that reaches the threshold, and the bound is said."""
    assert bad_and_total(COUNTS, indicator="latency", threshold_seconds=threshold) == (bad, 10, bound)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"buckets": {}}, "buckets"),
        ({"buckets": None}, "buckets"),
        ({"buckets": {"+Inf": 10}}, "buckets"),
        ({"buckets": {"fast": 10, "+Inf": 10}}, "buckets"),
        ({"buckets": {"0.25": float("nan"), "+Inf": 10}}, "0.25"),
        ({"buckets": {"0.25": -1, "+Inf": 10}}, "0.25"),
        ({"buckets": {"0.25": "many", "+Inf": 10}}, "0.25"),
    ],
)
def test_a_broken_histogram_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    """A histogram that cannot be counted is an error that names the place, never a zero."""
    with pytest.raises(BadInput) as caught:
        bad_and_total(COUNTS | change, indicator="latency", threshold_seconds=0.25)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "counts", [{}, {"requests": None, "errors": 0}, {"requests": 3.5, "errors": 0}, {"requests": float("inf"), "errors": 0}]
)
def test_missing_counts_are_refused(counts: dict[str, Any]) -> None:
    """What was not read is not zero."""
    with pytest.raises(BadInput):
        bad_and_total(counts, indicator="errors")


def test_a_latency_without_a_threshold_is_refused() -> None:
    """Nothing is slow or fast without a threshold."""
    with pytest.raises(BadInput, match="threshold_seconds"):
        bad_and_total(COUNTS, indicator="latency")


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=20, unique=True), st.floats(0.001, 100))
def test_the_snapped_bound_is_the_nearest_above(bounds: list[float], threshold: float) -> None:
    """No other bound lies between the threshold and the chosen one."""
    chosen = snap_threshold({str(bound): 0 for bound in bounds} | {"+Inf": 0}, threshold_seconds=threshold)
    assert chosen in bounds
    assert not [bound for bound in bounds if threshold <= bound < chosen]
