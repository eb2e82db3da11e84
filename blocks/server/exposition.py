"""The metrics that the server stack serves at `/metrics`, for Prometheus: a file that the keeper writes, and when it did its work.

Who scrapes needs a token of its own, keys/metrics.token: with the API's password one could release.
"""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from blocks.server import keeper_watch, layout
from blocks.server.guard import Application, Receive, Scope, Send

PATH = "/metrics"
KEEPER, COMPUTED = "shipway_keeper_timestamp_seconds", "shipway_metrics_timestamp_seconds"
MOST_BYTES = 16_000_000
TEXT = b"text/plain; version=0.0.4; charset=utf-8"
WITHOUT_TOKEN = b"Send `Authorization: Bearer` with the token of keys/metrics.token in the home directory.\n"
NO_TOKEN = b"keys/metrics.token is not there, or too short; remove it, and `shipway up` writes a new one.\n"
NOT_YET = b"The keeper has not written the metrics yet; it does so within a minute after the start. `shipway doctor` looks at the keeper.\n"


def with_metrics(application: Application, *, home: Path) -> Application:
    """Answer `GET /metrics` before an application.

    Args:
        application: What answers everything else.
        home: The home directory.
    """

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
        else:
            await _send(send, *await asyncio.to_thread(_answer, home, scope), is_head=scope["method"] == "HEAD")

    return answered


def _answer(home: Path, scope: Scope) -> tuple[int, bytes]:
    if scope["method"] not in {"GET", "HEAD"}:
        return 405, b"Use GET.\n"
    given = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    token = layout.metrics_token(home)
    if not token:
        return 503, NO_TOKEN
    if not given or not hmac.compare_digest(given[0], b"Bearer " + token.encode()):
        return 401, WITHOUT_TOKEN
    try:
        written = layout.metrics_file(home)
        content, at = written.read_bytes(), written.stat().st_mtime
    except OSError:
        return 503, NOT_YET
    return (200, content + _of_keeper(home, written=at)) if len(content) <= MOST_BYTES else (503, b"There are too many metrics.\n")


async def _send(send: Send, status: int, body: bytes, *, is_head: bool) -> None:
    headers = [(b"content-type", TEXT), (b"content-length", str(len(body)).encode())]
    if status == 401:  # noqa: PLR2004 - an HTTP status
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})


def _of_keeper(home: Path, *, written: float) -> bytes:
    """Give what may be alerted on if the keeper stands still, read at each scrape; nothing of a keeper that never did its work."""
    worked, registry = keeper_watch.noted_work(layout.key_file(home)), CollectorRegistry()
    if worked is not None:
        Gauge(KEEPER, "When the keeper last did its work.", registry=registry).set(worked)
    Gauge(COMPUTED, "When these metrics were computed.", registry=registry).set(written)
    return generate_latest(registry)
