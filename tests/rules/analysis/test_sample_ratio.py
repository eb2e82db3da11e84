"""The sample ratio: a canary that gets another share of the requests than was set is noticed, and one that gets its share is not."""

from __future__ import annotations

import random

import pytest

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.analysis.sample_ratio import ALPHA, SETTLE_SECONDS, SampleRatio, is_mismatch, outcome_with_mismatch


@pytest.mark.parametrize(
    ("canary", "total", "percent", "expected"),
    [
        (110, 1_000, 25, True),  # 11 % came
        (550, 1_000, 25, True),
        (0, 100, 25, True),
        (60, 60, 25, True),
        (250, 1_000, 25, False),
        (2_300, 10_000, 25, False),  # within a factor of 1.5 of the odds, however many come
        (2_900, 10_000, 25, False),
        (1_400, 10_000, 25, True),
        (3, 10, 25, False),  # too few
        (0, 20, 25, False),
        (70, 10_000, 1, False),
        (0, 10_000, 1, True),
        (0, 0, 50, False),
    ],
)
def test_a_share_that_is_far_from_what_was_set_is_a_mismatch(canary: int, total: int, percent: int, expected: bool) -> None:  # noqa: FBT001
    """Too little and too much."""
    assert is_mismatch(canary, total, percent=percent) is expected


@pytest.mark.parametrize("percent", [1, 10, 50])
def test_a_canary_that_gets_its_share_is_hardly_ever_a_mismatch_however_often_one_looks(percent: int) -> None:
    """Looked at after every tenth request of 3,000, in 200 releases: fewer than one in 1,000 is expected, so none here."""
    drawn = random.Random(percent)
    wrong = 0
    for _ in range(200):
        canary = 0
        for total in range(1, 3_001):
            canary += drawn.random() < percent / 100
            if total % 10 == 0 and is_mismatch(canary, total, percent=percent):
                wrong += 1
                break
    assert wrong <= 200 * ALPHA * 5


def test_what_came_before_the_traffic_settled_is_not_compared() -> None:
    """Requests on connections from before the shift say nothing about the share."""
    ratio = SampleRatio(25, began=100.0)
    ratio.add(0, 5_000, at=100.0 + SETTLE_SECONDS / 2)
    ratio.add(0, 10_000, at=100.0 + SETTLE_SECONDS)
    assert ratio.fault == ""
    ratio.add(250, 10_750, at=110.0)
    assert ratio.fault == ""
    ratio.add(250, 20_000, at=120.0)
    assert ratio.fault.startswith("25 % of the requests were asked for, and 2.44 % came (250 of 10,250).")
    ratio.add(300, 20_000, at=121.0)
    assert "(300 of 10,300)" in ratio.fault


@pytest.mark.parametrize("percent", [0, 100])
def test_without_a_split_nothing_is_compared(percent: int) -> None:
    """At full traffic the baseline gets none."""
    ratio = SampleRatio(percent, began=0.0)
    for at in (10.0, 20.0, 30.0):
        ratio.add(int(at) * 100, int(at) * 100, at=at)
    assert ratio.fault == ""


@pytest.mark.parametrize(
    ("outcome", "action", "expected"),
    [
        (Outcome.PASSED, "warn", Outcome.PASSED),
        (Outcome.PASSED, "ask", Outcome.MISMATCH),
        (Outcome.WATCHING, "ask", Outcome.MISMATCH),
        (Outcome.NO_DATA, "rollback", Outcome.FAILED),
        (Outcome.FAILED, "ask", Outcome.FAILED),
        (Outcome.ERROR, "rollback", Outcome.ERROR),
        (Outcome.PASSED, "ignore", Outcome.PASSED),
    ],
)
def test_a_mismatch_counts_as_the_plan_says(outcome: Outcome, action: str, expected: Outcome) -> None:
    """A version that is shown to be bad fails whatever its share is."""
    found, reason = outcome_with_mismatch(outcome, "0 of 900 failed", mismatch="25 % were asked for", action=action)
    assert found is expected
    assert reason.endswith("0 of 900 failed")
    assert ("25 %" in reason) is (found is not outcome)
    assert outcome_with_mismatch(outcome, "r", mismatch="", action=action) == (outcome, "r")
