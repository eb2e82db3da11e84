"""HTTP client of a forge's API: JSON, bounded in time and size, to one address; the token goes nowhere else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from blocks.bounded import PLAIN, is_plain, read_chunks
from blocks.errors import BadInput, Refused, Unreachable
from blocks.forge.faults import fault_of
from blocks.outside_text import outside

MOST_BYTES = 4_000_000
MOST_WORDS = 500
ANSWER_SECONDS = 15.0
GOOD = {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}


@dataclass(frozen=True)
class Answer:
    """What was answered: the status, the JSON of the body, None if it is none, and its words if it is an error."""

    status: int
    body: Any
    said: str


class ForgeClient:
    """One forge.

    Args:
        url: Base address of the API.
        headers: Sent with each request, with the token in one of them.
        rights: The rights that the token needs, for messages.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, rights: str) -> None:
        """Keep them."""
        self.url, self.rights, self._headers = url, rights, headers

    def __repr__(self) -> str:
        """Show no header."""
        return f"ForgeClient({self.url})"

    async def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None, accept: Collection[int] = ()
    ) -> Answer:
        """Ask once.

        Args:
            method: The method.
            path: Below the base address, already quoted.
            query: Of the address.
            body: Sent as JSON.
            accept: Statuses that are answers here, besides the good ones.

        Raises:
            ShipwayError: Every other status, see `fault_of`; no answer; or one that is too long or not JSON.
        """
        what = f"{method} {self.url}{path}"
        status, content, headers = await self._send(method, path, query=query, body=body, what=what)
        found = _parsed(content)
        said = _words(found)
        if status in GOOD:
            if found is None and status != HTTPStatus.NO_CONTENT:
                raise Unreachable(f"{what}: the answer is not that of this API")
            return Answer(status, found, said)
        if status in accept:
            return Answer(status, found, said)
        raise fault_of(status, said, headers, what=what, rights=self.rights, now=time.time())

    async def _send(
        self, method: str, path: str, *, query: Mapping[str, str] | None, body: Any, what: str
    ) -> tuple[int, bytes, Mapping[str, str]]:
        headers = {**PLAIN, **self._headers}
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                httpx.AsyncClient(verify=self.url.startswith("https"), follow_redirects=False, timeout=ANSWER_SECONDS) as http,
            ):
                async with http.stream(method, f"{self.url}{path}", params=query, json=body, headers=headers) as response:
                    content, cut = await read_chunks(response.aiter_raw(), most_bytes=MOST_BYTES)
                if cut or not is_plain(response.headers):
                    raise Refused(f"{what}: it answers with more than {MOST_BYTES:,} bytes, or encoded")
                return response.status_code, content, {name.lower(): value for name, value in response.headers.items()}
        except TimeoutError:
            raise Unreachable(f"{what}: no answer within {ANSWER_SECONDS:g} s") from None
        except (httpx.LocalProtocolError, httpx.InvalidURL, httpx.UnsupportedProtocol):  # the words may hold the token
            raise BadInput("the address or the token cannot be sent", field="pull_requests.api", fix="Look at both in the block") from None
        except (httpx.HTTPError, OSError) as error:  # the latter as of a file of certificates that is broken
            raise Unreachable(f"{what}: it does not answer: {type(error).__name__}") from None


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _words(found: Any) -> str:
    """Give the words of an error: GitHub's `message` and `errors`, GitLab's `message`, which may be a list or an object, or `error`."""
    if not isinstance(found, dict):
        return ""
    parts = [found.get("message"), found.get("error"), *_listed(found.get("errors"))]
    return outside("; ".join(_plain(one) for one in parts if one), limit=MOST_WORDS)


def _listed(errors: Any) -> list[Any]:
    return [one.get("message") or one.get("code") if isinstance(one, dict) else one for one in errors] if isinstance(errors, list) else []


def _plain(words: Any) -> str:
    if isinstance(words, list):
        return ", ".join(_plain(one) for one in words[:5])
    return words if isinstance(words, str) else json.dumps(words)[:MOST_WORDS]
