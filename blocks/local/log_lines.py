"""The lines of a log that may be without newlines: the head of each line, whatever its length, within bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 1 << 20


class Line(NamedTuple):
    """A line of a file: its first 64 kB, whether it is longer, where it ends, and whether its newline is still to come."""

    head: bytes
    is_cut: bool
    end: int
    is_open: bool


def lines_of(path: Path, *, begin: int, before: bytes = b"") -> Iterator[Line]:
    """Read a file's lines, the last one too if its newline is still to come; a longer line is read to its end, but only its head is kept.

    What is written meanwhile is left to the next reading.

    Args:
        path: The file.
        begin: Offset in it; what begins there is a line, or goes on with `before`.
        before: The head of the line in which the file goes on.
    """
    head, length, offset = before[:HEAD_BYTES], len(before), begin
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        file.seek(begin)
        while chunk := file.read(max(0, min(CHUNK_BYTES, end - offset))):
            *whole, rest = chunk.split(b"\n")
            for part in whole:
                offset += len(part) + 1
                length += len(part)
                yield Line(head + part[: HEAD_BYTES - len(head)], length > HEAD_BYTES, offset, is_open=False)
                head, length = b"", 0
            offset += len(rest)
            length += len(rest)
            head += rest[: HEAD_BYTES - len(head)]
    if head:
        yield Line(head, length > HEAD_BYTES, offset, is_open=True)


def begin_of_line(path: Path, offset: int) -> int:
    """Find where the line begins that an offset lies in."""
    with path.open("rb") as file:
        while offset > 0:
            start = max(0, offset - CHUNK_BYTES)
            file.seek(start)
            found = file.read(offset - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            offset = start
    return 0


def open_head(path: Path, *, before: bytes = b"") -> bytes:
    """Give the head of a file's last line if its newline is still to come, else nothing.

    Args:
        path: The file.
        before: The head of the line in which the file goes on.
    """
    begin = begin_of_line(path, path.stat().st_size)
    with path.open("rb") as file:
        file.seek(begin)
        return ((before if begin == 0 else b"") + file.read(HEAD_BYTES))[:HEAD_BYTES]
