"""Power of a step, before it is watched: how many requests its verdict needs, and the smallest regression that it would detect.

The very test that will judge is run on streams of drawn requests, with a fixed seed: the same question has the same answer, and
there is no table that could differ from the test. Blocks are cut as a watch cuts them, at the growth of `counters.BLOCK_GROWTH`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.rules.analysis.counters import BLOCK_GROWTH
from tasks.rules.analysis.outcome import Limits
from tasks.rules.analysis.sequential import BETTER_ODDS, WORSE_ODDS, Side, alternatives, log_sum, table_log_evidence
from tasks.rules.analysis.verdict import LIMIT_STAKE

Array = NDArray[np.float64]

STREAMS = 1_000
FEWER_STREAMS = 200  # where a search asks ten times
SEED = 15
MOST_REQUESTS = 3_000_000
POWER = 0.9
HALVINGS = 7
WHOLE = 1.0


@lru_cache(maxsize=1_024)
def requests_to_pass(limits: Limits, *, ratio: float, share: float) -> float:
    """Give the canary requests after which a version like its baseline passes, in the median.

    Args:
        limits: What the SLI allows.
        ratio: Ratio of bad requests, of both versions.
        share: The canary's share of the requests, 0 to 1; at 1 no baseline is read.

    Returns:
        Requests; infinite if it cannot pass, or not within three million.
    """
    compared = share < WHOLE and limits.tolerance < 1 and limits.limit > 0
    limited = 0 < limits.limit < 1
    if (compared and limits.tolerance == 0) or (limited and ratio >= limits.limit) or (limits.limit == 0 and ratio > 0):
        return math.inf
    if not compared and not limited:
        return float(limits.min_requests) if limits.limit == 0 else math.inf
    passed_at = np.full(STREAMS, np.inf)
    watch = _watch((ratio, ratio), limits, share=share, most=MOST_REQUESTS, side="no_worse", streams=STREAMS)
    for requests, canary_bad, no_worse in watch:
        shown = requests >= limits.min_requests
        below = _limit(canary_bad, requests, limits, "no_worse") if limited else np.inf
        above = no_worse if compared else np.inf
        now = shown & (np.minimum(above, below) >= -math.log(limits.alpha))
        passed_at[now & np.isinf(passed_at)] = requests
        if 2 * np.isfinite(passed_at).sum() > STREAMS:
            break
    return float(np.median(passed_at))


@lru_cache(maxsize=1_024)
def smallest_caught(limits: Limits, *, ratio: float, share: float, requests: int) -> float | None:
    """Give the smallest ratio of bad canary requests that fails in nine of ten watches.

    Args:
        limits: What the SLI allows.
        ratio: The baseline's ratio.
        share: As in `requests_to_pass`.
        requests: Canary requests in the time there is.

    Returns:
        A ratio; None if not even a canary that always fails is detected.
    """
    if requests < 1 or _caught(limits, (ratio, 1.0), share, requests) < POWER:
        return None
    if limits.limit == 0:
        return float(-math.expm1(math.log1p(-POWER) / requests))
    low, high = max(min(ratio + limits.tolerance, limits.limit) if share < WHOLE else limits.limit, 1e-7), 1.0
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _caught(limits, (ratio, middle), share, requests) >= POWER else (middle, high)
    return high


def _caught(limits: Limits, ratios: tuple[float, float], share: float, requests: int) -> float:
    """Give the share of streams that fail within so many canary requests."""
    compared, limited = share < WHOLE and limits.tolerance < 1 and limits.limit > 0, 0 < limits.limit < 1
    if not compared and not limited:
        return 1.0 if limits.limit == 0 else 0.0
    failed = np.zeros(FEWER_STREAMS, dtype=bool)
    for served, canary_bad, evidence in _watch(ratios, limits, share=share, most=requests, side="worse", streams=FEWER_STREAMS):
        if limited:
            above = _limit(canary_bad, served, limits, "worse")
            both = np.logaddexp(above + math.log(LIMIT_STAKE), evidence + math.log1p(-LIMIT_STAKE))
            failed |= (both if compared else above) >= -math.log(limits.alpha)
        else:
            failed |= evidence >= -math.log(limits.alpha)
        if failed.mean() >= POWER:
            break
    return float(failed.mean())


def _watch(
    ratios: tuple[float, float], limits: Limits, *, share: float, most: float, side: Side, streams: int
) -> Iterator[tuple[int, Array, Array]]:
    """Draw streams, and give canary requests, the canary's bad ones and the evidence about the difference at each cut."""
    rng = np.random.default_rng(SEED)
    compared = share < WHOLE and limits.tolerance < 1 and limits.limit > 0
    sums: Any = alternatives(limits.tolerance, side).log_stake[None, :] if compared else 0.0
    bad = np.zeros(streams)
    served = others = 0
    for upto in _cuts(share, most):
        more, served = upto - served, upto
        new = rng.binomial(more, ratios[1], streams).astype(float)
        bad = bad + new
        if compared:
            beside = max(1, round(served * (1 - share) / share) - others)
            others += beside
            old = rng.binomial(beside, ratios[0], streams).astype(float)
            sums = sums + table_log_evidence((new[:, None], more), (old[:, None], beside), tolerance=limits.tolerance, side=side)
            yield served, bad, log_sum(sums)
        else:
            yield served, bad, np.zeros(streams)


def _cuts(share: float, most: float) -> Iterator[int]:
    """Give the canary requests at which a watch cuts its blocks: both versions have grown by a sixteenth, and by a request."""
    beside = share / (1 - share) if share < WHOLE else 0.0
    served = 0
    while served < most:
        served = min(int(most), served + math.ceil(max(1.0, beside, BLOCK_GROWTH * served)))
        yield served


def _limit(bad: Array, total: int, limits: Limits, side: Side) -> Array:
    """Weigh the canary alone against its limit, as `sequential.limit_log_evidence` does, for many streams."""
    factors = np.array(WORSE_ODDS if side == "worse" else BETTER_ODDS)
    terms = bad[:, None] * np.log(factors) - total * np.log1p(limits.limit * (factors - 1))
    return np.asarray(log_sum(terms) - math.log(len(factors)))
