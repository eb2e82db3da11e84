"""Joined readings: who asks at the same moment gets one reading, so that a watch does not ask every host three times a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
TOGETHER_SECONDS = 0.02


class Joined(Generic[T]):
    """A reading begins only after all who get it have asked, so that none of them sees what was before.

    Args:
        owner: Whose readings they are; a copy of it makes others.
        read: Makes a reading; what it returns or raises is for all who asked.
    """

    def __init__(self, owner: object, read: Callable[[], Awaitable[T]]) -> None:
        """Keep both; nothing is read yet."""
        self.owner, self.read = owner, read
        self.next: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Join the reading that has not begun yet, or begin one soon. Who is cancelled leaves it to the others."""
        if self.next is None or self.next.get_loop() is not asyncio.get_running_loop():
            self.next = asyncio.create_task(self._begin())
            self.next.add_done_callback(_seen)
        return await asyncio.shield(self.next)

    async def _begin(self) -> T:
        await asyncio.sleep(TOGETHER_SECONDS)
        self.next = None
        return await self.read()

    def __deepcopy__(self, _memo: Any) -> None:
        """A copy joins readings of its own."""


def _seen(task: asyncio.Task[Any]) -> None:
    """Take the error of a reading that everybody left."""
    if not task.cancelled():
        task.exception()
