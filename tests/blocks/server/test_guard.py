"""What a server without a password answers: only what its own pages ask. What the pages of any server may load: what is its own."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from blocks.server import guard

PORT = 4200
OWN = {"host": f"127.0.0.1:{PORT}"}


async def answered(kind: str, headers: dict[str, str]) -> list[Any]:
    """Send a request through the guard; give what came back, `passed` from the application."""
    sent: list[Any] = []

    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        sent.append("passed")

    async def receive() -> MutableMapping[str, Any]:
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("status", message.get("code")))

    scope = {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    await guard.only_from_here(application, port=PORT)(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    "headers",
    [OWN, {"host": f"localhost:{PORT}"}, OWN | {"origin": f"http://localhost:{PORT}"}, OWN | {"origin": f"http://127.0.0.1:{PORT}"}, {}],
    ids=str,
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_own_pages_and_programs_pass(kind: str, headers: dict[str, str]) -> None:
    """A program sends no Origin."""
    assert await answered(kind, headers) == ["passed"]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": f"evil.example:{PORT}"},
        {"host": "127.0.0.1"},
        {"host": f"127.0.0.1.evil.example:{PORT}"},
        OWN | {"origin": "http://evil.example"},
        OWN | {"origin": "http://127.0.0.1:8000"},
        OWN | {"origin": f"https://127.0.0.1:{PORT}"},
        OWN | {"origin": "null"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("kind", "refusal"), [("http", [403, None]), ("websocket", [1008])])
async def test_foreign_pages_and_names_are_refused(kind: str, refusal: list[Any], headers: dict[str, str]) -> None:
    """Another port of this machine is another origin, and a name that points here is not ours."""
    assert await answered(kind, headers) == refusal


@pytest.mark.server
@pytest.mark.parametrize("path", ["/", "/v2/", "/v2/runs", "/runs", "/v2/no-such-asset.js", "/api/health", "/api/no-such-thing", "/docs"])
def test_each_answer_keeps_its_page_from_other_hosts(server: Any, path: str) -> None:
    """Real answers of the server, errors included: its own scripts and requests alone, in no frame, and no address told to others."""
    answer = httpx.get(server.api_url.removesuffix("/api") + path, follow_redirects=True, timeout=60)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    api = server.api_url.removesuffix("/api")
    assert policy["default-src"] == policy["object-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"].split() == ["'self'", api, api.replace("http", "ws")]
    assert (policy["base-uri"], policy["form-action"], policy["script-src"]) == ("'self'", "'self'", "'self' 'unsafe-eval'")
    assert policy["img-src"] == "'self' data: blob:"
    assert (answer.headers["referrer-policy"], answer.headers["x-content-type-options"]) == ("no-referrer", "nosniff")


async def test_the_headers_of_the_application_do_not_stand_beside_ours() -> None:
    """Of two Content-Security-Policies both would hold, and of two Referrer-Policies the last."""
    sent: list[Any] = []

    async def application(_scope: Any, _receive: Any, send: guard.Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Referrer-Policy", b"unsafe-url"), (b"etag", b"x")]})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> MutableMapping[str, Any]:
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await guard.with_page_headers(application, port=PORT)({"type": "http"}, receive, send)
    names = [name for name, _ in sent[0]["headers"]]
    assert sorted(names) == [b"content-security-policy", b"etag", b"referrer-policy", b"x-content-type-options"]
    assert (b"referrer-policy", b"no-referrer") in sent[0]["headers"]
    assert sent[1] == {"type": "http.response.body", "body": b""}
