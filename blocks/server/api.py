"""The Prefect server of a home directory."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blocks.bounded import PLAIN, EncodedError, TooLongError, read_open
from blocks.errors import Refused
from blocks.server import layout, port

MOST_BYTES = 64_000_000
IDENTITY = "webhook"  # a block type of Prefect's own: its id in the database names the server


def command(home: Path) -> list[str]:
    """Build the command that serves API and UI in the foreground."""
    return [sys.executable, "-m", "blocks.server.api_process", str(home)]


def ask(home: Path, path: str, body: dict[str, Any] | None = None, *, timeout_seconds: float = 2) -> Any:
    """Ask the API one question without importing Prefect: GET, or POST where there is a body.

    Raises:
        OSError: It is not reached, or refuses (`urllib.error.HTTPError`).
    """
    with _open(home, path, body, timeout_seconds=timeout_seconds) as answer:
        try:
            return json.loads(read_open(answer, headers=answer.headers, most_bytes=MOST_BYTES, seconds=5 * timeout_seconds))
        except (TooLongError, EncodedError) as error:
            message = f"the server's answer to {path} cannot be read: {type(error).__name__}"
            raise OSError(message) from None


def send(home: Path, path: str, body: Any) -> None:
    """Post something to the API whose answer has nothing to read.

    Raises:
        OSError: It is not reached, or refuses (`urllib.error.HTTPError`).
    """
    with _open(home, path, body, timeout_seconds=2):
        pass


def server_id(home: Path) -> str:
    """Read the id that names the server, whatever address it is reached at.

    Raises:
        OSError: It is not reached, or does not have one yet.
    """
    return str(ask(home, f"/block_types/slug/{IDENTITY}")["id"])


def date_header(home: Path) -> str:
    """Read the server's clock as its HTTP `Date` header.

    Raises:
        OSError: It is not reached.
    """
    with _open(home, "/health", None, timeout_seconds=2) as answer:
        return str(answer.headers["Date"])


def _open(home: Path, path: str, body: Any, *, timeout_seconds: float) -> Any:
    headers = {"Content-Type": "application/json", **PLAIN}
    layout.read_facts(home)
    try:
        port.hold(home)
    except Refused as error:
        raise ConnectionRefusedError(str(error)) from None
    auth = layout.auth_string(home)
    if auth:
        headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(layout.api_url(home) + path, data=data, headers=headers)  # noqa: S310 - our own loopback address
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return direct.open(request, timeout=timeout_seconds)


@contextlib.contextmanager
def a_core_of_its_own(home: Path) -> Iterator[None]:
    """Keep this process to all cores but one while it imports and the server starts: everything waits for that, and it uses one core."""
    cores = os.sched_getaffinity(0)
    others = cores if is_healthy(home) else cores - {max(cores)} or cores
    with contextlib.suppress(OSError):  # it is refused if something else assigns the cores; then the start takes a little longer
        os.sched_setaffinity(0, others)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)


def is_healthy(home: Path) -> bool:
    """Say whether the API answers, database included."""
    try:
        ask(home, "/ready")
    except (OSError, ValueError):
        return False
    return True
