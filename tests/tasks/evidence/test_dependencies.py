"""A dependency is asked over real sockets, and only a fitting answer in time passes."""

import asyncio
import gzip
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from tasks.evidence.dependencies import ask_dependency, check_dependency
from tasks.rules.evidence.dependencies import DependencyState, judge_dependency, may_follow
from tasks.rules.plan.plan import Dependency
from tasks.rules.verification.http_check import Answer

Handler = Callable[[asyncio.StreamWriter, str], Awaitable[None]]
GOOD = b'{"version": "2.4.1"}'


@asynccontextmanager
async def server(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a free port; gives the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.read(65_536)
            await handler(writer, request.split()[1].decode() if request.startswith(b"GET ") else "")
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def answer(body: bytes = GOOD, *, status: str = "200 OK", headers: str = "") -> Handler:
    """Make a handler that gives one answer."""

    async def handle(writer: asyncio.StreamWriter, _path: str) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)
        await writer.drain()

    return handle


async def never(_writer: asyncio.StreamWriter, _path: str) -> None:
    """Keep the caller waiting."""
    await asyncio.sleep(60)


async def drip(writer: asyncio.StreamWriter, _path: str) -> None:
    """Send a byte now and then, so that no single read is late."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def flood(writer: asyncio.StreamWriter, _path: str) -> None:
    """Send 1 GB."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" " * 1_000_000)
        await writer.drain()


async def circle(writer: asyncio.StreamWriter, _path: str) -> None:
    """Redirect to the same page."""
    await answer(b"", status="302 Found", headers="Location: /again\r\n")(writer, _path)


async def moved_here(writer: asyncio.StreamWriter, path: str) -> None:
    """Redirect to another page of the same host."""
    if path == "/new":
        await answer()(writer, path)
    else:
        await answer(b"", status="301 Moved", headers="Location: /new\r\n")(writer, path)


def spec(port: int, *, version: str | None = ">=2.1,<3", timeout_seconds: float = 5, scheme: str = "http", **fields: Any) -> Dependency:
    """Ask a local server."""
    url = f"{scheme}://127.0.0.1:{port}/version"
    return Dependency.model_validate({"name": "accounts", "url": url, "version": version, "timeout_seconds": timeout_seconds, **fields})


@pytest.mark.parametrize(
    ("handler", "outcome", "words"),
    [
        (answer(), "passed", "accounts 2.4.1 lies in"),
        (answer(b'{"version": "3.0"}'), "failed", "does not lie in >=2.1,<3"),
        (answer(b'{"version": "latest"}'), "error", "cannot be ordered"),
        (answer(b'{"version": 2}'), "error", "no text at /version"),
        (answer(b"<html>"), "error", "not JSON"),
        (answer(b"[" * 100_000), "error", "not JSON"),
        (answer(status="404 Not Found"), "failed", "answered 404"),
        (answer(status="503 Busy"), "failed", "answered 503"),
        (answer(b"", status="302 Found", headers="Location: http://127.0.0.2/\r\n"), "failed", "another host"),
        (answer(b"", status="302 Found", headers="Location: file:///etc/passwd\r\n"), "failed", "another host"),
        (circle, "failed", "more than 3 times"),
        (moved_here, "passed", "2.4.1"),
        (never, "no_data", "none within 0.5 s"),
        (drip, "no_data", "none within 0.5 s"),
        (flood, "error", "more than 1 MB"),
    ],
)
async def test_an_answer_is_judged(handler: Handler, outcome: str, words: str) -> None:
    """Wrong, late, endless, elsewhere and unreadable answers are no pass, and each says why."""
    async with server(handler) as port:
        start = time.monotonic()
        state = await check_dependency.fn(spec(port, timeout_seconds=0.5 if outcome == "no_data" else 5))
    assert (state.outcome, words in state.reason) == (outcome, True), state
    assert time.monotonic() - start < 8


@pytest.mark.parametrize(
    ("body", "fields", "outcome", "words"),
    [
        (b'{"build": {"of": "2.2"}}', {"version_at": "/build/of"}, "passed", "accounts 2.2 lies in"),
        (b'["2.2"]', {"version_at": "/0"}, "passed", "accounts 2.2 lies in"),
        (b'{"version": null}', {}, "error", "no text at /version"),
        (b'{"version": "2.2", "open": true}', {"expect": {"json": {"/open": True}}}, "passed", "lies in"),
        (b'{"version": "2.2", "open": "true"}', {"expect": {"json": {"/open": True}}}, "failed", 'has "true" at /open, not true'),
        (b'{"version": "2.2"}', {"expect": {"json": {"/open": None}}}, "failed", "has nothing at /open"),
        (GOOD, {"expect": {"status": [204]}}, "failed", "answered 200, not 204"),
    ],
)
async def test_a_dependency_is_checked_as_any_other_answer(body: bytes, fields: dict[str, Any], outcome: str, words: str) -> None:
    """Its version stands where a pointer says; the rest is what health and smoke tests can expect, too."""
    async with server(answer(body)) as port:
        state = await check_dependency.fn(spec(port, **fields))
    assert (state.outcome, words in state.reason) == (outcome, True), state


async def test_a_busy_answer_that_is_expected_passes_at_once() -> None:
    """A page that says 503 while it is closed for writing may be what one waits for."""
    async with server(answer(status="503 Busy")) as port:
        state, another_try = await ask_dependency(spec(port, expect={"status": 503}))
    assert (state.outcome, another_try) == ("passed", False)


async def test_a_packed_answer_is_not_unpacked() -> None:
    """Nothing is known of it, so it cannot pass where a version is asked for; where none is, it need not be read."""
    packed = gzip.compress(gzip.compress(b" " * 20_000_000))
    async with server(answer(packed, headers="Content-Encoding: gzip, gzip\r\n")) as port:
        state = await check_dependency.fn(spec(port))
        plain = await check_dependency.fn(spec(port, version=None))
    assert (state.outcome, plain.outcome) == ("error", "passed")
    assert 'encoded as "gzip, gzip"' in state.reason


async def test_health_alone_does_not_read_the_body() -> None:
    """Without a range, status 200 is enough, whatever follows."""
    async with server(flood) as port:
        assert (await check_dependency.fn(spec(port, version=None))).outcome == "passed"


async def test_no_one_listening_is_no_data() -> None:
    """A refused connection is not an answer, and worth another try."""
    async with server(answer()) as port:
        pass
    state, another_try = await ask_dependency(spec(port))
    assert (state.outcome, another_try) == ("no_data", True)


async def test_an_untrusted_certificate_is_said_plainly() -> None:
    """Broken TLS names the certificate and the fix, and is not tried again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with server(answer(), tls=context) as port:
        state, another_try = await ask_dependency(spec(port, scheme="https", timeout_seconds=5))
    assert (state.outcome, another_try) == ("no_data", False)
    assert "certificate is not trusted" in state.reason
    assert "SSL_CERT_FILE" in state.reason


async def test_plain_http_behind_https_is_said_plainly() -> None:
    """An address that does not speak TLS is told apart from a service that is down."""
    async with server(answer()) as port:
        state, _ = await ask_dependency(spec(port, scheme="https", timeout_seconds=5))
    assert state.outcome == "no_data"
    assert "TLS failed (WRONG_VERSION_NUMBER); check that the address uses https" in state.reason


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("http://a/x", "http://a/y", True),
        ("http://a/x", "https://a/y", True),
        ("https://a/x", "http://a/y", False),
        ("http://a/x", "http://b/x", False),
        ("http://a:1/x", "http://a:2/x", False),
        ("http://a/x", "http://u@a/x", False),
        ("http://a/x", "http://a:99999/x", False),
    ],
)
def test_a_redirect_stays_with_its_host(source: str, target: str, allowed: bool) -> None:  # noqa: FBT001
    """Only the same host and port, or the step up to https, is followed."""
    assert may_follow(source, target) is allowed


def test_a_late_answer_is_not_an_answer() -> None:
    """What came after the plan's time does not count, whatever it says."""
    state = judge_dependency(spec(1), Answer(200, 5.2, body=GOOD), fault="")
    assert isinstance(state, DependencyState)
    assert state.outcome == "no_data"
