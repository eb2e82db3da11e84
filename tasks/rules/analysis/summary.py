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
        The worst outcome, and the reasons of all that have it; nothing at all is `no_data`, an unknown outcome an `error`.
    """
    if not found:
        return "no_data", "nothing was looked at"
    outcomes = [str(one["outcome"]) if one["outcome"] in WORST_FIRST else "error" for one in found]
    worst = min(outcomes, key=WORST_FIRST.index)
    if worst == "passed":
        return worst, f"all {len(found)} checks passed"
    return worst, "; ".join(str(one["reason"]) for one, outcome in zip(found, outcomes, strict=True) if outcome == worst)
