"""Answers and output from outside, read as they come over the wire, bounded in size and time.

A few compressed bytes could become gigabytes, so no client decodes an encoding: each asks for `identity` and refuses others.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Mapping
from typing import Protocol

PLAIN = {"Accept-Encoding": "identity"}
PIECE_BYTES = 65_536


class TooLongError(Exception):
    """More was sent than is read."""


class EncodedError(Exception):
    """The answer is compressed, though a plain one was requested."""


class Readable(Protocol):
    """An open answer that blocks: of `urllib`, `http.client` or urllib3."""

    def read(self, amt: int, /) -> bytes:
        """Read at most so many bytes; none at the end."""


async def read_chunks(chunks: AsyncIterable[bytes], *, most_bytes: int) -> tuple[bytes, bool]:
    """Read raw chunks up to a bound; the caller bounds the time.

    Args:
        chunks: As they came: `aiter_raw()` of httpx, `content.iter_any()` of an aiohttp session that does not decompress.
        most_bytes: The bound.

    Returns:
        The bytes, at most so many; and whether there were more, which are not read.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most_bytes:
            return bytes(body[:most_bytes]), True
    return bytes(body), False


def read_open(answer: Readable, *, headers: Mapping[str, str], most_bytes: int, seconds: float) -> bytes:
    """Read an open answer to its end, blocking.

    Args:
        answer: Whose `read` does not decode.
        headers: Its headers.
        most_bytes: The bound.
        seconds: How long reading may take, however steadily it drips.

    Raises:
        EncodedError: It is compressed.
        TooLongError: It is longer.
        TimeoutError: It takes longer.
    """
    if not is_plain(headers):
        raise EncodedError
    body, until = bytearray(), time.monotonic() + seconds
    read = getattr(answer, "read1", answer.read)  # what is there, without waiting for a whole piece
    while chunk := read(PIECE_BYTES):
        body += chunk
        if len(body) > most_bytes:
            raise TooLongError
        if time.monotonic() > until:
            message = f"the answer is not complete after {seconds:g} s"
            raise TimeoutError(message)
    return bytes(body)


def is_plain(headers: Mapping[str, str]) -> bool:
    """Say whether an answer is not compressed, by its headers."""
    found = next((value for name, value in headers.items() if name.lower() == "content-encoding"), "")
    return found.strip().lower() in {"", "identity"}
