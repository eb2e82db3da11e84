"""A receiver of messages: a real HTTP server on loopback that can be down, refuse, hang or lose its answer."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prefect.blocks.core import Block


class Board(Block):
    """A notification block of a third party: without `raise_on_failure`, and it may hang, in a thread too, or raise."""

    _block_type_slug = "test-board"

    path: str
    hangs: bool = False
    says: str = ""

    async def notify(self, body: str, subject: str | None = None) -> None:  # noqa: ARG002
        """Write one message."""
        if self.hangs:
            await asyncio.sleep(600)
        if self.says:
            raise ConnectionError(self.says)
        with Path(self.path).open("a") as file:  # noqa: ASYNC230
            file.write(f"{subject}\n")


class HttpReceiver:
    """What was sent to it, and how it answers.

    Fields:
        answers: The status of each answer: 200, or a refusal as 403.
        received: The messages that it acknowledged, in order.
        refused: How many it refused.
        refuses: It refuses messages with this text.
        drips: Whether it answers with a byte a second, for ever.
        bomb_bytes: To so many bytes its answer unpacks.
    """

    def __init__(self, port: int) -> None:
        """Begin."""
        self.port, self.status = port, 200
        self.drips, self.bomb_bytes, self.refuses = False, 0, ""
        self.received: list[dict[str, Any]] = []
        self.refused = 0

    @property
    def address(self) -> str:
        """The address as Apprise takes it, for its own JSON."""
        return f"json://127.0.0.1:{self.port}/"

    @property
    def subjects(self) -> list[str]:
        """The titles of what was acknowledged."""
        return [str(one["title"]) for one in self.received]


@contextmanager
def http_receiver(port: int = 0) -> Iterator[HttpReceiver]:
    """Serve."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = 400 if receiver.refuses and receiver.refuses.encode() in body else receiver.status
            if status == 200:
                receiver.received.append(json.loads(body))
            else:
                receiver.refused += 1
            self.send_response(status)
            if receiver.drips:
                self._drip()
                return
            content = _bomb(receiver.bomb_bytes) if receiver.bomb_bytes else b""
            if content:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _drip(self) -> None:
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b".")
                    time.sleep(1)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver = HttpReceiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _bomb(size: int) -> bytes:
    """Pack so many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)), packer.flush()])
