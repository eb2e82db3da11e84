"""As much of HTTP/1.1 as the guestbook needs: keep-alive, bodies with a length, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

MAX_HEAD_BYTES = 16_384
MAX_BODY_BYTES = 16_384
IDLE_SECONDS = 75.0
BODY_SECONDS = 10.0
CHUNK_BYTES = 65_536


@dataclass
class Request:
    """One request, read whole."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Response:
    """One answer; `filler_bytes` appends as many zeros without holding them in memory."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    filler_bytes: int = 0


class Malformed(Exception):
    """A request that cannot be read; the connection ends after the answer."""

    def __init__(self, status: int, text: str) -> None:
        """Keep the status to answer with."""
        super().__init__(text)
        self.status = status


def parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    """Split a request's head into method, target, protocol and headers (names in lower case)."""
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    try:
        method, target, protocol = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in rest)}
    except ValueError:
        raise Malformed(400, "the request's head cannot be read") from None
    if protocol not in {"HTTP/1.1", "HTTP/1.0"}:
        raise Malformed(505, f"unknown protocol {protocol}")
    if "transfer-encoding" in headers:
        raise Malformed(411, "send a Content-Length instead of a transfer encoding")
    return method, target, protocol, headers


async def read_request(reader: asyncio.StreamReader, head: bytes) -> tuple[Request, bool]:
    """Read the rest of a request; say too whether the connection may live on."""
    method, target, protocol, headers = parse_head(head)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise Malformed(400, "the Content-Length is not a number")
    if len(length) > len(str(MAX_BODY_BYTES)) or int(length) > MAX_BODY_BYTES:
        raise Malformed(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    async with asyncio.timeout(BODY_SECONDS):
        body = await reader.readexactly(int(length))
    try:
        parts = urlsplit(target)
    except ValueError:
        raise Malformed(400, "the request's target cannot be read") from None
    keep = protocol == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return Request(method, parts.path, dict(parse_qsl(parts.query)), headers, body), keep


async def write_response(writer: asyncio.StreamWriter, response: Response, *, keep: bool, head_only: bool) -> None:
    """Send an answer, head and body in one piece."""
    headers = {"Content-Type": response.content_type, "Content-Length": str(len(response.body) + response.filler_bytes)}
    headers |= {"Connection": "keep-alive" if keep else "close"} | response.headers
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if head_only else response.body))
    await writer.drain()
    left = 0 if head_only else response.filler_bytes
    while left > 0:
        writer.write(bytes(min(left, CHUNK_BYTES)))
        await writer.drain()
        left -= CHUNK_BYTES


class HttpServer:
    """Connections and what they are doing, so that the end can be orderly.

    Args:
        answer: Makes the answer to a request.
        observe: Is told each answered request, its status and its time in seconds.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Response]], observe: Callable[[Request, int, float], None]) -> None:
        """Serve nothing yet."""
        self._answer, self._observe = answer, observe
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.StreamWriter] = set()
        self._stopping = False

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_HEAD_BYTES, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, *, drain_seconds: float) -> int:
        """Stop listening, let running requests finish, and return how many had to be cut off."""
        # Connections that the kernel has accepted for us already are served, not reset.
        await asyncio.sleep(0.02)
        self._server.close()
        self._stopping = True
        for writer in self._idle:
            writer.close()
        if not self._tasks:
            return 0
        _, running = await asyncio.wait(self._tasks, timeout=drain_seconds)
        for task in running:
            task.cancel()
        return len(running)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            while await self._serve_one(reader, writer):
                pass
        self._idle.discard(writer)
        self._tasks.discard(task)
        writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve the next request; say whether the connection lives on."""
        self._idle.add(writer)
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            await write_response(writer, Response(431, b'{"error": "the head is too large"}'), keep=False, head_only=False)
            return False
        self._idle.discard(writer)
        begun = time.perf_counter()
        try:
            request, keep = await read_request(reader, head)
        except Malformed as error:
            await write_response(writer, Response(error.status, f'{{"error": "{error}"}}'.encode()), keep=False, head_only=False)
            return False
        response = await self._answer(request)
        self._observe(request, response.status, time.perf_counter() - begun)
        keep = keep and not self._stopping
        await write_response(writer, response, keep=keep, head_only=request.method == "HEAD")
        return keep
