"""Streams of requests under the project's own test, thousands at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.judgement.cases import ALPHA, Case
from tasks.rules.analysis.counters import BLOCK_GROWTH
from tasks.rules.analysis.sequential import BETTER_ODDS, WORSE_ODDS, Side, alternatives, log_sum, table_log_evidence
from tasks.rules.analysis.verdict import LIMIT_STAKE

ENOUGH = -math.log(ALPHA)


class Evidence:
    """The running evidence of many streams about one case: what `judge` computes, for arrays."""

    def __init__(self, case: Case, streams: int) -> None:
        """Begin without data."""
        self.case = case
        self.total = np.zeros((streams, 4))  # canary bad, canary all, baseline bad, baseline all
        self.open = np.zeros((streams, 4))
        self.sums = {side: np.tile(alternatives(case.tolerance, side).log_stake, (streams, 1)) for side in _SIDES}

    def add(self, counts: np.ndarray) -> None:
        """Add what happened, of shape (streams, 4), and close the blocks that are full."""
        self.open += counts
        closed = self.total - self.open + counts
        self.total += counts
        full = np.flatnonzero((self.open >= np.maximum(1, BLOCK_GROWTH * closed))[:, [1, 3]].all(axis=1))
        if full.size:
            a, n, b, m = (self.open[full, column][:, None] for column in range(4))
            for side, sums in self.sums.items():
                sums[full] += table_log_evidence((a, n), (b, m), tolerance=self.case.tolerance, side=side)
            self.open[full] = 0

    def failed(self) -> np.ndarray:
        """Say which streams have failed by now."""
        worse = log_sum(self.sums["worse"])
        if self.case.limit == 1:
            return np.asarray(worse >= ENOUGH)
        above = self._limit(WORSE_ODDS) + math.log(LIMIT_STAKE)
        return np.asarray(np.logaddexp(above, worse + math.log1p(-LIMIT_STAKE)) >= ENOUGH)

    def passed(self) -> np.ndarray:
        """Say which streams have passed by now; no smallest sample is asked for."""
        better = log_sum(self.sums["no_worse"]) >= ENOUGH
        return np.asarray(better if self.case.limit == 1 else better & (self._limit(BETTER_ODDS) >= ENOUGH))

    def keep(self, chosen: np.ndarray) -> None:
        """Go on with these streams only."""
        self.total, self.open = self.total[chosen], self.open[chosen]
        self.sums = {side: sums[chosen] for side, sums in self.sums.items()}

    def _limit(self, odds: tuple[float, ...]) -> Any:
        factors = np.array(odds)
        bad, total = self.total[:, :1], self.total[:, 1:2]
        terms = bad * np.log(factors) - total * np.log1p(self.case.limit * (factors - 1))
        return log_sum(terms - math.log(len(odds)))


_SIDES: tuple[Side, ...] = ("worse", "no_worse")


def decide(
    case: Case, *, streams: int, horizon: float, rng: np.random.Generator, draw: Callable[[Evidence], np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Run streams until they fail or have served `horizon` canary requests.

    Args:
        case: Ratios, split and what is allowed.
        streams: How many.
        horizon: Canary requests after which a stream is inconclusive.
        rng: Source of chance.
        draw: Makes the next counts of all live streams; None draws whole blocks as they come when every request is looked at.

    Returns:
        Canary requests at the moment of *failed* and of the first *passed*, infinite where it never came.
    """
    failed_at, passed_at = np.full(streams, np.inf), np.full(streams, np.inf)
    live, evidence = np.arange(streams), Evidence(case, streams)
    while live.size:
        evidence.add(draw(evidence) if draw else next_block(evidence, rng))
        requests, failed = evidence.total[:, 1], evidence.failed()
        passed = evidence.passed() & ~np.isfinite(passed_at[live])
        failed_at[live[failed]] = requests[failed]
        passed_at[live[passed]] = requests[passed]
        going = ~failed & (requests < horizon)
        live = live[going]
        evidence.keep(going)
    return failed_at, passed_at


def next_block(evidence: Evidence, rng: np.random.Generator) -> np.ndarray:
    """Draw the requests up to the next cut, each the canary's with probability `share`: exact, without drawing each.

    The cut comes when both have grown enough: the canary's last request of those wanted, or the baseline's.
    """
    case, total = evidence.case, evidence.total
    wanted, needed = (np.ceil(np.maximum(1, BLOCK_GROWTH * total[:, column])) for column in (1, 3))
    others = rng.negative_binomial(wanted, case.share)
    short = np.maximum(needed - others, 0)
    more = np.where(short > 0, rng.negative_binomial(np.maximum(short, 1), 1 - case.share), 0)
    n, m = (wanted + more).astype(int), (others + short).astype(int)
    return np.stack([rng.binomial(n, case.canary), n, rng.binomial(m, case.baseline), m], axis=1).astype(float)


def one_request(rng: np.random.Generator) -> Callable[[Evidence], np.ndarray]:
    """Draw single requests, so that every question is asked after each."""

    def draw(evidence: Evidence) -> np.ndarray:
        case, size = evidence.case, len(evidence.total)
        is_canary = rng.random(size) < case.share
        is_bad = rng.random(size) < np.where(is_canary, case.canary, case.baseline)
        return np.stack([is_canary & is_bad, is_canary, ~is_canary & is_bad, ~is_canary], axis=1).astype(float)

    return draw
