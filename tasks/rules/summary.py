"""Fold several outcomes into one: the worst decides, and says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WORST_FIRST = ("failed", "error", "no_data", "watching", "passed")


def worst_of(found: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Fold results into one.

    Args:
        found: Results with `outcome` and `reason`.

    Returns:
        The worst outcome, and the reasons of all that have it; nothing at all is `no_data`.
    """
    if not found:
        return "no_data", "nothing was looked at"
    outcomes = [str(one["outcome"]) for one in found]
    worst = next((name for name in WORST_FIRST if name in outcomes), "error")
    if worst == "passed":
        return worst, f"all {len(found)} checks passed"
    reasons = [str(one["reason"]) for one, outcome in zip(found, outcomes, strict=True) if worst in {outcome, "error"}]
    return worst, "; ".join(reasons)
