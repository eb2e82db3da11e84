"""JSON over HTTP, bounded in time and size, to one address: redirects are not followed, so that a token goes nowhere else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from blocks.bounded import PLAIN, is_plain, read_chunks
from blocks.errors import BadInput, Refused, Unreachable


@dataclass(frozen=True)
class Received:
    """What came: the status, the JSON of the body, None if it is none, and the headers by their names in lower case."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Faults:
    """What is said if no answer comes that can be read.

    Fields:
        too_long: It is longer than `most_bytes`, or encoded.
        late: It takes longer than `timeout_seconds`.
        silent: It does not come; the kind of the error follows.
        field: The block's field that names the address, for a header or an address that cannot be sent.
    """

    too_long: str
    late: str
    silent: str
    field: str


async def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    query: Mapping[str, str] | None,
    body: Any,
    verify_tls: bool,
    timeout_seconds: float,
    most_bytes: int,
    faults: Faults,
) -> Received:
    """Send one request and read its answer; every status is an answer.

    Args:
        method: The method.
        url: The address, without a query.
        headers: Sent with it, the token in one of them.
        query: Of the address.
        body: Sent as JSON.
        verify_tls: Whether the certificate must be trusted.
        timeout_seconds: For all of it, however steadily the answer drips.
        most_bytes: The bound of the answer.
        faults: The words for each fault.

    Raises:
        BadInput: The address or a header cannot be sent.
        Refused: The answer is too long, or encoded.
        Unreachable: No answer comes.
    """
    try:
        async with asyncio.timeout(timeout_seconds), await _client(url, verify_tls=verify_tls, timeout_seconds=timeout_seconds) as http:
            async with http.stream(method, url, params=query, json=body, headers={**PLAIN, **headers}) as response:
                content, cut = await read_chunks(response.aiter_raw(), most_bytes=most_bytes)
            if cut or not is_plain(response.headers):
                raise Refused(faults.too_long)
            return Received(response.status_code, _parsed(content), {name.lower(): value for name, value in response.headers.items()})
    except TimeoutError:
        raise Unreachable(faults.late) from None
    except (httpx.LocalProtocolError, httpx.InvalidURL, httpx.UnsupportedProtocol):  # the words may hold the token
        raise BadInput("the address or the token cannot be sent", field=faults.field, fix="Look at both in the block") from None
    except (httpx.HTTPError, OSError) as error:  # the latter as of a file of certificates that is not there or broken
        raise Unreachable(f"{faults.silent}: {type(error).__name__}") from None


async def _client(url: str, *, verify_tls: bool, timeout_seconds: float) -> httpx.AsyncClient:
    """Open a client, in a thread: it reads the certificates to trust from disk."""
    verify = verify_tls and url.startswith("https")
    return await asyncio.to_thread(httpx.AsyncClient, verify=verify, follow_redirects=False, timeout=timeout_seconds)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
