"""The clock, for tasks and flows; rules take the time as an argument."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Read the time, in UTC."""
    return datetime.now(UTC)


def seconds_until(moment: datetime) -> float:
    """Give the seconds until a moment; 0 if it has passed."""
    return max((moment - now()).total_seconds(), 0.0)
