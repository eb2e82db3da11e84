"""Platform counts: from traffic counts by version to the observation of one SLI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blocks.errors import BadInput
from tasks.rules.analysis.indicator import bad_and_total
from tasks.rules.analysis.observation import Count, Role, Seen, slower_than
from tasks.rules.plan.judgement import PlatformSli


def see_platform(sli: PlatformSli, counts: Mapping[str, Any], *, versions: Mapping[Role, str]) -> Seen:
    """Read one SLI from traffic counts.

    Args:
        sli: The SLI.
        counts: By version: `started`, `requests`, `errors`, and `buckets` for latency.
        versions: The version of each revision; one without counts is left out.

    Returns:
        The observation; impossible counts are an error.
    """
    found: dict[Role, Count] = {}
    what = "failed" if sli.threshold_seconds is None else slower_than(sli.threshold_seconds, sli.threshold_seconds)
    try:
        for role, version in versions.items():
            if version in counts:
                bad, total, bound = bad_and_total(counts[version], indicator=sli.indicator, threshold_seconds=sli.threshold_seconds)
                found[role] = Count(bad, total, str(counts[version]["started"]))
                what = what if bound is None else slower_than(bound, sli.threshold_seconds or bound)
    except BadInput as error:
        return Seen(error=f"the platform's counts cannot be read: {error}")
    return Seen(found, what)


def increase(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[int, int]:
    """Count what came between two readings of one version; a counter that was reset meanwhile counts from zero.

    Args:
        before: `started`, `requests` and `errors` at first; None if it was not counted then.
        after: The same later; None if it is not counted.

    Returns:
        How many requests failed, and how many there were.
    """
    if after is None:
        return 0, 0
    if before is None or before["started"] != after["started"] or after["requests"] < before["requests"]:
        return after["errors"], after["requests"]
    return max(0, after["errors"] - before["errors"]), after["requests"] - before["requests"]
