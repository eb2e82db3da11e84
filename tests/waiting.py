"""Waiting for what happens outside of this process, and is not told."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def until(holds: Callable[[], Any], *, timeout_seconds: float = 60) -> None:
    """Return as soon as a condition holds.

    Args:
        holds: Asked twenty times a second; it may be a coroutine function.
        timeout_seconds: How long it may take.

    Raises:
        TimeoutError: It did not hold in time.
    """
    async with asyncio.timeout(timeout_seconds):
        while True:
            found = holds()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.05)
