"""Indicator: from the counts of one revision to the bad and the total events of one SLI."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from blocks.errors import BadInput


def bad_and_total(
    counts: Mapping[str, Any], *, indicator: Literal["errors", "latency"], threshold_seconds: float | None = None
) -> tuple[int, int, float | None]:
    """Count bad and all events since the counter's start.

    Args:
        counts: `requests`, `errors`, and for latency `buckets`: upper bound in seconds (as text, "+Inf" for all) to the
            requests at or below it.
        indicator: `errors`: failed requests; `latency`: requests slower than the threshold.
        threshold_seconds: Latency only; snapped to a bucket (see `snap_threshold`).

    Returns:
        Bad events, all events, and the bucket's bound in seconds that was used (None for errors).

    Raises:
        BadInput: The counts are missing, or a latency has no threshold.
    """
    if indicator == "errors":
        return _whole(counts, "errors"), _whole(counts, "requests"), None
    if threshold_seconds is None:
        raise BadInput("a latency indicator has no threshold", field="threshold_seconds", fix="Name it in seconds, as 0.25")
    buckets = counts.get("buckets") or {}
    bound = snap_threshold(buckets, threshold_seconds=threshold_seconds)
    within = {bound_seconds(text): _whole(buckets, text) for text in buckets}
    total = within.get(math.inf, max(within.values()))
    return total - within[bound], total, bound


def snap_threshold(buckets: Mapping[str, int], *, threshold_seconds: float) -> float:
    """Choose the smallest bucket bound at or above the threshold: between two bounds nothing is known.

    The SLI is milder by the distance, so the bound is reported. Above the largest finite bound that one is taken,
    which is stricter: a bound of infinity would call nothing slow.

    Args:
        buckets: Upper bound in seconds as text to a count.
        threshold_seconds: The wanted threshold.

    Returns:
        The bound in seconds.

    Raises:
        BadInput: There is no finite bucket.
    """
    bounds = sorted(bound for bound in map(bound_seconds, buckets) if math.isfinite(bound))
    if not bounds:
        raise BadInput(
            "no latency histogram with a finite bucket was read",
            field="buckets",
            fix="Let the service or the router publish one, or judge by errors",
        )
    return next((bound for bound in bounds if bound >= threshold_seconds * (1 - 1e-9)), bounds[-1])


def bound_seconds(text: str) -> float:
    """Read a bucket's bound in seconds.

    Raises:
        BadInput: It is not a number.
    """
    try:
        bound = float(text)
    except (TypeError, ValueError):
        bound = math.nan
    if math.isnan(bound):
        raise BadInput(f"the bucket {text!r} has no bound in seconds", field="buckets", fix='Bounds are numbers as text, and "+Inf"')
    return bound


def _whole(counts: Mapping[str, Any], field: str) -> int:
    value = counts.get(field)
    try:
        whole = int(value)  # type: ignore[arg-type]
        if whole == value and whole >= 0:
            return whole
    except (TypeError, ValueError, OverflowError):
        pass
    raise BadInput(f"{value!r} is not a count of events", field=field, fix="Cumulative counts are whole numbers from 0 up")
