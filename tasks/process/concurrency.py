"""Do several things side by side, leave nothing running where one of them fails, and take turns where there is room for few."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = WeakKeyDictionary()


def turns(name: str, *, at_once: int = 1) -> asyncio.Semaphore:
    """Give what lets so many in at once, for all in this process who ask by this name.

    Args:
        name: What it is for.
        at_once: How many; the first who asks decides.
    """
    known = _turns.setdefault(asyncio.get_running_loop(), {})
    return known.setdefault(name, asyncio.Semaphore(at_once))


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


async def until_one(*work: Coroutine[Any, Any, T], ends: Callable[[T], bool]) -> tuple[T | None, list[T]]:
    """Wait for all, or for the first with a result that ends the others; an error ends them, too, and is raised.

    Args:
        work: Coroutines that nobody has begun.
        ends: Says of a result whether nothing may go on beside it.

    Returns:
        The first result that ended the others, or None; and the results of all that came to their end, in the order of the work.
    """
    running = [asyncio.ensure_future(one) for one in work]
    left, ending = set(running), None
    try:
        while left and ending is None:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for one in sorted(done, key=running.index):
                if ends(found := one.result()) and ending is None:
                    ending = found
    finally:
        for one in running:  # once: a second cancellation would cut their clearing up short
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return ending, [one.result() for one in running if not one.cancelled() and one.exception() is None]


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Let something come to its end before a cancellation goes on, so that it does not happen behind what comes next."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        raise
