"""HTTP client of a forge's API: JSON, bounded in time and size, to one address; the token goes nowhere else."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from blocks.errors import Unreachable
from blocks.forge.faults import PART, fault_of
from blocks.json_http import Faults, Received, send
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
        part: The block's part that holds the settings, for messages.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, rights: str, part: str = PART) -> None:
        """Keep them."""
        self.url, self.rights, self.part, self._headers = url, rights, part, headers

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
        received = await self._send(method, path, query=query, body=body, what=what)
        status, found = received.status, received.body
        said = _words(found)
        if status in GOOD:
            if found is None and status != HTTPStatus.NO_CONTENT:
                raise Unreachable(f"{what}: the answer is not that of this API")
            return Answer(status, found, said)
        if status in accept:
            return Answer(status, found, said)
        raise fault_of(status, said, received.headers, what=what, rights=self.rights, now=time.time(), part=self.part)

    async def _send(self, method: str, path: str, *, query: Mapping[str, str] | None, body: Any, what: str) -> Received:
        faults = Faults(
            too_long=f"{what}: it answers with more than {MOST_BYTES:,} bytes, or encoded",
            late=f"{what}: no answer within {ANSWER_SECONDS:g} s",
            silent=f"{what}: it does not answer",
            field=f"{self.part}.api",
        )
        return await send(
            method,
            f"{self.url}{path}",
            headers=self._headers,
            query=query,
            body=body,
            verify_tls=True,
            timeout_seconds=ANSWER_SECONDS,
            most_bytes=MOST_BYTES,
            faults=faults,
        )


def github_headers(token: str) -> dict[str, str]:
    """Give the headers of each request to GitHub."""
    return {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "User-Agent": "shipway",
        "X-GitHub-Api-Version": "2022-11-28",
    }


def gitlab_headers(token: str) -> dict[str, str]:
    """Give the headers of each request to GitLab."""
    return {"PRIVATE-TOKEN": token, "User-Agent": "shipway"}


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
