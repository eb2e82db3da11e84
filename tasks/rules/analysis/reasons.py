"""Reasons of verdicts, in numbers for an operator on call."""

from __future__ import annotations

import math
from typing import NamedTuple

from tasks.rules.analysis.counters import Tally
from tasks.rules.analysis.intervals import difference_low, ratio_bounds
from tasks.rules.analysis.outcome import Limits


class Evidence(NamedTuple):
    """Natural logarithms of the e-values of one look; infinite if nothing needs to be shown, minus infinite if nothing can be."""

    worse: float
    above_limit: float
    failed: float
    no_worse: float
    below_limit: float


def failures(counts: Tally, limits: Limits) -> str:
    """Write the counts: "38 of 412 requests failed against 2 of 3,708"."""
    noun = "request" if counts.canary_total == 1 else "requests"
    canary = f"{counts.canary_bad:,} of {counts.canary_total:,} {noun} {limits.what}"
    return f"{canary} against {counts.baseline_bad:,} of {counts.baseline_total:,}" if counts.has_baseline else canary


def why_failed(counts: Tally, limits: Limits, evidence: Evidence) -> str:
    """Return which of the two questions failed the canary, and how likely chance alone would have."""
    if evidence.above_limit > evidence.worse:
        return f"{failures(counts, limits)}; above the limit of {percent(limits.limit)} %; {_chance(evidence.failed)}"
    canary, baseline = (counts.canary_bad, counts.canary_total), (counts.baseline_bad, counts.baseline_total)
    least = difference_low(canary, baseline, floor=limits.tolerance, alpha=limits.alpha)
    how_much = f"by at least {_points(rounded_down(least))}" if least > 0 else "than the baseline"
    return f"{failures(counts, limits)}; worse {how_much}; {_chance(evidence.failed)}"


def why_passed(counts: Tally, limits: Limits) -> str:
    """Return what was shown, and how often such a showing may be wrong."""
    if limits.limit == 0:
        at_most = ratio_bounds(counts.canary_bad, counts.canary_total, alpha=limits.alpha)[1]
        return f"{failures(counts, limits)}; none is allowed and none was seen, so at most {rounded_up(at_most)} % are bad"
    parts = []
    if counts.has_baseline and limits.tolerance < 1:
        parts.append(_wanted(limits))
    if limits.limit < 1:
        parts.append(f"below the limit of {percent(limits.limit)} %")
    alone = "" if counts.has_baseline else "; no baseline was read, so the limit alone has decided"
    return f"{failures(counts, limits)}; shown to be {' and '.join(parts)}; wrong less than once in {round(1 / limits.alpha):,}{alone}"


def why_watching(counts: Tally, limits: Limits, evidence: Evidence) -> str:
    """Return what is not shown yet."""
    enough = -math.log(limits.alpha)
    missing = [_wanted(limits)] if evidence.no_worse < enough else []
    if evidence.below_limit < enough:
        missing.append(f"below the limit of {percent(limits.limit)} %")
    alone = "" if counts.has_baseline else "; no baseline was read, so only the limit can decide"
    return f"{failures(counts, limits)}; not yet shown to be {' and '.join(missing)}, nor to be worse than allowed{alone}"


def _wanted(limits: Limits) -> str:
    return f"worse by less than {_points(percent(limits.tolerance))}" if limits.tolerance else "better than the baseline"


def _points(number: str) -> str:
    return f"{number} point" if number == "1" else f"{number} points"


def percent(ratio: float) -> str:
    """Write a ratio in percent without its sign, in four significant digits at most: 0.05 becomes "5"."""
    return f"{ratio * 100:.4g}"


def rounded_down(ratio: float) -> str:
    """Write the percent that a ratio certainly reaches, in two significant digits: 0.0419 becomes "4.1"."""
    digits = _digits(ratio)
    return f"{math.floor(round(ratio * 100 * 10**digits, 6)) / 10**digits:.{digits}f}"


def rounded_up(ratio: float) -> str:
    """Write the percent that a ratio certainly does not exceed, in two significant digits: 0.0411 becomes "4.2"."""
    digits = _digits(ratio)
    return f"{math.ceil(round(ratio * 100 * 10**digits, 6)) / 10**digits:.{digits}f}"


def _digits(ratio: float) -> int:
    return max(0, 1 - math.floor(math.log10(ratio * 100))) if ratio > 0 else 0


def _chance(log_evidence: float) -> str:
    """Write evidence as the odds of a false alarm: its inverse bounds the probability at all times at once."""
    decade = min(9, math.floor(log_evidence / math.log(10) + 1e-9))
    digit = math.floor(math.exp(min(log_evidence - decade * math.log(10), math.log(9))) + 1e-9)
    return f"would be chance less than once in {digit * 10**decade:,}"
