"""Do several things side by side, and leave nothing running where one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Wait for all; the first that fails ends the others before its error is raised, so that what follows has the place to itself.

    Args:
        work: Coroutines that nobody has begun.

    Returns:
        What each gave, in their order.
    """
    running = [asyncio.ensure_future(one) for one in work]
    failed: list[BaseException] = []
    try:
        if running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            failed = [error for one in running if one in done and not one.cancelled() and (error := one.exception())]
    finally:
        for one in running:  # once: a second cancellation would cut their clearing up short
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if failed:
        raise failed[0]
    return [one.result() for one in running]
