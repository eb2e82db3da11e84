"""The quotes, 1.1: `quotes.py PORT`."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "1.1"
QUOTE = "Make it work, then make it right."


class Handler(BaseHTTPRequestHandler):
    """Answers with a quote, and with the version."""

    def do_GET(self) -> None:
        """Answer one request."""
        body = VERSION if self.path == "/version" else QUOTE
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


if __name__ == "__main__":
    ThreadingHTTPServer((os.environ.get("QUOTES_HOST", "127.0.0.1"), int(sys.argv[1])), Handler).serve_forever()
