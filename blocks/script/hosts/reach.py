"""Reaching hosts: a connection is made once it is needed, used for all orders, and made anew after it broke."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from blocks.errors import Unreachable
from blocks.script.hosts.orders import Connection, Ran

CONNECTING = 8
Connect = Callable[[str], AbstractAsyncContextManager[Connection]]


class Reach:
    """A host, connected as long as there is something to ask; close it by leaving its context.

    Args:
        name: As the block has it.
        connect: Connects to a host of this name.
        gate: Lets some connect at the same time: an sshd drops what comes in numbers (MaxStartups in sshd_config(5), 10 by default).
    """

    def __init__(self, name: str, connect: Connect, gate: asyncio.Semaphore) -> None:
        """Connect to nothing yet."""
        self.name, self.connect, self.gate = name, connect, gate
        self.stack, self.connection = AsyncExitStack(), None
        self.connecting = asyncio.Lock()

    connection: Connection | None

    async def run(self, command: str, given: bytes, *, timeout_seconds: float) -> Ran:
        """Run a command; see `blocks.script.hosts.orders.Connection`. What broke is not run again: whether it ran is not known."""
        async with self.connecting:
            if self.connection is None:
                async with self.gate:
                    self.connection = await self.stack.enter_async_context(self.connect(self.name))
            connection = self.connection
        try:
            return await connection.run(command, given, timeout_seconds=timeout_seconds)
        except Unreachable:
            async with self.connecting:
                if self.connection is connection:
                    self.connection = None
                    await self.stack.aclose()
            raise

    async def __aenter__(self) -> Self:
        """Give itself."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connection."""
        await self.stack.aclose()
