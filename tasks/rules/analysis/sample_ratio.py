"""Sample ratio: whether the canary gets the share of the requests that was set, by a test that may be asked after every request.

The null hypothesis is that the odds of a request reaching the canary are within a factor of 1.5 of the odds that were set: what balances
connections instead of requests is not exact. Each bound is tested by the likelihood ratios of `sequential` (Wald 1945; Robbins 1970), with
half of ALPHA. (On sample ratio mismatches in experiments: Fabijan et al. 2019, KDD; on sequential tests of them: Lindon & Malek 2022.)
"""

from __future__ import annotations

import math
from typing import Literal

from tasks.rules.analysis.outcome import Outcome

ALPHA = 0.001  # of its own: it fails no version
ODDS_FACTOR = 1.5
SETTLE_SECONDS = 5.0  # after a shift: connections that were open go on where they were
WHOLE = 100
COUNTS = ("ask", "rollback")
ENDS_WATCH = "rollback"  # people are asked once the rest is known: who lets the release go on answers for the share alone
HINT = "Look for connections that are kept open, sticky sessions, caches, and another route"


class SampleRatio:
    """The canary's share of the requests in one step.

    Args:
        percent: The share that was set; at 0 and 100 nothing is compared.
        began: When the traffic was shifted (seconds since the epoch).
    """

    def __init__(self, percent: int, *, began: float) -> None:
        """Start without a request."""
        self.percent, self.began = percent, began
        self.fault = ""
        self._base: tuple[int, int] | None = None

    def add(self, canary: int, baseline: int, *, at: float) -> None:
        """Add the requests of both versions since the watch began; what came before the traffic settled is not compared.

        Once the evidence is there, `fault` says what was asked for and what came.
        """
        if at < self.began + SETTLE_SECONDS or not 0 < self.percent < WHOLE:
            return
        if self._base is None:
            self._base = canary, baseline
        ours, others = canary - self._base[0], baseline - self._base[1]
        if ours + others and (self.fault or is_mismatch(ours, ours + others, percent=self.percent)):
            share = 100 * ours / (ours + others)
            self.fault = f"{self.percent} % of the requests were asked for, and {share:.3g} % came ({ours:,} of {ours + others:,}). {HINT}"


def is_mismatch(canary: int, total: int, *, percent: int) -> bool:
    """Say whether the canary's share is shown not to be the one that was set.

    Args:
        canary: Its requests.
        total: The requests of both versions.
        percent: The share that was set, 0 < percent < 100.
    """
    from tasks.rules.analysis.sequential import limit_log_evidence  # noqa: PLC0415 numpy is needed only here

    enough, odds = math.log(2 / ALPHA), percent / (WHOLE - percent)
    sides: tuple[tuple[float, Literal["worse", "no_worse"]], ...] = ((odds / ODDS_FACTOR, "no_worse"), (odds * ODDS_FACTOR, "worse"))
    return any(limit_log_evidence(canary, total, limit=one / (1 + one), side=side) >= enough for one, side in sides)


def outcome_with_mismatch(outcome: Outcome, reason: str, *, mismatch: str, action: str) -> tuple[Outcome, str]:
    """Give a watch's outcome and reason, in which a mismatch counts as the plan says; a version that failed, or an error, goes first.

    Args:
        outcome: The verdict's.
        reason: The verdict's.
        mismatch: What is wrong with the canary's share; "" if nothing is.
        action: The plan's `judgement.sample_ratio`.
    """
    if not mismatch or action not in COUNTS or outcome in {Outcome.FAILED, Outcome.ERROR}:
        return outcome, reason
    return (Outcome.MISMATCH if action == "ask" else Outcome.FAILED), f"{mismatch}. So far {reason}"
