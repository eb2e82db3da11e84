"""Observation of one SLI at one reading: cumulative counts of each revision, or why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["canary", "baseline"]
ROLES: tuple[Role, ...] = ("canary", "baseline")


@dataclass(frozen=True, slots=True)
class Count:
    """Cumulative counts of one revision.

    Fields:
        bad: Bad events since `started`.
        total: All events since `started`.
        started: Identifies the counter's life; another value means that it was reset to zero.
    """

    bad: int
    total: int
    started: str = ""


@dataclass(frozen=True)
class Seen:
    """One reading of one SLI.

    Fields:
        counts: By revision; a revision that the source does not know is missing.
        what: What a bad event is, in the past tense: "failed", "were slower than 250 ms".
        silence: Why nothing could be read this time, though the next reading may succeed; else "".
        error: Why the counts or the query cannot be right; else "".
    """

    counts: Mapping[Role, Count] = field(default_factory=dict)
    what: str = ""
    silence: str = ""
    error: str = ""


def slower_than(bound_seconds: float, threshold_seconds: float) -> str:
    """Describe a slow answer, with the histogram's bucket if it replaces the threshold: "were slower than 250 ms"."""
    said = f"were slower than {1000 * bound_seconds:g} ms"
    is_snapped = abs(bound_seconds - threshold_seconds) > 1e-9 * threshold_seconds
    return f"{said} (the bucket for the plan's {1000 * threshold_seconds:g} ms)" if is_snapped else said
