"""A real HTTP server that is wrong in every way a service can be."""

from __future__ import annotations

import contextlib
import json
import ssl

from tests.faulty_http import FaultyHandler, FaultyHttp, running


class Handler(FaultyHandler):
    """Answers by the path."""

    server: FaultyServer

    def take(self, body: bytes) -> None:
        """Answer, or do not."""
        self.server.asked.append(self.path)
        if self.command == "POST":
            self.server.bodies.append(body)
        if self.server.hangs or 0 < self.server.hangs_after < len(self.server.asked):
            self.answer_hang()
        self.answer("down" if self.server.down else self.path.strip("/"))

    def answer_echo(self) -> None:
        """Return what was sent, as careless services do."""
        told = {"headers": dict(self.headers.items()), "body": self.server.bodies[-1].decode() if self.server.bodies else ""}
        self._reply(200, json.dumps(told).replace("/", r"\/").encode(), Told=self.headers.get("Authorization", ""))

    def answer_hosted(self) -> None:
        """Answer under one name only."""
        self._reply(200 if self.headers.get("Host") == "shop.example" else 421, b"{}")

    def answer_state(self) -> None:
        """Return how it is in all kinds of JSON."""
        self._reply(200, b'{"ready": true, "errors": null, "load": 1.5e2, "zones": ["a", "b"]}')

    def answer_packed(self) -> None:
        """Send a packed body to who asked for a plain one."""
        self._reply(200, self.server.packed, **{"Content-Encoding": self.server.encoding})

    def answer_login(self) -> None:
        """Return a session."""
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

    def answer_illegal(self) -> None:
        """Answer with a header that HTTP forbids, and with words in it that it must not say."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Said: not f\xc3\xbcr \x00 others\r\n\r\n")

    def answer_garbage(self) -> None:
        """Speak no HTTP."""
        self.wfile.write(b"\x00\xff garbage\r\n\r\n")
        self.close_connection = True


class FaultyServer(FaultyHttp):
    """Knows what it was asked."""

    def __init__(self) -> None:
        """Listen."""
        super().__init__(Handler)
        self.asked: list[str] = []
        self.hangs_after = 0
        self.bodies: list[bytes] = []
        self.elsewhere = self.encoding = ""
        self.packed = b""
        self.down = self.hangs = self.faster = False
        self.headers = 0


def serving(context: ssl.SSLContext | None = None) -> contextlib.AbstractContextManager[FaultyServer]:
    """Serve until the end of the block, over TLS where a context is given."""
    server = FaultyServer()
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    return running(server)
