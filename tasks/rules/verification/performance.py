"""Performance: a version's times against its limits and against the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.rules.plan.quantile import Quantile, quantile_of, runs_needed
from tasks.rules.plan.smoke import Performance

Judged = dict[str, str]


class Baseline(NamedTuple):
    """Baseline of a comparison: its version and its base URL."""

    version: str
    url: str


def compare_times(canary: Sequence[float], baseline: Sequence[float], *, rules: Performance, other: str) -> Judged:
    """Judge how long the runs of a version took, against those of the baseline.

    Passed: the quantile that was seen is within the allowance. Failed: even its lower bound is over the allowance of the
    other's upper bound. Between them it is inconclusive, and more runs may decide. So one lucky run does not pass, and a noisy
    machine, which slows both, does not fail.

    Args:
        canary: Seconds of its runs.
        baseline: Seconds of the other's runs.
        rules: The plan's quantile and allowance.
        other: The baseline's version, for the reason.

    Returns:
        `outcome` passed, failed, watching (more runs are needed) or no_data (too few), and `reason`.
    """
    ours, theirs = quantile_of(canary, rules.quantile), quantile_of(baseline, rules.quantile)
    if ours is None or theirs is None:
        fewest = min(len(canary), len(baseline))
        return _judged("no_data", f"{fewest} runs to compare with {other}, {runs_needed(rules.quantile)} are needed for {_p(rules)}")
    allowed, most = (rules.max_ratio * seconds + rules.slack_seconds for seconds in (theirs.seen, theirs.high))
    numbers = f"{_p(rules)} of {ours.count}: {_ms(ours.seen)} against {_ms(theirs.seen)} of {other}; at most {_ms(allowed)} allowed"
    return _decide(ours, allowed=allowed, most=most, numbers=numbers)


def judge_times(canary: Sequence[float], *, within_seconds: float, rules: Performance, what: str) -> Judged:
    """Judge how long one step of the runs took, against its own limit; the outcomes are those of `compare_times`.

    Args:
        canary: Seconds of the step, run by run.
        within_seconds: The step's limit.
        rules: The plan's quantile.
        what: The step, for the reason.
    """
    ours = quantile_of(canary, rules.quantile)
    if ours is None:
        return _judged("no_data", f"{len(canary)} runs of {what}, {runs_needed(rules.quantile)} are needed for {_p(rules)}")
    numbers = f"{_p(rules)} of {ours.count} of {what}: {_ms(ours.seen)}; at most {_ms(within_seconds)} allowed"
    return _decide(ours, allowed=within_seconds, most=within_seconds, numbers=numbers)


def _decide(ours: Quantile, *, allowed: float, most: float, numbers: str) -> Judged:
    if ours.seen <= allowed:
        return _judged("passed", numbers)
    return _judged("failed" if ours.low > most else "watching", numbers)


def _judged(outcome: str, reason: str) -> Judged:
    return {"outcome": outcome, "reason": reason}


def _p(rules: Performance) -> str:
    return f"p{rules.quantile * 100:g}"


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"  # noqa: PLR2004 - two digits are read
