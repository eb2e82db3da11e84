"""Run git: an argument list, an environment of its own, an end to it at its time-out with all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blocks.bounded import PIECE_BYTES, read_chunks

MOST_BYTES = 64_000_000  # the longest file that is read has fewer, see `work_copy`


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Fields:
        exit_code: Negative for a signal; None if it was ended at its time-out, or wrote more than 64 MB.
        output: What it wrote to its standard output.
        said: What it wrote to its standard error, as text.
    """

    exit_code: int | None
    output: bytes
    said: str


async def run(command: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout_seconds: float, given: bytes = b"") -> Ended:
    """Run a program to its end.

    Args:
        command: Program and arguments; no shell reads them.
        folder: Where it runs.
        environment: Its whole environment.
        timeout_seconds: After this time its process group is killed, as it is if this coroutine is cancelled.
        given: What it reads from its standard input.

    Raises:
        OSError: It cannot be started.
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            (output, cut), (said, cut_too), _ = await asyncio.gather(
                _read(process.stdout, process.pid), _read(process.stderr, process.pid), _give(process.stdin, given)
            )
            await process.wait()
    except TimeoutError:
        return Ended(None, b"", f"no end within {timeout_seconds:g} s")
    finally:
        _kill(process.pid)
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - the pipes of a killed process stay open else
    if cut or cut_too:
        return Ended(None, b"", f"more than {MOST_BYTES:,} bytes of output")
    return Ended(process.returncode, output, said.decode(errors="replace"))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


async def _read(stream: asyncio.StreamReader | None, pid: int) -> tuple[bytes, bool]:
    body, cut = await read_chunks(_chunks(stream), most_bytes=MOST_BYTES)
    if cut:
        _kill(pid)
    return body, cut


async def _chunks(stream: asyncio.StreamReader | None) -> AsyncIterator[bytes]:
    while stream and (chunk := await stream.read(PIECE_BYTES)):
        yield chunk


async def _give(stream: asyncio.StreamWriter | None, given: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # it does not want to read
        if stream:
            stream.write(given)
            await stream.drain()
            stream.close()
