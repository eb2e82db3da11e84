"""A tiny service whose version says how it behaves: `python flow_service.py PORT PLACE`, version `2.0-errors` answers its page with 500.

Version `2.0-errors.us` does so only where PLACE is `us`, and `2.0-spoils.7` from the moment at which there is a file of that name in the
folder for temporary files.
"""

import os
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = os.environ["SHIPWAY_VERSION"]
MODE, _, ONLY = VERSION.partition("-")[2].partition(".")
MODE = "" if ONLY.isalpha() and ONLY not in sys.argv[2:] else MODE
HUGE = 1_000_000_000
SPOILED = Path(tempfile.gettempdir(), VERSION)


class Handler(BaseHTTPRequestHandler):
    """Answers /readyz, /version and every other path as the page that users ask for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer by path and mode."""
        path = self.path.partition("?")[0]
        if path == "/readyz":
            self.reply(503 if MODE == "mute" else 200, b"ready")
        elif path != "/version":
            time.sleep(0.2 if MODE == "sluggish" else 0)
            self.reply(500 if MODE == "errors" or (MODE == "spoils" and SPOILED.exists()) else 200, VERSION.encode())
        elif MODE == "never":
            time.sleep(60)
        elif MODE == "slow":
            time.sleep(1.5)
            self.version(VERSION)
        elif MODE == "huge":
            self.send_huge()
        elif MODE == "redirect":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/version")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.version("9.9.9" if MODE == "wrong" else VERSION)

    def version(self, version: str) -> None:
        """Say a version."""
        self.reply(200, f'{{"version": "{version}"}}'.encode())

    def send_huge(self) -> None:
        """Send a gigabyte, until the other side has enough."""
        self.send_response(200)
        self.send_header("Content-Length", str(HUGE))
        self.end_headers()
        piece = b" " * 1_000_000
        try:
            for _ in range(HUGE // len(piece)):
                self.wfile.write(piece)
        except OSError:
            self.close_connection = True

    def reply(self, status: int, body: bytes) -> None:
        """Send one whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


class Server(ThreadingHTTPServer):
    """Takes bursts of connections."""

    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Stay quiet about visitors who went away."""


if __name__ == "__main__":
    if MODE == "dies":
        sys.stdout.write("ERROR the database is on fire\n")
        sys.exit(7)
    if MODE == "soon":
        threading.Timer(1.0, lambda: os._exit(9)).start()
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
