"""A request that a version never answers counts as failed, whoever is still there to hear it; the router in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from blocks.local.router import asked as asked_for
from blocks.local.router import router
from blocks.local.state.counts import Tally
from blocks.local.state.view import Run

TIMES_OUT = 0.3  # the block's `answer_timeout_seconds`
GO_ON = asyncio.Event()
DRIPS = {  # what is said of a body of which a byte comes now and then
    b"/drips": b"Content-Length: 100000",
    b"/drips-chunked": b"Transfer-Encoding: chunked",
    b"/drips-small": b"Content-Length: 50",
    b"/drips-events": b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked",
    b"/drips-lines": b"Content-Type: application/x-ndjson; charset=utf-8\r\nTransfer-Encoding: chunked",
}


async def slowly(path: bytes, writer: asyncio.StreamWriter) -> None:
    """Let a body drip, or flow, if the path says so."""
    if path in DRIPS:
        writer.write(b"HTTP/1.1 200 OK\r\n" + DRIPS[path] + b"\r\n\r\n")
        for _ in range(60):
            writer.write(b"1\r\na\r\n" if b"chunked" in DRIPS[path] else b"a")
            await asyncio.sleep(0.04)
    if path == b"/flows":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(20):
            writer.write(b"a" * 4_000)
            await asyncio.sleep(0.04)


async def version(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve as its path says: never, when the test says so, with a lost connection, or well."""
    try:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        if path == b"/silent":
            await asyncio.sleep(60)
        if path == b"/half":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
            await asyncio.sleep(60)
        if path == b"/stalls":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nab")
            await asyncio.sleep(60)
        if path == b"/events":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: 1\n\n")
            await asyncio.sleep(60)
        await slowly(path, writer)
        if path in {b"/slow", b"/drop"}:
            await GO_ON.wait()
        if path != b"/drop":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        pass
    finally:
        writer.close()


class World(SimpleNamespace):
    """A router in front of one version: its `port`, its `state`, and the `run` that counts."""

    @property
    def counted(self) -> tuple[int, int]:
        """Requests and errors."""
        return self.run.tally.requests, self.run.tally.errors

    def times_out(self, seconds: float) -> None:
        """Set the block's time-out."""
        self.state["revisions"]["r"]["specification"]["answer_timeout_seconds"] = seconds

    async def seen(self, *, in_flight: int) -> None:
        """Wait until so many requests are on their way."""
        async with asyncio.timeout(5):
            while self.run.in_flight != in_flight:  # noqa: ASYNC110 - what is tested has no event for it
                await asyncio.sleep(0.005)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Start both."""
    monkeypatch.setattr(asked_for, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(f"{__name__}.GO_ON", asyncio.Event())
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(cast("asyncio.Task[None]", asyncio.current_task()))
        await version(reader, writer)

    run = Run("r", Tally("now"))
    run.accepting.set()
    revisions = await asyncio.start_server(serve, "127.0.0.1", 0)
    session = router.open_session()
    revision = {"port": revisions.sockets[0].getsockname()[1], "specification": {"answer_timeout_seconds": TIMES_OUT}}
    state = {"revisions": {"r": revision}, "canary": "r", "service": "shop"}
    environment: Any = SimpleNamespace(state=state, session=session, next_run=lambda: run)
    runner = web.ServerRunner(router.make_server(environment), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield World(port=runner.addresses[0][1], state=state, run=run)
    finally:
        for task in served:
            task.cancel()
        await runner.cleanup()
        await session.close()
        revisions.close()


async def begin(world: World, request: bytes) -> asyncio.StreamWriter:
    """Send a request, and return once it is on its way to the version."""
    _, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(request)
    await world.seen(in_flight=1)
    return writer


async def leave(writer: asyncio.StreamWriter) -> None:
    """Close the connection."""
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)  # the router hears of it


def get(path: str) -> bytes:
    """Write a request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


POSTED = b"POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + b"b" * 70_000


@pytest.mark.parametrize("asked", [get("/silent"), POSTED, get("/half")], ids=["silent", "a large body", "half an answer"])
@pytest.mark.parametrize("what", ["leaves at once", "gives up", "stays"])
async def test_what_is_never_answered_has_failed(asked: bytes, what: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the time-out at the latest, and that once: also if its caller is long gone by then."""
    if what == "gives up":
        monkeypatch.setattr(asked_for, "GIVING_UP_SECONDS", 0)
    caller = await begin(world, asked)
    if what != "stays":
        await leave(caller)
    await world.seen(in_flight=0)
    assert world.counted == (1, 1)
    await leave(caller)


async def test_a_caller_who_gives_up_is_counted_before_the_time_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is shorter than the time-out sees it; and nothing is counted as long as the caller waits."""
    monkeypatch.setattr(asked_for, "GIVING_UP_SECONDS", 0)
    world.times_out(60)
    caller = await begin(world, get("/silent"))
    await asyncio.sleep(0.05)
    assert world.counted == (0, 0)
    await leave(caller)
    assert (world.counted, world.run.in_flight) == ((1, 1), 1)


@pytest.mark.parametrize(("path", "counted"), [("/half", (1, 1)), ("/stalls", (1, 1)), ("/events", (0, 0))])
async def test_a_body_that_stalls_until_its_caller_gives_up_has_failed(
    path: str, counted: tuple[int, int], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its headers alone are no answer; between two events there may be any time."""
    monkeypatch.setattr(asked_for, "GIVING_UP_SECONDS", 0.1)
    world.times_out(60)
    caller = await begin(world, get(path))
    await asyncio.sleep(0.15)
    assert world.counted == (0, 0)
    await leave(caller)
    assert (world.counted, world.run.in_flight) == (counted, 1)


@pytest.mark.parametrize("leaves", [True, False], ids=["leaves", "stays"])
@pytest.mark.parametrize(
    ("path", "errors"),
    [("/drips", 1), ("/drips-chunked", 1), ("/drips-small", 1), ("/drips-events", 0), ("/drips-lines", 0), ("/flows", 0)],
)
async def test_a_body_that_drips_has_failed(path: str, errors: int, world: World, monkeypatch: pytest.MonkeyPatch, *, leaves: bool) -> None:
    """Once its caller leaves, or after the time of an answer: no time-out of the connection ends it, as a byte comes now and then."""
    monkeypatch.setattr(asked_for, "GIVING_UP_SECONDS", 0.2)
    caller = await begin(world, get(path))
    await asyncio.sleep(0.25)
    if leaves:
        await leave(caller)
        await world.seen(in_flight=0)
    else:
        await asyncio.sleep(0.35)
    assert world.counted[1] == errors
    await leave(caller)


async def test_a_connection_that_the_version_drops_has_failed_whoever_hears_of_it(world: World) -> None:
    """The caller left a moment before."""
    world.times_out(60)
    await leave(await begin(world, get("/drop")))
    GO_ON.set()
    await world.seen(in_flight=0)
    assert world.counted == (1, 1)


@pytest.mark.parametrize(("what", "errors"), [("leaves at once", 0), ("gives up", 1), ("stays", 0)])
async def test_a_slow_answer_counts_as_what_its_caller_saw(what: str, errors: int, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who left at once says nothing about the version, whose answer counts; who gave up never got it."""
    world.times_out(60)
    if what == "gives up":
        monkeypatch.setattr(asked_for, "GIVING_UP_SECONDS", 0)
    caller = await begin(world, get("/slow"))
    if what != "stays":
        await leave(caller)
    GO_ON.set()
    await world.seen(in_flight=0)
    assert world.counted == (1, errors)
    await leave(caller)


@pytest.mark.parametrize("gives_up", [10, 0])
async def test_a_caller_who_breaks_off_while_sending_is_not_counted(gives_up: int, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor if that takes long: the version cannot answer what it does not have."""
    monkeypatch.setattr(asked_for, "GIVING_UP_SECONDS", gives_up)
    world.times_out(60)
    await leave(await begin(world, POSTED[:60_000]))
    await world.seen(in_flight=0)
    assert world.counted == (0, 0)
