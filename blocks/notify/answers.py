"""Answers of receivers, bounded: the libraries that notification blocks send by read them whole, and decode what is packed.

Who can edit a block could let a receiver fill the memory of the process that tells of a rollback. requests, by which Apprise sends, and
httpx, by which Prefect's own webhook does, read at most 1 MB here, of plain answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from threading import Lock
from typing import Any

from blocks.bounded import PLAIN, EncodedError, TooLongError, is_plain, read_chunks, read_open

MOST_BYTES = 1_000_000
MOST_SECONDS = 10.0
_lock = Lock()
_notifies: ContextVar[bool] = ContextVar("notifies", default=False)


def bound_libraries() -> None:
    """Put the bounds in, once a process; blocks, as it imports the libraries. Those of requests hold on: nothing else uses it."""
    with _lock:
        _bound_requests()
        _bound_httpx()


@contextmanager
def bounded_answers() -> Iterator[None]:
    """Bound the answers that a notification block reads within by httpx, too."""
    token = _notifies.set(True)
    try:
        yield
    finally:
        _notifies.reset(token)


@cache
def _bound_requests() -> None:
    """Read each answer where its connection is, before the library does: it leaves alone what was read."""
    from requests import Response  # noqa: PLC0415 - it takes a tenth of a second
    from requests.adapters import HTTPAdapter  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    send_on = HTTPAdapter.send

    def send(adapter: HTTPAdapter, request: Any, **more: Any) -> Response:
        request.headers.update(PLAIN)
        answer = send_on(adapter, request, **more)
        try:
            answer._content = read_open(answer.raw, headers=answer.headers, most_bytes=MOST_BYTES, seconds=MOST_SECONDS)  # noqa: SLF001
        except (EncodedError, TooLongError, TimeoutError) as error:
            answer.raw.close()
            raise RequestException(f"its answer is not read: {type(error).__name__}", request=request) from None
        answer._content_consumed = True  # noqa: SLF001
        answer.raw.release_conn()
        return answer

    HTTPAdapter.send = send  # type: ignore[method-assign,assignment]


@cache
def _bound_httpx() -> None:
    """Read the answers to a notification block raw; those of other clients, as Prefect's own, are left to them."""
    import httpx  # noqa: PLC0415

    send_on = httpx.AsyncClient.send

    async def send(client: httpx.AsyncClient, request: httpx.Request, *, stream: bool = False, **more: Any) -> httpx.Response:
        if stream or not _notifies.get():
            return await send_on(client, request, stream=stream, **more)
        request.headers.update(PLAIN)
        answer = await send_on(client, request, stream=True, **more)
        try:
            body, is_cut = await read_chunks(answer.aiter_raw(), most_bytes=MOST_BYTES)
        finally:
            await answer.aclose()
        if is_cut or not is_plain(answer.headers):
            raise httpx.DecodingError("its answer is packed, or too long", request=request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=body, request=request)

    httpx.AsyncClient.send = send  # type: ignore[method-assign,assignment]
