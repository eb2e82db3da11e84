"""A request that a revision was sent: what of its answer came, and how it counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from blocks.local.state.view import Run

GIVING_UP_SECONDS = 10.0  # who waited so long for the first byte and left did so because it did not come
LOOK_SECONDS = 1.0
DRIPPING_BYTES = 16  # fewer in GIVING_UP_SECONDS are no body that anyone waits for


@dataclass
class Asked:
    """A request that a revision was sent; it is counted once, by its answer or by its caller's end.

    Fields:
        run: The revision's.
        request: As its caller sent it.
        streamed: Whether it is passed on while it is being received.
        began: When it was sent, by the loop's clock.
        progressed: When the last piece of its answer came; 0 before the first.
        came: How many bytes of its body came.
        waited: For how many seconds the version let wait for them; not what its caller took to read.
    """

    run: Run
    request: web.BaseRequest
    streamed: bool
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    progressed: float = 0.0
    came: int = 0
    waited: float = 0.0
    _counted: bool = False
    _look: asyncio.TimerHandle | None = None

    def seconds(self) -> float:
        """Return how long ago it was sent."""
        return asyncio.get_running_loop().time() - self.began

    def count(self, seconds: float, *, failed: bool) -> None:
        """Count it, unless it is counted already."""
        if not self._counted:
            self._counted = True
            self.run.tally.add(seconds, failed=failed)

    def has_left(self) -> bool:
        """Say if its caller closed the connection."""
        return self.request.transport is None or self.request.transport.is_closing()

    def was_sent(self) -> bool:
        """Say if the caller sent the whole of it."""
        return not self.streamed or self.request.content.is_eof()

    async def received(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Give the pieces of the body, and count what came and how long it took."""
        loop, asked_at = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        async for piece in pieces:
            self.progressed = loop.time()
            self.came += len(piece)
            self.waited += self.progressed - asked_at
            yield piece
            asked_at = loop.time()

    def drips(self, *, for_seconds: float = 0.0) -> bool:
        """Say if the body comes by less than some bytes each time in which a caller gives up, for at least so long."""
        waited = self.waited
        return waited >= max(for_seconds, GIVING_UP_SECONDS) and self.came < DRIPPING_BYTES * waited / GIVING_UP_SECONDS

    @contextmanager
    def awaiting(self) -> Iterator[None]:
        """Wait inside for the answer or its next piece, and look whether its caller still does; nothing else would tell."""
        self._look_in(GIVING_UP_SECONDS)
        try:
            yield
        finally:
            if self._look is not None:
                self._look.cancel()

    def _look_in(self, seconds: float) -> None:
        self._look = asyncio.get_running_loop().call_later(seconds, self._look_now)

    def _look_now(self) -> None:
        stalls = asyncio.get_running_loop().time() - max(self.began, self.progressed) >= GIVING_UP_SECONDS
        if stalls and self.has_left() and self.was_sent():
            self.count(self.seconds(), failed=True)
        else:
            self._look_in(LOOK_SECONDS)
