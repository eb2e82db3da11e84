"""Outcomes: what a verdict can be, what one SLI allows, and its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What a verdict can be."""

    PASSED = "passed"
    WATCHING = "watching"
    NO_DATA = "no_data"
    MISMATCH = "mismatch"
    FAILED = "failed"
    ERROR = "error"


_WORST_FIRST = (Outcome.FAILED, Outcome.ERROR, Outcome.MISMATCH, Outcome.NO_DATA, Outcome.WATCHING, Outcome.PASSED)


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Name the outcome that decides among several: failed, error, mismatch, no_data, watching, passed, in this order.

    A canary shown to be bad must be rolled back whatever else is unknown; a source that is wrong or down needs a person before
    time can help; one without data may still get some; and the whole passes only if all have passed.
    """
    return min(outcomes, key=_WORST_FIRST.index)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one SLI allows.

    Attributes:
        name: The SLI's name.
        tolerance: The canary's ratio may be above the baseline's by this much (a difference of ratios, 0 to 1).
        limit: The canary fails above this ratio whatever the baseline does; 1 is no limit, 0 fails at the first bad event.
        min_requests: The canary passes only after so many requests.
        alpha: This SLI's own share of the false-alarm probability of the whole watch (see `verdict.share_alpha`).
        deciding: False: shown, never decides.
        what: What a bad event is, in the past tense: "failed", "were slower than 250 ms".
    """

    name: str
    tolerance: float
    limit: float
    min_requests: int
    alpha: float
    deciding: bool = True
    what: str = "failed"


@dataclass(frozen=True)
class Verdict:
    """Verdict on one SLI, or on all.

    Attributes:
        sli: Its name; "all" for the combined verdict.
        outcome: The outcome.
        reason: Why, with its numbers, for an operator.
        canary_bad: Bad events of the canary in this watch.
        canary_total: All its events in this watch.
        baseline_bad: The same of the baseline.
        baseline_total: The same of the baseline.
        canary_low: The canary's ratio is at least this, at all times at once, with probability 1 - alpha.
        canary_high: It is at most this.
        baseline_low: The same of the baseline.
        baseline_high: The same of the baseline.
        deciding: Whether this SLI decides.
    """

    sli: str
    outcome: Outcome
    reason: str
    canary_bad: int
    canary_total: int
    baseline_bad: int
    baseline_total: int
    canary_low: float
    canary_high: float
    baseline_low: float
    baseline_high: float
    deciding: bool
