"""Connections kept open between the calls of a process, so that a release does not log in to each host for each of its steps.

Each event loop has a pool of its own, as a connection belongs to the loop in which it was made: a process that runs flows in several
threads has several. What is kept is closed once it was idle for some seconds, once it is old, so that a key that was revoked counts, and
when its loop ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import Context
from typing import NamedTuple

from blocks.script.hosts.orders import Connection

IDLE_SECONDS, OLDEST_SECONDS = 30.0, 600.0
MOST_IDLE = 200
Connect = Callable[[str], AbstractAsyncContextManager[Connection]]


class Key(NamedTuple):
    """What may share a connection: calls to one host of one block, as long as none of its fields changes.

    Fields:
        block: Digest of the block with all that it holds, its secrets included.
        host: The host's name.
    """

    block: str
    host: str


class Kept:
    """An open connection, and what closes it.

    Args:
        connection: The connection.
        stack: Closes it.
    """

    def __init__(self, connection: Connection, stack: AsyncExitStack) -> None:
        """Keep both; it has answered nothing yet."""
        self.connection, self.stack = connection, stack
        self.has_answered = False
        self.began = self.idle_since = time.monotonic()

    @property
    def is_fresh(self) -> bool:
        """Whether it may be used again."""
        now = time.monotonic()
        return self.connection.is_open() and now - self.began < OLDEST_SECONDS and now - self.idle_since < IDLE_SECONDS

    async def close(self) -> None:
        """Close it."""
        await self.stack.aclose()


async def opened(name: str, connect: Connect) -> Kept:
    """Make a connection.

    Raises:
        ShipwayError: The host does not answer, or is not what it should be.
    """
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(connect(name))
        return Kept(connection, stack.pop_all())


class Pool:
    """The connections of one event loop that no call uses now."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self.idle: dict[Key, list[Kept]] = {}
        self.keeper: asyncio.Task[None] | None = None
        self.is_over = False

    @property
    def size(self) -> int:
        """How many are kept."""
        return sum(map(len, self.idle.values()))

    async def take(self, key: Key) -> Kept | None:
        """Give a connection that was kept, None if there is none that may be used."""
        while found := self.idle.get(key):
            one = found.pop()
            if not found:
                del self.idle[key]
            if one.is_fresh:
                return one
            await one.close()
        return None

    async def give(self, key: Key, one: Kept) -> None:
        """Keep a connection for the next call, or close it if too many are kept."""
        one.idle_since = time.monotonic()
        if self.is_over or self.size >= MOST_IDLE or not one.is_fresh:
            await one.close()
            return
        self.idle.setdefault(key, []).append(one)
        if self.keeper is None:
            self.keeper = asyncio.get_running_loop().create_task(self._keep(), context=Context())  # it outlives who asks

    async def close(self) -> None:
        """Close what is kept."""
        found, self.idle = self.idle, {}
        await _close([one for kept in found.values() for one in kept])

    async def _keep(self) -> None:
        """Close what was idle for long, until nothing is kept; with the loop, which cancels this, all of it."""
        try:
            while self.idle:
                oldest = min(one.idle_since for kept in self.idle.values() for one in kept)
                await asyncio.sleep(max(0.0, oldest + IDLE_SECONDS - time.monotonic()))
                await _close(self._stale())
        except asyncio.CancelledError:
            self.is_over = True
            raise
        finally:
            self.keeper = None
            await self.close()

    def _stale(self) -> list[Kept]:
        every = [(key, one) for key, kept in self.idle.items() for one in kept]
        self.idle = {}
        for key, one in every:
            if one.is_fresh:
                self.idle.setdefault(key, []).append(one)
        return [one for _, one in every if not one.is_fresh]


def pool_here() -> Pool:
    """Give the pool of this event loop."""
    loop = asyncio.get_running_loop()
    for other in [one for one in list(_POOLS) if one.is_closed()]:
        _POOLS.pop(other, None)
    return _POOLS.setdefault(loop, Pool())


_POOLS: dict[asyncio.AbstractEventLoop, Pool] = {}


async def _close(several: Sequence[Kept]) -> None:
    await asyncio.gather(*(one.close() for one in several), return_exceptions=True)
