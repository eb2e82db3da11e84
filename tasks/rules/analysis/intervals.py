"""Always-valid confidence bounds of one ratio, and of the difference of two. Plain arithmetic, no numpy."""

from __future__ import annotations

import math

NEWTON_STEPS = 6
HALVINGS = 30
HALVINGS_OUTSIDE = 14


def ratio_bounds(bad: int, total: int, *, alpha: float) -> tuple[float, float]:
    """Bound a ratio so that the bounds hold at all times at once, with probability 1 - alpha at least.

    The bounds enclose the ratios p against which the mixture Beta(1/2, 1/2) has a likelihood ratio below 1/alpha: under
    p that ratio is a martingale and ever reaches 1/alpha with probability alpha at most (Ville 1939; Robbins 1970,
    "Statistical methods related to the law of the iterated logarithm").

    Args:
        bad: Bad events.
        total: All events, at least `bad`.
        alpha: Probability that the bounds ever miss the ratio.

    Returns:
        Lower and upper bound, between 0 and 1.
    """
    if total == 0:
        return 0.0, 1.0
    least = log_mixture(bad, total - bad) + math.log(alpha)
    seen = bad / total
    return min(seen, _low(bad, total, least)), max(seen, 1.0 - _low(total - bad, total, least))


def _low(bad: int, total: int, least: float) -> float:
    """Find where the likelihood falls to `least` left of its top.

    In the log-odds the likelihood is concave, so after one step Newton's method stays outside and only comes closer.
    """
    if bad == 0:
        return 0.0
    if bad == total:
        return math.exp(least / total)
    top = math.log(bad / (total - bad))
    fall = bad * top - total * _log1p_exp(top) - least
    odds = top - math.sqrt(max(0.0, 2 * fall * total / (bad * (total - bad)))) - 1e-9
    for _ in range(NEWTON_STEPS):
        slope = bad - total / (1 + math.exp(-odds))
        odds -= (bad * odds - total * _log1p_exp(odds) - least) / slope
    return 1 / (1 + math.exp(-odds))


def _log1p_exp(exponent: float) -> float:
    return max(exponent, 0.0) + math.log1p(math.exp(-abs(exponent)))


def difference_low(canary: tuple[int, int], baseline: tuple[int, int], *, floor: float, alpha: float) -> float:
    """Return a lower bound, valid at all times at once, of how much the canary's ratio is above the baseline's.

    Universal inference (Wasserman, Ramdas & Balakrishnan 2020): the mixture's likelihood of both streams against the
    largest likelihood with canary - baseline <= d; the answer is the largest d that is rejected.

    Args:
        canary: Its bad events and all its events.
        baseline: The same of the baseline.
        floor: A lower bound known from another test; the answer is never less.
        alpha: Probability that a larger answer is ever too large.

    Returns:
        A difference of ratios from `floor` to 1.
    """
    if not canary[1] or not baseline[1]:
        return floor
    one, other = (canary[0], canary[1] - canary[0]), (baseline[0], baseline[1] - baseline[0])
    least = log_mixture(*one) + log_mixture(*other) + math.log(alpha)
    low, high = floor, canary[0] / canary[1] - baseline[0] / baseline[1]
    for _ in range(HALVINGS_OUTSIDE):
        difference = (low + high) / 2
        ratio = _best_fit(one, other, difference)
        fit = _log_likelihood(*one, ratio + difference) + _log_likelihood(*other, ratio)
        low, high = (difference, high) if fit < least else (low, difference)
    return low


def log_mixture(bad: int, good: int) -> float:
    """Log of the likelihood of a sequence under the mixture Beta(1/2, 1/2) over its ratio (Krichevsky & Trofimov 1981)."""
    return math.lgamma(bad + 0.5) + math.lgamma(good + 0.5) - math.lgamma(bad + good + 1.0) - math.log(math.pi)


def _log_likelihood(bad: int, good: int, ratio: float) -> float:
    if (bad and ratio <= 0) or (good and ratio >= 1):
        return -math.inf
    return (bad * math.log(ratio) if bad else 0.0) + (good * math.log1p(-ratio) if good else 0.0)


def _best_fit(canary: tuple[int, int], baseline: tuple[int, int], difference: float) -> float:
    """Find the baseline ratio that fits best if the canary's is `difference` above it; the fit is concave in it."""
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
    for _ in range(HALVINGS):
        ratio = (low + high) / 2
        slope = _slope(*baseline, ratio) + _slope(*canary, ratio + difference)
        low, high = (ratio, high) if slope > 0 else (low, ratio)
    return (low + high) / 2


def _slope(bad: int, good: int, ratio: float) -> float:
    if (bad and ratio <= 0) or (good and ratio >= 1):
        return math.inf if ratio <= 0 else -math.inf
    return (bad / ratio if bad else 0.0) - (good / (1.0 - ratio) if good else 0.0)
