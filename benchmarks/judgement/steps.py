"""A release of several steps: canary requests until all have passed, with the evidence of earlier steps and without it, in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from benchmarks.judgement.cases import ALPHA
from tasks.rules.analysis.counters import Counting, Reading, Tally
from tasks.rules.analysis.outcome import Limits, Outcome
from tasks.rules.analysis.verdict import ALONE, HISTORY_STAKE, Earlier, earlier_steps, judge_counts, limit_from_history

STEPS = (5, 25, 100)
LIMIT = 0.2
LONGEST = 60_000
Ratios = Callable[[int], tuple[float, float]]


def release(
    ratios: Ratios, rng: np.random.Generator, *, carried: bool, steps: Sequence[int] = STEPS, most: int = LONGEST, tolerance: float = 0.01
) -> tuple[Outcome, list[int]]:
    """Take one release through its steps.

    Args:
        ratios: The baseline's and the canary's ratio of bad requests at a step.
        rng: Source of chance.
        carried: Whether earlier steps count on, with one alpha for the release; else each step stands alone, with its own.
        steps: Shares in percent.
        most: Canary requests after which a step is inconclusive.
        tolerance: Of the SLI.

    Returns:
        The last outcome, and the canary requests of each step that was begun.
    """
    shown: list[Tally] = []
    served, outcome = [], Outcome.PASSED
    past = Counting()
    for step in steps:
        earlier = earlier_steps(shown, limit=LIMIT, watched=len(steps)) if carried else ALONE
        limits = Limits(name="x", tolerance=tolerance, limit=LIMIT, min_requests=50, alpha=ALPHA)
        if step == 100:
            bad = sum(one.baseline_bad for one in shown) + rng.binomial(50_000, ratios(step)[0])
            total = sum(one.baseline_total for one in shown) + 50_000
            alpha = ALPHA * HISTORY_STAKE if carried else ALPHA / 2
            limit = min(LIMIT, limit_from_history(int(bad), total, tolerance=tolerance, alpha=alpha))
            limits = Limits(name="x", tolerance=tolerance, limit=limit, min_requests=50, alpha=ALPHA if carried else ALPHA / 2)
        outcome, past = _step(step, ratios(step), limits, earlier, rng, most)
        shown.append(past.tally())
        served.append(shown[-1].canary_total)
        if outcome is not Outcome.PASSED:
            break
    return outcome, served


def table(releases: int) -> Iterator[str]:
    """Compare the canary requests of whole releases on the same seeds, and count those that did not pass."""
    yield "| p0 = p1 | steps | mean requests, steps alone | earlier steps count on | ratio | did not pass | without earlier steps |"
    yield "|---|---|---|---|---|---|---|"
    for ratio in (0.0001, 0.001, 0.01):
        for steps in (STEPS, (10, 25, 50)):
            needed, stopped = [], []
            for carried in (False, True):
                found = [
                    release(lambda _, at=ratio: (at, at), np.random.default_rng([1, one]), carried=carried, steps=steps)  # type: ignore[misc]
                    for one in range(releases)
                ]
                passed = [sum(served) for outcome, served in found if outcome is Outcome.PASSED]
                needed.append(float(np.mean(passed)))
                stopped.append(releases - len(passed))
            shares = " → ".join(f"{step} %" for step in steps)
            yield (
                f"| {ratio * 100:g} % | {shares} | {needed[0]:,.0f} | {needed[1]:,.0f} | {needed[1] / needed[0]:.2f} "
                f"| {stopped[1]} of {releases} | {stopped[0]} of {releases} |"
            )


def _step(
    percent: int, ratios: tuple[float, float], limits: Limits, earlier: Earlier, rng: np.random.Generator, most: int
) -> tuple[Outcome, Counting]:
    counting, outcome = Counting(), Outcome.WATCHING
    bad = total = others = beside = 0
    counting.add(Reading(0.0, "canary", "a", 0, 0))
    if percent < 100:
        counting.add(Reading(0.0, "baseline", "a", 0, 0))
    for moment, (before, upto) in enumerate(pairwise(_looks(most)), start=1):
        bad, total = bad + int(rng.binomial(upto - before, ratios[1])), upto
        counting.add(Reading(float(moment), "canary", "a", bad, total))
        if percent < 100:
            now = max(beside + 1, round(upto * (100 - percent) / percent))
            others, beside = others + int(rng.binomial(now - beside, ratios[0])), now
            counting.add(Reading(float(moment), "baseline", "a", others, beside))
        outcome = judge_counts(counting.tally(), limits, earlier=earlier).outcome
        if outcome in {Outcome.PASSED, Outcome.FAILED}:
            break
    return outcome, counting


def _looks(most: int) -> list[int]:
    looks = [0]
    while looks[-1] < most:
        looks.append(looks[-1] + max(1, looks[-1] // 16))
    return looks
