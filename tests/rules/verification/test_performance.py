"""A version's times against its limits and against the version that serves."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.plan.smoke import Performance
from tasks.rules.verification.performance import compare_times, judge_times

RULES = Performance()
SECONDS = st.lists(st.floats(0.001, 10), min_size=30, max_size=60)


def compared(canary: list[float], baseline: list[float], **rules: float) -> tuple[str, str]:
    """Compare with 1.0."""
    found = compare_times(canary, baseline, rules=Performance.model_validate(rules), other="1.0")
    return found["outcome"], found["reason"]


@pytest.mark.parametrize(
    ("canary", "baseline", "outcome", "reason"),
    [
        ([0.04] * 30, [0.04] * 30, "passed", "p90 of 30: 40 ms against 40 ms of 1.0; at most 110 ms allowed"),
        ([0.182] * 30, [0.041] * 30, "failed", "p90 of 30: 182 ms against 41 ms of 1.0; at most 112 ms allowed"),
        ([0.0031] * 30, [0.0015] * 30, "passed", "p90 of 30: 3.1 ms against 1.5 ms of 1.0; at most 52 ms allowed"),
        ([0.04] * 28 + [5.0] * 2, [0.04] * 30, "passed", "p90 of 30: 40 ms against 40 ms of 1.0"),
        ([0.04] * 25 + [5.0] * 5, [0.04] * 30, "watching", "p90 of 30: 5000 ms against 40 ms of 1.0"),
        ([0.04] * 15 + [5.0] * 15, [0.04] * 30, "failed", "p90 of 30: 5000 ms against 40 ms of 1.0"),
        ([0.2] * 30, [0.04] * 29 + [3.0], "watching", "p90 of 30: 200 ms against 40 ms of 1.0"),
        ([0.04] * 28, [0.04] * 30, "no_data", "28 runs to compare with 1.0, 29 are needed for p90"),
        ([0.04] * 30, [], "no_data", "0 runs to compare with 1.0"),
        ([], [], "no_data", "0 runs"),
    ],
    ids=["alike", "slow", "fast and double", "two outliers", "five outliers", "half slow", "a noisy baseline", "few", "one side", "none"],
)
def test_times_are_compared_by_their_quantile(canary: list[float], baseline: list[float], outcome: str, reason: str) -> None:
    """Shown slower fails, within the allowance passes, between them more runs are needed, too few are no data."""
    found = compared(canary, baseline)
    assert found[0] == outcome
    assert reason in found[1]


@pytest.mark.parametrize(
    ("canary", "outcome"), [([0.1] * 30, "passed"), ([0.7] * 30, "failed"), ([0.1] * 26 + [0.7] * 4, "watching"), ([0.1] * 3, "no_data")]
)
def test_a_step_has_its_own_limit(canary: list[float], outcome: str) -> None:
    """Where no other version runs it is all there is; the reason has the numbers."""
    found = judge_times(canary, within_seconds=0.5, rules=RULES, what="step 1")
    assert found["outcome"] == outcome
    assert "step 1" in found["reason"]


@given(SECONDS, SECONDS, st.floats(1.1, 20))
def test_a_slower_version_never_fares_better(canary: list[float], baseline: list[float], factor: float) -> None:
    """Times multiplied by the same number cannot turn a failure into a pass."""
    order = ("passed", "watching", "failed")
    before, after = compared(canary, baseline)[0], compared([seconds * factor for seconds in canary], baseline)[0]
    assert order.index(before) <= order.index(after)


@given(SECONDS)
def test_a_version_never_fails_against_its_own_times(seconds: list[float]) -> None:
    """The same runs are within any allowance."""
    assert compared(seconds, seconds, max_ratio=1, slack_seconds=0)[0] == "passed"


@given(SECONDS, SECONDS, st.randoms(use_true_random=False))
def test_the_order_of_the_runs_means_nothing(canary: list[float], baseline: list[float], drawn: random.Random) -> None:
    """Only the times count."""
    found = compared(canary, baseline)
    drawn.shuffle(canary)
    drawn.shuffle(baseline)
    assert compared(canary, baseline) == found


def test_noise_that_hits_both_rarely_fails_a_good_version() -> None:
    """Of 500 pairs of equally fast versions with heavy tails none is shown slower, at an allowance of a half."""
    drawn = random.Random(2)
    outcomes = [compared(*([0.05 * drawn.paretovariate(1.5) for _ in range(30)] for _ in range(2)), slack_seconds=0)[0] for _ in range(500)]
    assert outcomes.count("failed") <= 5
    assert outcomes.count("passed") >= 350
