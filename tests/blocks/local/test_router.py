"""The router speaks HTTP/1.1 as clients and services expect it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from blocks.local.platform import LocalPlatform
from blocks.platform import Lease

MakeLocal = Callable[..., LocalPlatform]
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nothing here speaks TLS, and loading the system's certificates takes long


@pytest.fixture
async def platform(shared_local: MakeLocal, shared_lease: Lease) -> LocalPlatform:
    """A deployed tiny service."""
    assert shared_lease
    return shared_local()


async def raw(port: int, request: bytes) -> bytes:
    """Send bytes and read until the router hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def test_what_goes_in_comes_out(platform: LocalPlatform) -> None:
    """Bodies of every framing, heads, headers, errors and oversized requests, all through one deployed service."""
    public = (await platform.endpoints())["public"]
    port = int(public.rpartition(":")[2])
    before = (await platform.counts())["1.0"]["errors"]
    async with httpx.AsyncClient(verify=PLAIN, base_url=public) as client:
        await _bodies(client)
        await _headers(client)
    await _raw_requests(port)
    with pytest.raises(httpx.RemoteProtocolError):
        (await asyncio.to_thread(httpx.get, f"{public}/torn", verify=PLAIN))
    counts = (await platform.counts())["1.0"]
    assert counts["errors"] == before + 1, "a torn answer is an error"


async def _bodies(client: httpx.AsyncClient) -> None:
    assert len((await client.get("/chunked")).content) == 50_000
    for size in (0, 10, 65_536, 65_537, 3_000_000):
        body = b"b" * size
        assert (await client.post("/", content=body)).content == body

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"piece" * 100

    assert (await client.post("/", content=pieces())).content == b"piece" * 2_000
    head = await client.head("/")
    assert (head.headers["Content-Length"], head.content) == ("3", b"")


async def _headers(client: httpx.AsyncClient) -> None:
    sent = {"Host": "shop.example", "X-Drop": "1", "Connection": "keep-alive, X-Drop", "Cookie": "c=1"}
    answer = await client.get("/headers", headers=sent)
    assert "Host: shop.example" in answer.text
    assert "X-Drop" not in answer.text
    assert "X-Forwarded-For: 127.0.0.1" in answer.text
    assert answer.headers.get_list("Set-Cookie") == ["a=1", "b=2"]
    client.cookies.clear()
    assert "Cookie" not in (await client.get("/headers")).text, "the router keeps no cookies of its own"


async def _raw_requests(port: int) -> None:
    close = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert (await raw(port, close)).endswith(b"1.0")
    assert (await raw(port, b"GET / HTTP/1.0\r\n\r\n")).endswith(b"1.0")
    pipelined = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + close
    assert (await raw(port, pipelined)).count(b"200 OK") == 2
    huge = b"GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + b"x" * 20_000 + b"\r\n\r\n"
    assert (await raw(port, huge)).split()[1] == b"400"
    assert (await raw(port, close.replace(b"GET /", b"GET http://elsewhere/"))).split()[1] == b"400"
    expecting = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    answer = await raw(port, expecting)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert answer.endswith(b"hi")


async def test_a_slow_caller_holds_up_no_one(platform: LocalPlatform) -> None:
    """One that dribbles its request, and one that does not read its answer, leave the others alone."""
    public = (await platform.endpoints())["public"]
    port = int(public.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as dribbler, socket.create_connection(("127.0.0.1", port)) as deaf:
        dribbler.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf")
        deaf.sendall(b"GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        async with httpx.AsyncClient(verify=PLAIN, timeout=5) as client:
            assert {(await client.get(public)).text for _ in range(20)} == {"1.0"}


async def test_an_empty_environment_answers_503(make_local: MakeLocal) -> None:
    """Where nothing is deployed, the router says so."""
    platform = make_local()
    await platform.acquire_lease("run-1")
    public = (await platform.endpoints())["public"]
    answer = await asyncio.to_thread(httpx.get, public, verify=PLAIN)
    assert (answer.status_code, answer.text) == (503, "no version of tiny serves here now\n")
