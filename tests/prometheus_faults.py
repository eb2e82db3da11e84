"""A server that is wrong in every way a Prometheus, or what stands before one, can be; the first part of the path says which."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MEGABYTE = b" " * 1_000_000


class Handler(BaseHTTPRequestHandler):
    """Answers by the path."""

    protocol_version = "HTTP/1.1"
    server: FaultyPrometheus

    def do_POST(self) -> None:
        """Note what was asked, and answer as the path says."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))
        with contextlib.suppress(OSError):
            getattr(self, "answer_" + self.path.split("/")[1])()

    def answer_empty(self) -> None:
        """Know no series."""
        self._say(200, {"status": "success", "data": {"resultType": "vector", "result": []}})

    def answer_busy(self) -> None:
        """Be overloaded, in the API's own words."""
        self._say(503, {"status": "error", "errorType": "timeout", "error": "query timed out in expression evaluation"})

    def answer_gateway(self) -> None:
        """Be a gateway without a Prometheus behind it."""
        self._reply(502, b"<html>bad gateway</html>")

    def answer_parser(self) -> None:
        """Not understand."""
        self._say(400, {"status": "error", "errorType": "bad_data", "error": 'invalid parameter "query": 1:5: parse error: what?'})

    def answer_execution(self) -> None:
        """Not be able to carry it out."""
        self._say(422, {"status": "error", "errorType": "execution", "error": "found duplicate series"})

    def answer_locked(self) -> None:
        """Want other credentials."""
        self._reply(401, b"who are you?")

    def answer_elsewhere(self) -> None:
        """Point to another server."""
        self._reply(307, b"", Location=f"http://127.0.0.1:{self.server.other_port}/empty/api/v1/query?token=s3cret")

    def answer_html(self) -> None:
        """Be something else altogether."""
        self._reply(200, b"<html>hello</html>")

    def answer_strange(self) -> None:
        """Be JSON, but not this API's."""
        self._say(200, {"status": "success", "data": {"resultType": "vector", "result": [{"value": 3}]}})

    def answer_partial(self) -> None:
        """Have lost a part of the data."""
        self._say(200, {"status": "success", "warnings": ["store-2 is unavailable"], "data": {"resultType": "vector", "result": []}})

    def answer_remark(self) -> None:
        """Say something about the expression, and have everything."""
        words = ["PromQL info: metric might not be a counter"]
        self._say(200, {"status": "success", "warnings": words, "data": {"resultType": "vector", "result": []}})

    def answer_deep(self) -> None:
        """Nest without end."""
        self._reply(200, b"[" * 200_000)

    def answer_torn(self) -> None:
        """Promise more than is sent."""
        self._head(200, 1000)
        self.wfile.write(b'{"status":"success"')
        self.close_connection = True

    def answer_hang(self) -> None:
        """Say nothing."""
        self.server.over.wait(30)

    def answer_drip(self) -> None:
        """Begin and never end."""
        self._head(200, 100_000)
        while not self.server.over.wait(0.02):
            self.wfile.write(b" ")

    def answer_gigabyte(self) -> None:
        """Send 1 GB, as far as anybody reads it."""
        self._head(200, 1_000_000_000)
        for _ in range(1000):
            self.wfile.write(MEGABYTE)
            self.server.megabytes += 1

    def _say(self, status: int, what: Any) -> None:
        self._reply(status, json.dumps(what).encode())

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


class FaultyPrometheus(ThreadingHTTPServer):
    """Knows what it was asked, and with which credentials."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port of the loopback."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str]] = []
        self.megabytes = 0
        self.other_port = self.server_port
        self.over = threading.Event()

    @property
    def url(self) -> str:
        """The server's base URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Take broken connections as they come."""


@contextlib.contextmanager
def serving() -> Iterator[FaultyPrometheus]:
    """Serve until the end of the block."""
    with FaultyPrometheus() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
