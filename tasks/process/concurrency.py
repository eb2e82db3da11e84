"""Structured concurrency: run several coroutines, cancel the rest if one fails, and limit how many run at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = WeakKeyDictionary()


def turns(name: str, *, at_once: int = 1) -> asyncio.Semaphore:
    """Return the semaphore of this name in this process.

    Args:
        name: Its purpose.
        at_once: How many; the first call decides.
    """
    known = _turns.setdefault(asyncio.get_running_loop(), {})
    return known.setdefault(name, asyncio.Semaphore(at_once))


async def together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Wait for all; the first that fails cancels the others and waits for them before its error is raised.

    Args:
        work: Coroutines that have not started.

    Returns:
        The results, in their order.
    """
    running = [asyncio.ensure_future(one) for one in work]
    failed: list[BaseException] = []
    try:
        if running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            failed = [error for one in running if one in done and not one.cancelled() and (error := one.exception())]
    finally:
        for one in running:  # once: a second cancellation would interrupt their cleanup
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if failed:
        raise failed[0]
    return [one.result() for one in running]


async def until_one(*work: Coroutine[Any, Any, T], ends: Callable[[T], bool]) -> tuple[T | None, list[T]]:
    """Wait for all, or for the first result that cancels the others; an error cancels them, too, and is raised.

    Args:
        work: Coroutines that have not started.
        ends: Whether a result cancels the others.

    Returns:
        The first result that cancelled the others, or None; and the results of all that completed, in the order of the work.
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
        for one in running:  # once: a second cancellation would interrupt their cleanup
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return ending, [one.result() for one in running if not one.cancelled() and one.exception() is None]


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Shield a coroutine from cancellation: let it complete first, so that no late effect happens after the next step."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        raise
