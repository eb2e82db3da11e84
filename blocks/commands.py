"""Commands: run a program without a shell, bounded in time and output, without leaving child processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

from blocks.outside_text import OutsideText, outside, said
from blocks.pdeathsig import MARK, NOT_FOUND, NOT_RUNNABLE
from blocks.processes import signal_all
from blocks.runner import Runner

OUTPUT_LIMIT_BYTES = 2_000_000
TAIL_BYTES = 8_000
GRACE_SECONDS = 2.0
NOTHING = outside("")
COERCED = "LC_CTYPE"  # Python's start sets it if no locale is set
MORTAL = [sys.executable, "-I", "-S", str(Path(__file__).with_name("pdeathsig.py"))]


@dataclass(frozen=True)
class Ended:
    """Result of a program.

    Fields:
        exit_code: Negative for a signal; 126 or 127 if it could not be started; None if it was killed at its time-out.
        seconds: How long it ran.
        output: What it wrote to its standard output, the first 2 MB.
        cut: Whether it wrote more than that.
        tail: The end of what it wrote to both outputs, 8 kB at most.
        fault: What went wrong, in a sentence that begins with the program, or "" if it exited with 0.
        how: The same without the program: `timed out after 30.0 s`.
    """

    exit_code: int | None
    seconds: float
    output: bytes = b""
    cut: bool = False
    tail: OutsideText = NOTHING
    fault: str = ""
    how: str = ""


@dataclass
class _Kept:
    output: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    cut: bool = False
    is_tail_cut: bool = False


async def run_command(
    command: Sequence[str],
    *,
    folder: str | os.PathLike[str],
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
    given: bytes = b"",
    other: Runner | None = None,
) -> Ended:
    """Run a program to its end; it is killed together with this process.

    Args:
        command: Program and arguments; no shell reads them.
        folder: Its working directory.
        timeout_seconds: After this time it and its children are killed.
        environment: Its whole environment; None passes ours on.
        given: Its standard input; passed through an unnamed file, which no other process can open.
        other: The user that runs it; None is ours.

    Returns:
        The result. Nothing that the program does raises.
    """
    start, kept, mark = time.monotonic(), _Kept(), uuid.uuid4().hex
    inherited = dict(os.environ if environment is None else environment) | {MARK: mark}
    exit_code: int | None = None
    try:
        async with (
            _pipes(kept) as (out, err),
            _handed(given) as given_file,
            _started(command, folder, inherited, given=given_file, out=out, err=err, mark=mark, other=other) as process,
        ):
            out.close()
            err.close()
            with contextlib.suppress(TimeoutError):
                exit_code = await asyncio.wait_for(process.wait(), timeout_seconds)
            await _end_politely(process, mark)
    except (OSError, ValueError) as error:
        return _not_run(command[0], folder, NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE, why=str(error))
    seconds = time.monotonic() - start
    begin = kept.tail.find(b"\n") + 1 if kept.is_tail_cut else 0  # half a line may be half a secret
    tail = said(kept.tail[begin:].decode(errors="replace"), limit=TAIL_BYTES, lines=True)
    if exit_code in {NOT_FOUND, NOT_RUNNABLE} and tail.startswith(mark):
        return _not_run(command[0], folder, exit_code, why=tail.removeprefix(mark).strip())
    how = _how(exit_code, seconds=seconds)
    return Ended(exit_code, seconds, bytes(kept.output), kept.cut, tail, f"`{command[0]}` {how}" if how else "", how)


async def run_module(program: str, *arguments: str, given: bytes, timeout_seconds: float, environment: Mapping[str, str]) -> Ended:
    """Run a module of ours as a process of its own, which bounds itself, as it reads what others wrote.

    Args:
        program: The module's name; nothing beside it is imported in place of our own.
        arguments: Its arguments.
        given: As in `run_command`.
        timeout_seconds: As in `run_command`.
        environment: As in `run_command`.
    """
    command = [sys.executable, "-P", "-m", program, *arguments]
    return await run_command(command, folder="/", timeout_seconds=timeout_seconds, given=given, environment=environment)


def _not_run(program: str, folder: str | os.PathLike[str], exit_code: int, *, why: str) -> Ended:
    how = f"was not found in {folder} or on PATH" if exit_code == NOT_FOUND else f"cannot be run: {why}"
    return Ended(exit_code, 0.0, fault=f"`{program}` {how}", how=how)


def _how(exit_code: int | None, *, seconds: float) -> str:
    if exit_code is None:
        return f"timed out after {seconds:.1f} s"
    if exit_code < 0:
        return f"was killed by signal {-exit_code} after {seconds:.1f} s"
    return f"exited with {exit_code} after {seconds:.1f} s" if exit_code else ""


@asynccontextmanager
async def _pipes(kept: _Kept) -> AsyncIterator[tuple[BinaryIO, BinaryIO]]:
    # Pipes of our own: asyncio's would make `process.wait()` wait for every stray that inherited them.
    async with _pipe(kept, is_output=True) as out, _pipe(kept, is_output=False) as err:
        yield out, err


@asynccontextmanager
async def _handed(given: bytes) -> AsyncIterator[IO[bytes] | int]:
    if not given:
        yield asyncio.subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        await asyncio.to_thread(file.write, given)
        file.seek(0)
        yield file


@asynccontextmanager
async def _pipe(kept: _Kept, *, is_output: bool) -> AsyncIterator[BinaryIO]:
    loop, stream = asyncio.get_running_loop(), asyncio.StreamReader()
    read_end, write_end = os.pipe()
    ours, theirs = os.fdopen(read_end, "rb", buffering=0), os.fdopen(write_end, "wb")
    try:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), ours)
    except BaseException:  # cancelled
        ours.close()
        theirs.close()
        raise
    reader = asyncio.create_task(_read(stream, kept, is_output=is_output))
    try:
        yield theirs
        await asyncio.wait({reader}, timeout=GRACE_SECONDS)
    finally:
        theirs.close()
        reader.cancel()
        transport.close()


async def _read(stream: asyncio.StreamReader, kept: _Kept, *, is_output: bool) -> None:
    while chunk := await stream.read(65_536):
        kept.is_tail_cut = kept.is_tail_cut or len(kept.tail) + len(chunk) > TAIL_BYTES
        kept.tail = (kept.tail + chunk)[-TAIL_BYTES:]
        if is_output:
            room = OUTPUT_LIMIT_BYTES - len(kept.output)
            kept.output += chunk[:room]
            kept.cut = kept.cut or len(chunk) > room


@asynccontextmanager
async def _started(
    command: Sequence[str],
    folder: str | os.PathLike[str],
    environment: Mapping[str, str],
    *,
    given: IO[bytes] | int,
    out: BinaryIO,
    err: BinaryIO,
    mark: str,
    other: Runner | None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *MORTAL,
        str(os.getpid()),
        "" if COERCED in environment else COERCED,
        *command,
        cwd=folder,
        env=environment,
        stdin=given,
        stdout=out,
        stderr=err,
        start_new_session=True,
        **(other.options if other else {}),
    )
    try:
        yield process
    finally:
        await asyncio.to_thread(signal_all, process.pid, f"{MARK}={mark}", signal.SIGKILL)
        with contextlib.suppress(TimeoutError):  # what it left behind may trace it, and then it stays a zombie
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)


async def _end_politely(process: asyncio.subprocess.Process, mark: str) -> None:
    left = await asyncio.to_thread(signal_all, process.pid, f"{MARK}={mark}", signal.SIGTERM)
    if left:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
