"""A tiny service for the tests of the local platform: `python local_service.py PORT MODE`."""

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ["SHIPWAY_VERSION"]
HUNG = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Answers what the path asks for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # noqa: C901, PLR0912 - a table of paths
        """Answer by path."""
        path = self.path.partition("?")[0]
        if HUNG.is_set():
            time.sleep(600)
        if path == "/hang":
            HUNG.set()
            self.reply(200, b"hung")
        elif path == "/readyz" and sys.argv[2] == "never-ready":
            self.reply(503, b"no")
        elif path == "/slow":
            time.sleep(0.4)
            self.reply(200, VERSION.encode())
        elif path == "/status/500":
            self.reply(500, b"broken")
        elif path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(50):
                self.wfile.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/torn":
            self.send_response(200)
            self.send_header("Content-Length", "200000")
            self.end_headers()
            self.wfile.write(b"x" * 100_000)
            self.close_connection = True
        elif path == "/close":
            self.server.socket.close()
            self.reply(200, b"closed")
        elif path == "/headers":
            self.reply(200, str(self.headers).encode(), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))
        elif path == "/environment":
            self.reply(200, "\n".join(f"{name}={value}" for name, value in os.environ.items()).encode())
        elif path == "/print":
            sys.stdout.write(self.path.partition("?")[2] + "\n")
            sys.stdout.flush()
            self.reply(200, b"printed")
        elif path == "/write":
            sys.stdout.write(self.path.partition("?")[2])
            sys.stdout.flush()
            self.reply(200, b"written")
        else:
            self.reply(200, VERSION.encode())

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self.do_GET()

    def do_POST(self) -> None:
        """Return the body back."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply(200, body)

    def reply(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        """Send one whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


class Server(ThreadingHTTPServer):
    """Takes bursts of connections."""

    request_queue_size = 128


if __name__ == "__main__":
    if sys.argv[2] == "dies":
        sys.stdout.write("ERROR the database is on fire\n")
        sys.exit(7)
    while True:
        if sys.argv[2] == "patient":
            time.sleep(1)
        try:
            server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
            break
        except OSError:
            if sys.argv[2] != "patient":
                raise
    server.serve_forever()
    time.sleep(600)  # it lives, and listens no more
