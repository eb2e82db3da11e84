"""The verdict on a canary: from the counts read so far to one of five outcomes, with its reason in numbers.

Three questions, each with evidence that may be weighed after every request (see `sequential`):

- Is the canary worse than the baseline by more than the tolerance, or above its limit? Evidence of 1/alpha: *failed*.
  Both belong to one null hypothesis, "as good as allowed", so they share one alpha: four fifths of the stake are on the
  first, one fifth is on the second, and the average is what counts.
- Is it shown to be worse by less than the tolerance, *and* below its limit? Evidence of 1/alpha for each, and the
  smallest sample: *passed*. A version worse than allowed passes with probability alpha at most; since both must be
  shown, nothing is shared here.
- Else *watching*, until there is more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tasks.rules.analysis.counters import Reading, Tally, fault, tally
from tasks.rules.analysis.intervals import ratio_bounds
from tasks.rules.analysis.outcome import Limits, Outcome, Verdict, worst
from tasks.rules.analysis.reasons import Evidence, failures, why_failed, why_passed, why_watching

__all__ = ["Limits", "Outcome", "Reading", "Verdict", "combine", "judge", "judge_counts", "limit_from_history", "share_alpha", "worst"]

LIMIT_STAKE = 0.2
LEAST_TOLERANCE = 1e-6
LEAST_ALPHA = 1e-12
NOTHING = Tally()


def judge(readings: Sequence[Reading], limits: Limits) -> Verdict:
    """Judge one SLI from everything read so far in one watch; may be asked after every request.

    What the counters held at a revision's first reading is not counted, so read once before the traffic moves. Without
    any reading of a baseline only the limit can decide. Never raises for what was read: impossible counts are an `error`.

    Args:
        readings: Scrapes of both revisions in any order; duplicates, late ones and counter resets are understood.
        limits: What the SLI allows.
    """
    problem = fault(readings)
    return judge_counts(NOTHING if problem else tally(readings), limits, problem=problem)


def judge_counts(counts: Tally, limits: Limits, *, problem: str | None = None) -> Verdict:
    """Judge one SLI from its counts, as a watch does after every reading.

    Args:
        counts: What `Counting` has.
        limits: What the SLI allows.
        problem: Why a reading is impossible, which makes the verdict an `error`; else None.
    """
    problem = _limits_fault(limits) or problem
    if problem:
        return _verdict(limits, NOTHING, Outcome.ERROR, problem)
    return _verdict(limits, counts, *(_without_data(counts, limits) or _decide(counts, limits)))


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """Combine the deciding verdicts into one; `worst` decides which outcome wins.

    Args:
        verdicts: One verdict per SLI of one watch.

    Returns:
        The verdict "all" with reason, counts and bounds of the decisive SLI; `error` if no SLI decides.
    """
    deciding = [verdict for verdict in verdicts if verdict.deciding]
    if not deciding:
        limits = Limits(name="all", tolerance=0, limit=1, min_requests=1, alpha=0.01)
        return _verdict(limits, NOTHING, Outcome.ERROR, "no SLI decides; set `deciding: true` on at least one")
    outcome = worst([verdict.outcome for verdict in deciding])
    same = [verdict for verdict in deciding if verdict.outcome is outcome]
    others = f" (and so {', '.join(verdict.sli for verdict in same[1:])})" if len(same) > 1 else ""
    return replace(same[0], sli="all", reason=f"{same[0].sli}: {same[0].reason}{others}")


def share_alpha(alpha: float, count: int) -> float:
    """Share the false-alarm probability of a watch among its deciding SLIs, equally.

    The probability that any of them ever fails a good version is at most the sum of theirs, however much they depend on
    each other (Boole's inequality; Bonferroni 1936). SLIs of one service depend on each other strongly and in unknown
    ways, so no rule that assumes less is used. Passing needs no sharing, since all must pass.

    Args:
        alpha: For the whole watch, 0 < alpha < 1.
        count: Deciding SLIs; fewer than one counts as one.
    """
    return alpha / max(1, count)


def limit_from_history(bad: int, total: int, *, tolerance: float, alpha: float) -> float:
    """Derive a limit from the baseline's earlier counts, for a canary without a baseline beside it.

    The baseline's ratio is below its always-valid upper bound with probability 1 - alpha, so a canary shown to be above
    that bound + tolerance is worse than allowed. Give half of the SLI's alpha to this bound and half to the judgement,
    and judge without readings of the baseline. It holds as far as now is like then, which no arithmetic can promise: let
    "then" be near, as the step before.

    Args:
        bad: The baseline's bad events then.
        total: All its events then.
        tolerance: Allowed difference of ratios.
        alpha: Probability that the bound misses.

    Returns:
        The limit, at most 1; 1 without any events.
    """
    return min(1.0, ratio_bounds(bad, total, alpha=alpha)[1] + tolerance)


def _limits_fault(limits: Limits) -> str | None:
    """Return what is wrong with the limits; values beyond these bounds are typing errors."""
    tolerance, limit = limits.tolerance, limits.limit
    if not (tolerance in {0, 1} or LEAST_TOLERANCE <= tolerance <= 1 - LEAST_TOLERANCE):
        return f"the tolerance {tolerance} cannot be judged by; write 0, or a ratio from {LEAST_TOLERANCE:f}, or 1 to compare nothing"
    if not 0 <= limit <= 1:
        return f"the limit {limit} cannot be judged by; write a ratio from 0 to 1"
    if not LEAST_ALPHA <= limits.alpha < 1:
        return f"alpha {limits.alpha} cannot be judged by; write a probability below 1, as 0.01"
    if tolerance == 1 and limit == 1:
        return "tolerance 1 and limit 1 allow everything, so nothing can be judged; lower one of them"
    return None


def _without_data(counts: Tally, limits: Limits) -> tuple[Outcome, str] | None:
    """Return what is missing for a judgement; None if nothing is."""
    if counts.canary_total == 0:
        seen = "served no request" if counts.has_canary else "was never read"
        return Outcome.NO_DATA, f"the canary {seen} in this watch; no data is not a pass"
    if not counts.has_baseline and limits.limit == 1:
        return Outcome.NO_DATA, f"{failures(counts, limits)}, but no baseline was read and the SLI has no limit: nothing to compare with"
    return None


def _decide(counts: Tally, limits: Limits) -> tuple[Outcome, str]:
    """Return what follows from the counts, and why."""
    if limits.limit == 0 and counts.canary_bad:
        return Outcome.FAILED, f"{failures(counts, limits)}, and not a single one is allowed"
    evidence, enough = _weigh(counts, limits), -math.log(limits.alpha)
    if evidence.failed >= enough:
        return Outcome.FAILED, why_failed(counts, limits, evidence)
    if counts.has_baseline and counts.baseline_total == 0 and not _is_alone(counts, limits):
        return Outcome.NO_DATA, f"{failures(counts, limits)}, but the baseline served no request in this watch: nothing to compare with"
    if counts.canary_total < limits.min_requests:
        return Outcome.WATCHING, f"{failures(counts, limits)}; it passes after {limits.min_requests:,} requests at the earliest"
    if min(evidence.no_worse, evidence.below_limit) >= enough:
        return Outcome.PASSED, why_passed(counts, limits)
    return Outcome.WATCHING, why_watching(counts, limits, evidence)


def _is_alone(counts: Tally, limits: Limits) -> bool:
    """Return whether the canary is judged without a baseline: there is none, any difference is tolerated, or none is allowed at all."""
    return not counts.has_baseline or limits.tolerance == 1 or limits.limit == 0


def _weigh(counts: Tally, limits: Limits) -> Evidence:
    """Weigh both questions in both directions."""
    from tasks.rules.analysis.sequential import difference_log_evidence, limit_log_evidence  # noqa: PLC0415 numpy is needed only here

    worse, no_worse, above, below = -math.inf, math.inf, -math.inf, math.inf
    compared, limited = not _is_alone(counts, limits), 0 < limits.limit < 1
    if compared:
        worse = difference_log_evidence(counts.blocks, tolerance=limits.tolerance, side="worse")
        no_worse = difference_log_evidence(counts.blocks, tolerance=limits.tolerance, side="no_worse")
    if limited:
        above = limit_log_evidence(counts.canary_bad, counts.canary_total, limit=limits.limit, side="worse")
        below = limit_log_evidence(counts.canary_bad, counts.canary_total, limit=limits.limit, side="no_worse")
    failed = _log_average(above, worse) if compared and limited else max(above, worse)
    return Evidence(worse=worse, above_limit=above, failed=failed, no_worse=no_worse, below_limit=below)


def _log_average(above: float, worse: float) -> float:
    """Average two e-values by their stakes: the average is an e-value wherever both are."""
    one, other = above + math.log(LIMIT_STAKE), worse + math.log1p(-LIMIT_STAKE)
    return max(one, other) + math.log1p(math.exp(-abs(one - other)))


def _verdict(limits: Limits, counts: Tally, outcome: Outcome, reason: str) -> Verdict:
    alpha = limits.alpha if LEAST_ALPHA <= limits.alpha < 1 else 0.01
    canary_low, canary_high = ratio_bounds(counts.canary_bad, counts.canary_total, alpha=alpha)
    baseline_low, baseline_high = ratio_bounds(counts.baseline_bad, counts.baseline_total, alpha=alpha)
    return Verdict(
        sli=limits.name,
        outcome=outcome,
        reason=reason,
        canary_bad=counts.canary_bad,
        canary_total=counts.canary_total,
        baseline_bad=counts.baseline_bad,
        baseline_total=counts.baseline_total,
        canary_low=canary_low,
        canary_high=canary_high,
        baseline_low=baseline_low,
        baseline_high=baseline_high,
        deciding=limits.deciding,
    )
