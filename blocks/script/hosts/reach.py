"""Reaching hosts: a connection is taken from the pool or made once it is needed, used for all orders, and made anew after it broke."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from blocks.errors import ShipwayError, Unreachable
from blocks.script.hosts.orders import Broke, Ran
from blocks.script.hosts.pool import Connect, Kept, Key, opened, pool_here

CONNECTING = 8


class Reach:
    """A host, connected as long as there is something to ask; leaving its context keeps the connection for the next call.

    Args:
        name: As the block has it.
        connect: Connects to a host of this name.
        gate: Lets some connect at the same time: an sshd drops what comes in numbers (MaxStartups in sshd_config(5), 10 by default).
        key: What may share its connection; None if it is to be made for this call and closed after it.
    """

    def __init__(self, name: str, connect: Connect, gate: asyncio.Semaphore, key: Key | None) -> None:
        """Connect to nothing yet."""
        self.name, self.connect, self.gate, self.key = name, connect, gate, key
        self.connecting = asyncio.Lock()
        self.kept: Kept | None = None

    def is_open(self) -> bool:
        """Say whether it is connected."""
        return self.kept is not None and self.kept.connection.is_open()

    async def run(self, command: str, program: bytes, order: bytes, *, timeout_seconds: float) -> Ran:
        """Run an order; see `blocks.script.hosts.orders.Connection`.

        A connection that has answered before may have broken since: then the order is asked once more over a new one, as each order may be
        (a run is begun once by its number). What breaks otherwise is not asked again: its caller knows what that means.
        """
        kept = await self._kept()
        had_answered = kept.has_answered
        try:
            return await self._asked(kept, command, program, order, timeout_seconds=timeout_seconds)
        except Broke as error:
            if not had_answered:
                raise Unreachable(str(error)) from None
        try:
            return await self._asked(await self._kept(anew=True), command, program, order, timeout_seconds=timeout_seconds)
        except Broke as error:
            raise Unreachable(str(error)) from None

    async def _asked(self, kept: Kept, command: str, program: bytes, order: bytes, *, timeout_seconds: float) -> Ran:
        try:
            found = await kept.connection.run(command, program, order, timeout_seconds=timeout_seconds)
        except Unreachable:
            await self._drop(kept)
            raise
        kept.has_answered = True
        return found

    async def _kept(self, *, anew: bool = False) -> Kept:
        async with self.connecting:
            if self.kept is None and self.key is not None and not anew:
                self.kept = await pool_here().take(self.key)
            if self.kept is None:
                async with self.gate:
                    self.kept = await opened(self.name, self.connect)
            return self.kept

    async def _drop(self, kept: Kept) -> None:
        async with self.connecting:
            if self.kept is kept:
                self.kept = None
                await kept.close()

    async def __aenter__(self) -> Self:
        """Give itself."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Keep the connection, or close it after what is not an error of ours, as a cancellation: an order may be under way."""
        kept, self.kept = self.kept, None
        if kept is None:
            return
        if self.key is None or not (kind is None or issubclass(kind, ShipwayError)):
            await kept.close()
        else:
            await pool_here().give(self.key, kept)
