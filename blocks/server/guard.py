"""What stands before Prefect's application: bounds for who has not authenticated, for its own pages, and for pages of other origins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, ClassVar

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HERE = ("127.0.0.1", "localhost")

# What Prefect's UI 3.9 needs: pixi.js makes functions for its shaders from text and starts its workers from blobs; fonts and pictures are
# also data URIs. No inline script and no other host: its Amplitude client asks for a configuration even if analytics is off.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' {api}; worker-src 'self' blob:; manifest-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose client has little time and room until it has authenticated, and of which there are few.

    Authenticated is who was sent a message: the first that Prefect's server sends says that the token was right.
    """

    WAITING_AT_ONCE: ClassVar = 32  # another one ends the oldest; a client of ours waits for some milliseconds
    WAITING_BYTES: ClassVar = 65_536  # the request and the message with the token
    WAITING_SECONDS: ClassVar = 5.0
    waiting: ClassVar[dict[BoundedWebSocket, asyncio.TimerHandle]] = {}
    received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the authentication."""
        super().connection_made(transport)
        if len(self.waiting) >= self.WAITING_AT_ONCE:
            next(iter(self.waiting)).give_up()
        self.waiting[self] = self.loop.call_later(self.WAITING_SECONDS, self.give_up)

    def data_received(self, data: bytes) -> None:
        """Take what fits."""
        self.received_bytes += len(data)
        if self in self.waiting and self.received_bytes > self.WAITING_BYTES:
            self.give_up()
        elif not self.transport.is_closing():
            super().data_received(data)

    def give_up(self) -> None:
        """End the connection at once: a close that waits for the client's answer would let it go on."""
        self._stop_waiting()
        self.transport.abort()

    async def send(self, message: Any) -> None:
        """Send the application's message."""
        if message["type"] == "websocket.send":
            self._stop_waiting()
        await super().send(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if (timer := self.waiting.pop(self, None)) is not None:
            timer.cancel()


# Prefect's largest message is an event of 1.5 MB. Unpacking compressed ones would cost each connection 0.3 MB, and small ones may be bombs.
WEBSOCKETS: dict[str, Any] = {"ws": BoundedWebSocket, "ws_max_size": 2_000_000, "ws_per_message_deflate": False}


def with_page_headers(application: Application, *, port: int) -> Application:
    """Send the headers with each answer that keep a page of this server from other hosts, and other pages from framing it.

    Args:
        application: What to protect.
        port: The port on which it is served; the pages ask the API at 127.0.0.1, also those that were opened at localhost.
    """
    policy = CONTENT_SECURITY_POLICY.format(api=f"http://{HERE[0]}:{port} ws://{HERE[0]}:{port}")
    ours = {b"content-security-policy": policy.encode(), b"referrer-policy": b"no-referrer", b"x-content-type-options": b"nosniff"}

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in ours]
                message = {**message, "headers": [*others, *ours.items()]}
            await send(message)

        await application(scope, receive, send_with_headers)

    return answered


def only_from_here(application: Application, *, port: int) -> Application:
    """Refuse requests that a page of another origin makes, also under a name that was pointed at this machine (DNS rebinding).

    Args:
        application: What to protect.
        port: The port on which it is served.
    """
    hosts = {f"{host}:{port}" for host in HERE}
    origins = {f"http://{host}" for host in hosts}

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            given = [(name, value.decode("latin-1").lower()) for name, value in scope["headers"]]
            if any((name == b"host" and value not in hosts) or (name == b"origin" and value not in origins) for name, value in given):
                await _refuse(scope, send)
                return
        await application(scope, receive, send)

    return guarded


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: an answer with status 403
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"This server has no password, so it answers only pages of its own.\n"})
