"""What holds for every verdict, whatever was read."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.analysis.counters import Counting, tally
from tasks.rules.analysis.verdict import Limits, Outcome, Reading, judge, judge_counts

LIMITS = Limits(name="errors", tolerance=0.01, limit=0.2, min_requests=20, alpha=0.02)
NUMBERS = st.one_of(st.integers(), st.floats(), st.none(), st.text(max_size=3), st.booleans())
SIDES = st.sampled_from(["baseline", "canary"])


@st.composite
def watches(draw: st.DrawFn) -> list[Reading]:
    """Draw a watch in order of time: both revisions count up, and restart now and then."""
    readings, counters = [], {"baseline": [0, 0, 0], "canary": [0, 0, 0]}
    for moment in range(draw(st.integers(1, 25))):
        for name, counter in counters.items():
            if draw(st.integers(0, 9)) == 0:
                counter[:] = [0, 0, counter[2] + 1]
            total = draw(st.integers(0, 60))
            counter[0] += draw(st.integers(0, total))
            counter[1] += total
            readings.append(Reading(float(moment), name, str(counter[2]), counter[0], counter[1]))  # type: ignore[arg-type]
    return readings


@given(st.lists(st.builds(Reading, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=6), st.tuples(*[st.floats()] * 3))  # type: ignore[arg-type]
def test_a_verdict_never_raises(readings: list[Any], numbers: tuple[float, float, float]) -> None:
    """Whatever was read and whatever the limits say, the answer is a verdict."""
    tolerance, limit, alpha = numbers
    judge(readings, Limits(name="x", tolerance=tolerance, limit=limit, min_requests=1, alpha=alpha))


RATIOS = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1e-6, 1 - 1e-6, 1.0, 1 - 1e-15]))


@given(watches(), RATIOS, RATIOS, RATIOS)
def test_any_limits_lead_to_a_verdict(readings: list[Reading], tolerance: float, limit: float, alpha: float) -> None:
    """A possible watch is judged by whatever limits a plan can hold, and the reason is a sentence with no odd number."""
    verdict = judge(readings, Limits(name="x", tolerance=tolerance, limit=limit, min_requests=1, alpha=alpha))
    assert "nan" not in verdict.reason
    assert "inf" not in verdict.reason


@given(watches(), st.randoms(use_true_random=False))
def test_order_and_duplicates_change_nothing(readings: list[Reading], chance: random.Random) -> None:
    """Late and repeated scrapes lead to the verdict of the orderly watch."""
    shuffled = readings + chance.sample(readings, k=len(readings) // 2)
    chance.shuffle(shuffled)
    assert judge(shuffled, LIMITS) == judge(readings, LIMITS)


@given(watches())
def test_a_watch_that_reads_on_is_judged_like_one_that_is_read_at_once(readings: list[Reading]) -> None:
    """What is counted reading by reading is at every moment what all readings until then add up to; asking changes nothing."""
    counting = Counting()
    for number, reading in enumerate(readings, start=1):
        counting.add(reading)
        assert judge_counts(counting.tally(), LIMITS) == judge(readings[:number], LIMITS)


@given(watches(), SIDES)
def test_a_reset_never_makes_fewer_events(readings: list[Reading], side: str) -> None:
    """A restart at any reading keeps everything that was counted before it."""
    restarted = [*readings, Reading(99.0, side, "new life", 2, 5)]  # type: ignore[arg-type]
    before, after = tally(readings), tally(restarted)
    assert (after.canary_total, after.baseline_total) == (
        before.canary_total + 5 * (side == "canary"),
        before.baseline_total + 5 * (side == "baseline"),
    )
    assert (after.canary_bad, after.baseline_bad) == (
        before.canary_bad + 2 * (side == "canary"),
        before.baseline_bad + 2 * (side == "baseline"),
    )


_GOODNESS = {Outcome.FAILED: 0, Outcome.NO_DATA: 1, Outcome.WATCHING: 1, Outcome.PASSED: 2}


@given(
    st.lists(st.tuples(st.integers(1, 80), st.integers(1, 80), st.integers(0, 80), st.integers(0, 80)), min_size=1, max_size=20),
    st.integers(0, 19),
)
def test_one_more_bad_answer_never_helps_the_canary(steps: list[tuple[int, int, int, int]], where: int) -> None:
    """Turning one of the canary's good answers into a bad one never makes the outcome better."""
    counts = [[min(canary, bad), canary, min(baseline, other), baseline] for canary, baseline, bad, other in steps]
    worse = [list(count) for count in counts]
    step = worse[where % len(worse)]
    step[0] = min(step[1], step[0] + 1)
    good, bad = (_GOODNESS[judge(_read(each), LIMITS).outcome] for each in (counts, worse))
    assert bad <= good


def _read(steps: list[list[int]]) -> list[Reading]:
    readings = [Reading(0.0, "canary", "a", 0, 0), Reading(0.0, "baseline", "a", 0, 0)]
    total = [0, 0, 0, 0]
    for moment, step in enumerate(steps, start=1):
        total = [one + other for one, other in zip(total, step, strict=True)]
        readings += [Reading(moment, "canary", "a", total[0], total[1]), Reading(moment, "baseline", "a", total[2], total[3])]
    return readings


@given(watches())
def test_the_bounds_enclose_what_was_seen(readings: list[Reading]) -> None:
    """Each revision's own ratio lies between its bounds, and the bounds between 0 and 1."""
    verdict = dataclasses.asdict(judge(readings, LIMITS))
    for side in ("canary", "baseline"):
        if verdict[f"{side}_total"]:
            ratio = verdict[f"{side}_bad"] / verdict[f"{side}_total"]
            assert 0 <= verdict[f"{side}_low"] <= ratio <= verdict[f"{side}_high"] <= 1
