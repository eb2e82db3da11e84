"""What a server without a password answers: only what its own pages ask."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

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
