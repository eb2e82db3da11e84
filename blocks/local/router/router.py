"""The HTTP router in front of a local environment: splits requests by weight, and counts what came back.

A request for a canary that is not there is answered 502 and counted as the canary's error, so that a dying canary is seen. A request for a
baseline that is just being restarted waits for it a moment, then is answered 503. A revision that was ready once gets its
requests for as long as its process lives: its answers speak for it. Upgrades (WebSocket) are not passed on.

A request that is never answered counts as failed: after the block's `answer_timeout_seconds`, and if its caller gives up before,
as soon as that is seen. So does an answer whose body stalls or drips until its caller leaves, or drips for as long as that time limit,
unless its type is one of a stream. Only who leaves within seconds, or while sending, says nothing about the version.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from types import SimpleNamespace

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, TraceConfig, web
from aiohttp.client import ClientResponse
from multidict import CIMultiDict, MultiMapping
from yarl import URL

from blocks.listeners import next_listener
from blocks.local.router.asked import Asked
from blocks.local.state.environment import Environment
from blocks.local.state.view import Run

WAIT_FOR_BASELINE_SECONDS = 1.0
SMALL_BODY_BYTES = 65_536
MAX_HEADER_BYTES = 16_384
SERVER_ERROR = 500
POOLED_SECONDS = 2.0  # shorter than the 5 s after which common servers hang up on an idle connection
CONNECT_SECONDS = 2.0
STREAMS = frozenset({  # types of answers between whose parts there may be any time
    "application/json-seq", "application/jsonl", "application/jsonlines", "application/ndjson", "application/stream+json",
    "application/x-jsonlines", "application/x-ndjson", "multipart/x-mixed-replace", "text/event-stream",
})  # fmt: skip
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
OWN_DEFAULTS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class _NotConnectedError(Exception):
    """Nothing of the request reached the revision."""


def open_session() -> ClientSession:
    """Open the pool of connections to the revisions: nothing followed, unpacked, remembered or added."""
    tracing = TraceConfig(_Destination)
    tracing.on_connection_create_start.append(_check_listener)
    return ClientSession(
        trace_configs=[tracing],
        connector=TCPConnector(limit=0, keepalive_timeout=POOLED_SECONDS, force_close=False),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=OWN_DEFAULTS,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        trust_env=False,
    )


class _Destination(SimpleNamespace):
    """What is known of where a connection goes, for the hook below; `trace_request_ctx` is a port and its revision's run, or None."""

    def __init__(self, trace_request_ctx: tuple[int, Run] | None = None) -> None:
        super().__init__(trace_request_ctx=trace_request_ctx)


async def _check_listener(_session: ClientSession, destination: SimpleNamespace, _parameters: object) -> None:
    """Connect only to a socket of the revision: its port may be another user's by now. A connection that is open is not looked at again."""
    if destination.trace_request_ctx is None:
        return
    port, run = destination.trace_request_ctx
    with suppress(OSError):  # if the kernel answers no such questions, the agent's own looks remain
        if run.listening is not None and next_listener(port) not in run.listening:
            raise _NotConnectedError


def make_server(environment: Environment) -> web.Server:
    """Make the public server; oversized request lines and header fields are answered 400."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await _route(environment, request)

    return web.Server(handle, access_log=None, max_line_size=MAX_HEADER_BYTES, max_field_size=MAX_HEADER_BYTES)


async def _route(environment: Environment, request: web.BaseRequest) -> web.StreamResponse:
    if not request.raw_path.startswith("/"):
        return _answer(400, "this router serves paths only, not proxy requests")
    await _invite_body(request)
    small = request.content_length is not None and request.content_length <= SMALL_BODY_BYTES
    body = await request.read() if small else None
    run = environment.next_run()
    if run is None:
        return _answer(503, f"no version of {environment.state['service']} serves here now")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WAIT_FOR_BASELINE_SECONDS
    run.enter()
    try:
        while await _may_pass(environment, run, deadline):
            try:
                return await _forward(environment, run, request, body)
            except _NotConnectedError:
                run.doubt()  # it does not listen, so another program can
                if environment.state["canary"] == run.id or loop.time() >= deadline:
                    break
                await asyncio.sleep(0.01)  # its end will be noticed by then, and the next round waits for the restart
        run.tally.add(loop.time() - deadline + WAIT_FOR_BASELINE_SECONDS, failed=True)
        status = 502 if environment.state["canary"] == run.id else 503
        return _answer(status, "the version chosen for this request does not answer")
    finally:
        run.leave()


async def _invite_body(request: web.BaseRequest) -> None:
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _may_pass(environment: Environment, run: Run, deadline: float) -> bool:
    """Say whether a request may go to this revision now; waits for a baseline, never for a canary."""
    if run.accepting.is_set() or environment.state["canary"] == run.id:
        return run.accepting.is_set()
    try:
        async with asyncio.timeout_at(deadline):
            return await run.accepting.wait()
    except TimeoutError:
        return False


async def _forward(environment: Environment, run: Run, request: web.BaseRequest, body: bytes | None) -> web.StreamResponse:
    revision = environment.state["revisions"][run.id]
    streamed = request.content if body is None and request.can_read_body else None
    asked = Asked(run, request, streamed is not None)
    timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=revision["specification"]["answer_timeout_seconds"])
    url = URL(f"http://127.0.0.1:{revision['port']}{request.raw_path}", encoded=True)
    try:
        with asked.awaiting():
            answer = await environment.session.request(
                request.method,
                url,
                headers=_request_headers(request),
                data=body or streamed,
                allow_redirects=False,
                timeout=timeout,
                trace_request_ctx=(revision["port"], run),
            )
    except ClientConnectorError as error:
        raise _NotConnectedError from error
    except (ClientError, TimeoutError, OSError, ValueError) as error:
        late = isinstance(error, TimeoutError)
        if asked.has_left() and not asked.was_sent() and not late:
            return web.Response(status=400)  # the caller closed the connection while it was sending; this is not read
        asked.count(asked.seconds(), failed=True)
        return _answer(504 if late else 502, "the version chosen for this request gave no answer")
    async with answer:
        if answer.content_length is not None and answer.content_length <= SMALL_BODY_BYTES:
            return await _pass_whole(asked, answer, within_seconds=revision["specification"]["answer_timeout_seconds"])
        return await _pass_stream(asked, answer, within_seconds=revision["specification"]["answer_timeout_seconds"])


async def _pass_whole(asked: Asked, answer: ClientResponse, *, within_seconds: float) -> web.StreamResponse:
    """Hand a small answer on in one piece, which has the time of an answer."""
    try:
        with asked.awaiting():
            async with asyncio.timeout(within_seconds):
                payload = await answer.read()
    except (ClientError, TimeoutError):
        asked.count(asked.seconds(), failed=True)
        return _answer(502, "the version chosen for this request broke its answer off")
    asked.count(asked.seconds(), failed=answer.status >= SERVER_ERROR)
    return web.Response(status=answer.status, reason=answer.reason, headers=_end_to_end(answer.headers), body=payload)


async def _pass_stream(asked: Asked, answer: ClientResponse, *, within_seconds: float) -> web.StreamResponse:
    """Hand an answer on as it comes; one that breaks off breaks off for the caller too, and one that drips has failed."""
    seconds = asked.seconds()
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_end_to_end(answer.headers))
    failed, streams = answer.status >= SERVER_ERROR, answer.content_type in STREAMS
    try:
        await response.prepare(asked.request)
        # Between two parts there may be any time, and who waits for them may leave.
        with nullcontext() if streams else asked.awaiting():
            async for chunk in asked.received(answer.content.iter_any()):
                if not streams and asked.drips(for_seconds=within_seconds):
                    asked.count(seconds, failed=True)
                await response.write(chunk)
        await response.write_eof()
    except ConnectionResetError:  # the caller went away; the revision did its part, unless that was to drip
        failed = failed or (not streams and asked.drips())
    except (ClientError, TimeoutError):
        failed = True
        if asked.request.transport is not None:
            asked.request.transport.abort()
    asked.count(seconds, failed=failed)
    return response


def _end_to_end(headers: MultiMapping[str]) -> CIMultiDict[str]:
    named = {name.strip().lower() for value in headers.getall("Connection", []) for name in value.split(",")}
    dropped = HOP_BY_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def _request_headers(request: web.BaseRequest) -> CIMultiDict[str]:
    headers = _end_to_end(request.headers)
    headers.popall("Expect", None)
    peer = request.remote or "unknown"
    headers["X-Forwarded-For"] = ", ".join([*headers.popall("X-Forwarded-For", []), peer])
    return headers


def _answer(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={"X-Shipway-Router": "answered here"})
