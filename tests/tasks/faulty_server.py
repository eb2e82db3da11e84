"""A real HTTP server that is wrong in every way a service can be."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MEGABYTE = b"x" * 1_000_000


class Handler(BaseHTTPRequestHandler):
    """Answers by the path."""

    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def do_GET(self) -> None:
        """Answer, or do not."""
        self.server.asked.append(self.path)
        with contextlib.suppress(OSError):
            if self.server.hangs:
                self.answer_hang()
            getattr(self, "answer_down" if self.server.down else "answer_" + self.path.strip("/"))()

    def do_POST(self) -> None:
        """Take the body, then answer as for GET."""
        self.server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        self.do_GET()

    def answer_echo(self) -> None:
        """Say what was sent, as careless services do."""
        told = {"headers": dict(self.headers.items()), "body": self.server.bodies[-1].decode() if self.server.bodies else ""}
        self._reply(200, json.dumps(told).replace("/", r"\/").encode(), Told=self.headers.get("Authorization", ""))

    def answer_login(self) -> None:
        """Give a session."""
        self._reply(303, b"", Location="/session", **{"Set-Cookie": "session=s1; Path=/; HttpOnly"})

    def answer_session(self) -> None:
        """Be there for who has a session."""
        self._reply(200 if self.headers.get("Cookie") == "session=s1" else 401, b'{"user": {"name": "ada"}}')

    def answer_slowly(self) -> None:
        """Be well after a tenth of a second."""
        self.server.over.wait(0 if self.server.faster else 0.1)
        self.answer_fine()

    def answer_away(self) -> None:
        """Point to another server."""
        self._reply(302, b"", Location=self.server.elsewhere)

    def answer_heads(self) -> None:
        """Send headers without end."""
        self.send_response(200)
        self.flush_headers()
        while not self.server.over.is_set():
            self.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n")
            self.server.headers += 1

    def answer_fine(self) -> None:
        """Answer as a healthy 1.1 does."""
        self._reply(200, b'{"version": "1.1", "status": "ok"}')

    def answer_down(self) -> None:
        """Answer as a service that is not ready."""
        self._reply(503, b"not yet")

    def answer_once(self) -> None:
        """Be well at each second request only."""
        self._reply(200 if self.server.asked.count("/once") % 2 else 503, b"{}")

    def answer_late(self) -> None:
        """Be well from the third request on."""
        self._reply(200 if self.server.asked.count("/late") > 2 else 503, b"{}")

    def answer_redirect(self) -> None:
        """Point elsewhere."""
        self._reply(302, b"", Location="/fine")

    def answer_hang(self) -> None:
        """Take the request and say nothing."""
        self.server.over.wait(30)

    def answer_drip(self) -> None:
        """Begin an answer and never end it."""
        self._head(200, 1000)
        while not self.server.over.wait(0.05):
            self.wfile.write(b"x")

    def answer_gigabyte(self) -> None:
        """Send 1 GB, as far as anybody reads it."""
        self._head(200, 1_000_000_000)
        for _ in range(1000):
            self.wfile.write(MEGABYTE)
            self.server.megabytes += 1

    def answer_torn(self) -> None:
        """Promise more than is sent."""
        self._head(200, 1000)
        self.wfile.write(b"x")
        self.close_connection = True

    def answer_garbage(self) -> None:
        """Speak no HTTP."""
        self.wfile.write(b"\x00\xff garbage\r\n\r\n")
        self.close_connection = True

    def _reply(self, status: int, body: bytes, **headers: str) -> None:
        self._head(status, len(body), **headers)
        self.wfile.write(body)

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


class FaultyServer(ThreadingHTTPServer):
    """Knows what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port of the loopback."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.elsewhere = ""
        self.down = self.hangs = self.faster = False
        self.headers = 0
        self.megabytes = 0
        self.over = threading.Event()
        self.scheme = "http"

    @property
    def url(self) -> str:
        """The server's base URL."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Take broken connections as they come."""


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[FaultyServer]:
    """Serve until the end of the block, over TLS where a context is given."""
    with FaultyServer() as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.scheme = "https"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            time.sleep(0.01)
            server.shutdown()
            thread.join()
