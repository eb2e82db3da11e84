"""What a step showed counts on in the next ones, and one alpha holds for the whole release."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.judgement.cases import ALPHA
from benchmarks.judgement.steps import release
from tasks.rules.analysis.counters import Block, Tally, add_tallies, tally_of
from tasks.rules.analysis.outcome import Limits, Outcome
from tasks.rules.analysis.verdict import HISTORY_STAKE, Earlier, earlier_steps, judge_counts

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
STREAMS = 1_000 if THOROUGH else 60
GOOD = Tally(0, 700, 0, 2_100, (Block(0, 700, 0, 2_100),), has_canary=True, has_baseline=True)
LIMITS = Limits(name="x", tolerance=0.01, limit=0.05, min_requests=50, alpha=0.01)
COUNTS = st.tuples(st.integers(0, 40), st.integers(40, 400), st.integers(0, 40), st.integers(40, 400))


def tally(counts: tuple[int, int, int, int]) -> Tally:
    """Make a tally of one block."""
    return Tally(*counts, blocks=(Block(*counts),), has_canary=True, has_baseline=True)


def releases(*, canary: float, carried: bool = True, count: int = STREAMS, later: float | None = None) -> list[tuple[Outcome, list[int]]]:
    """Take releases through 5, 25 and 50 %, beside a baseline of 1 %; `later` is the canary's ratio after the first step."""
    found = []
    for number in range(count):
        rng = np.random.default_rng([7, number])
        ratios = lambda step: (0.01, canary if step == 5 or later is None else later)  # noqa: E731
        found.append(release(ratios, rng, carried=carried, steps=(5, 25, 50), most=3_000))
    return found


@given(st.integers(1, 50))
def test_the_stakes_of_a_release_add_up_to_one_alpha(watched: int) -> None:
    """All steps together, each later step alone, and the history's limit; a release of one step gives the parts of later steps to it."""
    first = earlier_steps([], limit=0.05, watched=watched)
    one = earlier_steps([GOOD], limit=0.05, watched=watched)
    assert first.alone_stake == 0
    assert first.whole_stake + (watched - 1) * one.alone_stake + HISTORY_STAKE == pytest.approx(1)
    assert one.whole_stake == first.whole_stake >= 0.7


def test_a_version_exactly_as_bad_as_allowed_fails_a_release_with_alpha_at_most() -> None:
    """Over all three steps, looked at after every sixteenth of growth; and hardly any passes its first step."""
    found = releases(canary=0.02)
    failed, passed = (sum(outcome is wanted for outcome, _ in found) for wanted in (Outcome.FAILED, Outcome.PASSED))
    assert failed <= ALPHA * STREAMS + 3 * (ALPHA * STREAMS) ** 0.5
    assert passed <= ALPHA * STREAMS + 3 * (ALPHA * STREAMS) ** 0.5


def test_a_version_that_turns_bad_in_a_later_step_is_failed_there() -> None:
    """What it showed before does not carry it: the step alone fails it."""
    found = releases(canary=0.01, later=0.2, count=20)
    begun = [(outcome, served) for outcome, served in found if len(served) > 1]
    assert len(begun) >= 8
    assert all(outcome is Outcome.FAILED and served[1] < 150 for outcome, served in begun)


def test_a_release_of_three_steps_needs_less_than_half_the_requests() -> None:
    """Like its baseline, with the evidence of earlier steps beside the same releases without it."""
    needed = {}
    for carried in (True, False):
        found = [release(lambda _: (0.001, 0.001), np.random.default_rng([3, one]), carried=carried) for one in range(15)]
        assert all(outcome is Outcome.PASSED for outcome, _ in found)
        needed[carried] = float(np.median([sum(served) for _, served in found]))
    assert needed[True] < needed[False] / 2


def test_a_later_step_passes_by_what_was_shown_but_shows_something_itself() -> None:
    """It has its own least sample and evidence of two for it alone; the reason says what was counted where."""
    earlier = earlier_steps([GOOD], limit=0.05, watched=3)
    fresh = judge_counts(tally((0, 120, 0, 120)), LIMITS, earlier=earlier)
    assert fresh.outcome is Outcome.PASSED
    assert "0 of 820 requests" in fresh.reason
    assert "0 of 120 requests failed against 0 of 120 in this one" in fresh.reason
    assert judge_counts(tally((0, 40, 0, 40)), LIMITS, earlier=earlier).outcome is Outcome.WATCHING
    assert judge_counts(tally((2, 120, 0, 120)), LIMITS, earlier=earlier).outcome is Outcome.WATCHING
    assert judge_counts(tally((0, 120, 0, 120)), LIMITS).outcome is Outcome.WATCHING


@given(COUNTS, COUNTS)
def test_evidence_of_a_step_is_the_same_after_it_was_stored(before: tuple[int, int, int, int], now: tuple[int, int, int, int]) -> None:
    """A watch that starts again after a crash reads what the earlier steps showed from their results, and judges the same."""
    whole = add_tallies(tally(before), GOOD)
    restored = tally_of(json.loads(json.dumps(asdict(whole))))
    assert restored == whole
    one, other = (judge_counts(tally(now), LIMITS, earlier=Earlier(counts, 0.05, 0.7, 0.1)) for counts in (whole, restored))
    assert one == other
