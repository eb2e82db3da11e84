"""Code under release that looks for secrets: as a service (`spy.py PORT HOME`), a command (`spy.py - HOME`) or a script (and files)."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

PORT, HOME = sys.argv[1], Path(sys.argv[2])


def findings() -> dict[str, Any]:
    """List what can be had from here."""
    wanted = [HOME, *(HOME / "keys" / name for name in ("approvals.key", "api.auth")), HOME / "local", *HOME.glob("local/*/state.json")]
    wanted += [HOME / "local" / "x" / name for name in ("agent.log", "logs", "logs/1-1.0.log")]
    parents = [Path(f"/proc/{os.getppid()}/{name}") for name in ("environ", "mem")]
    return {
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "read": [str(path) for path in [*wanted, HOME / "local" / "x" / "state.json", *parents] if os.access(path, os.R_OK)],
        "signals": _can_signal(os.getppid()),
        "environment": sorted(os.environ),
        "home": os.environ.get("HOME"),
        "writes": os.access(os.environ.get("HOME", "/"), os.W_OK),
    }


def _can_signal(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return False
    return True


class Handler(BaseHTTPRequestHandler):
    """Answers with what it found."""

    def do_GET(self) -> None:
        """Look, and say."""
        body = json.dumps(findings()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if sys.argv[3:]:
        Path(sys.argv[3]).write_text(json.dumps(findings()))
        if sys.argv[4:] and Path(sys.argv[4]).exists():  # as `status`, which says what was deployed
            sys.stdout.write("1.0\n")
    elif PORT == "-":
        sys.stdout.write(json.dumps(findings()))
    else:
        HTTPServer(("127.0.0.1", int(PORT)), Handler).serve_forever()
