"""The clock, for tasks and flows; rules take the time as an argument."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import task

from tasks.lifecycle.policy import ONCE


def now() -> datetime:
    """Read the time, in UTC."""
    return datetime.now(UTC)


def seconds_until(moment: datetime) -> float:
    """Give the seconds until a moment; 0 if it has passed."""
    return max((moment - now()).total_seconds(), 0.0)


@task(name="remember moment", **ONCE)
async def remember_now(*, key: str) -> str:  # noqa: ARG001
    """Give the time at which this was first asked under this key, in ISO 8601."""
    return now().isoformat()
