"""What every faulty server of the tests can do: answer, hang, drip, send without end; each says beside it what else it is wrong in."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

MEGABYTE = b" " * 1_000_000


class FaultyHandler(BaseHTTPRequestHandler):
    """Has an answer for each fault; who inherits chooses among `answer_…` in `take`."""

    protocol_version = "HTTP/1.1"
    server: FaultyHttp

    def do_GET(self) -> None:
        """Take a request without a body."""
        self.take(b"")

    def do_POST(self) -> None:
        """Take a request with its body."""
        self.take(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def do_PUT(self) -> None:
        """Take a request with its body."""
        self.do_POST()

    def do_PATCH(self) -> None:
        """Take a request with its body."""
        self.do_POST()

    def take(self, body: bytes) -> None:
        """Note what was asked, and answer."""
        raise NotImplementedError

    def answer(self, name: str) -> None:
        """Return the answer of this name; who asked may be gone."""
        with contextlib.suppress(OSError):
            getattr(self, f"answer_{name}")()

    def answer_hang(self) -> None:
        """Take the request and say nothing."""
        self.server.over.wait(30)

    def answer_drip(self) -> None:
        """Begin an answer and never end it."""
        self._head(200, 100_000)
        while not self.server.over.wait(0.02):
            self.wfile.write(b" ")

    def answer_gigabyte(self) -> None:
        """Send 1 GB, as far as anybody reads it."""
        self._head(200, 1_000_000_000)
        for _ in range(1000):
            self.wfile.write(MEGABYTE)
            self.server.megabytes += 1

    def answer_torn(self) -> None:
        """Promise more than is sent."""
        self._head(200, 1000)
        self.wfile.write(b'{"status":"success"')
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


class FaultyHttp(ThreadingHTTPServer):
    """Listens on a free port of the loopback; `over` ends the answers that have no end."""

    daemon_threads = True
    scheme = "http"

    def __init__(self, handler: type[FaultyHandler]) -> None:
        """Listen."""
        super().__init__(("127.0.0.1", 0), handler)
        self.megabytes = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        """The server's base URL."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Take broken connections as they come."""


Http = TypeVar("Http", bound=FaultyHttp)


@contextlib.contextmanager
def running(server: Http) -> Iterator[Http]:
    """Serve until the end of the block."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            time.sleep(0.01)
            server.shutdown()
            thread.join()
