"""What is simulated, and how much any test could do at best."""

from __future__ import annotations

import math
from dataclasses import dataclass

ALPHA = 0.01
BASELINES = (0.0001, 0.001, 0.01, 0.05)
EFFECTS = (1.5, 2.0, 5.0, 10.0, 100.0)
SHARES = (0.05, 0.2, 0.5)
TOLERANCES = (0.0, 0.001, 0.01)


@dataclass(frozen=True)
class Case:
    """One pair of ratios under one split of the traffic.

    Attributes:
        baseline: p0, the baseline's ratio of bad requests.
        canary: p1, the canary's.
        share: The canary's share of the requests.
        tolerance: How much worse the canary may be (a difference of ratios).
        limit: The ratio above which it fails whatever the baseline does.
    """

    baseline: float
    canary: float
    share: float
    tolerance: float = 0.0
    limit: float = 1.0


def worse_cases() -> list[tuple[float, Case]]:
    """List every canary that is clearly worse than allowed, each with its effect."""
    return [
        (effect, Case(baseline, min(1.0, baseline * effect), share, tolerance))
        for tolerance in TOLERANCES
        for baseline in BASELINES
        for effect in EFFECTS
        for share in SHARES
        if baseline * effect <= 1 and baseline * effect > baseline + 1.2 * tolerance
    ]


def allowed_cases() -> list[Case]:
    """List every canary that is exactly as bad as allowed: the hardest of those that must not fail."""
    shares = (0.05, 0.5, 0.9)
    plain = [Case(rate, rate + tolerance, share, tolerance) for tolerance in TOLERANCES for rate in BASELINES for share in shares]
    return plain + [Case(0.05, 0.05, share, 0.01, 0.05) for share in shares] + [Case(0.01, 0.02, share, 0.01, 0.02) for share in shares]


def equal_cases() -> list[Case]:
    """List canaries that are just like the baseline, under a tolerance: those that should pass soon."""
    return [Case(rate, rate, share, 0.01) for rate in BASELINES for share in SHARES]


def least_requests(case: Case, *, alpha: float = ALPHA) -> float:
    """Compute the information bound: ln(1/alpha) / min over p of [KL(p1 | p + delta) + r KL(p0 | p)].

    Args:
        case: A canary that is worse than allowed.
        alpha: Probability of a false alarm.

    Returns:
        Canary requests that any always-valid test needs on average, to leading order (Wald 1945).
    """
    ratio = (1 - case.share) / case.share

    def cost(rate: float) -> float:
        return divergence(case.canary, rate + case.tolerance) + ratio * divergence(case.baseline, rate)

    low, high = case.baseline, case.canary - case.tolerance
    for _ in range(120):
        left, right = low + (high - low) * 0.382, low + (high - low) * 0.618
        low, high = (low, right) if cost(left) < cost(right) else (left, high)
    return math.log(1 / alpha) / cost((low + high) / 2)


def divergence(one: float, other: float) -> float:
    """Compute the Kullback-Leibler divergence of two ratios, in nats a request."""
    bad = one * math.log(one / other) if one > 0 else 0.0
    return bad + ((1 - one) * math.log((1 - one) / (1 - other)) if one < 1 else 0.0)


def interval(hits: int, trials: int) -> tuple[float, float]:
    """Enclose a probability with 95 % (Wilson 1927)."""
    z, rate = 1.96, hits / trials
    centre = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    return (max(0.0, centre - half) if hits else 0.0), centre + half
