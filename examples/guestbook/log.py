"""Log lines on stdout: time (UTC), level, text."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime


def log(level: str, text: str) -> None:
    """Write one line; a reader that has gone away does not hurt the service.

    Args:
        level: `INFO` or `ERROR`.
        text: What happened; line breaks are made visible, so that a line stays a line.
    """
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = text.replace("\r", "\\r").replace("\n", "\\n")
    with contextlib.suppress(OSError):
        print(f"{moment} {level} {line}", flush=True)
