"""The API's port: answers on it leave at once."""

from __future__ import annotations

import asyncio
import socket

from blocks.server import port


async def test_an_answer_of_head_and_body_does_not_wait_for_the_clients_acknowledgement() -> None:
    """Else Nagle's algorithm holds each body back by 40 ms: a release sends a hundred requests."""
    delays: list[int] = []
    answered = asyncio.Event()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        delays.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()
        answered.set()

    async with await asyncio.start_server(answer, sock=port.bind(0)) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await answered.wait()
        writer.close()
        await writer.wait_closed()
    assert delays == [1]
