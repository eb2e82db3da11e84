"""A receiver of messages: a real HTTP server on loopback that can be down, refuse, hang or lose its answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HttpReceiver:
    """What was sent to it, and how it answers.

    Fields:
        answers: The status of each answer: 200, or a refusal as 403.
        received: The messages that it acknowledged, in order.
        refused: How many it refused.
    """

    def __init__(self, port: int) -> None:
        """Begin."""
        self.port, self.status = port, 200
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
            if receiver.status == 200:
                receiver.received.append(json.loads(body))
            else:
                receiver.refused += 1
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

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
