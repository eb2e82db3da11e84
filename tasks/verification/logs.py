"""Logs of the revisions."""

from __future__ import annotations

from typing import Any

from prefect import task

from blocks.platform import Platform
from tasks.lifecycle.policy import OBSERVE_PLATFORM

MOST_LINES = 5_000


@task(name="read logs", **OBSERVE_PLATFORM)
async def read_logs(platform: Platform, *, since: float) -> list[dict[str, Any]]:
    """Read the revisions' log lines since a moment (seconds since the epoch), the newest 5,000 at most."""
    return [dict(line) for line in await platform.logs(since, limit=MOST_LINES)]
