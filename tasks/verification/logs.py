"""Logs of the revisions."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import task

from blocks.outside_text import without_escapes
from blocks.platform import Platform
from blocks.secret_text import hide
from tasks.lifecycle.retries import OBSERVE_PLATFORM

MOST_LINES = 5_000


@task(name="read logs", **OBSERVE_PLATFORM)
async def read_logs(platform: Platform, *, since: float) -> list[dict[str, Any]]:
    """Read the revisions' log lines since a moment (seconds since the epoch), the newest 5,000 at most.

    Secrets are hidden here, before lines are compared and shortened: of half a secret nothing would be found.
    """
    lines = await platform.logs(since, limit=MOST_LINES)
    return await asyncio.to_thread(lambda: [{**line, "text": hide(without_escapes(str(line["text"])))} for line in lines])
