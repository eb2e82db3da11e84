"""Run git: an argument list, an environment of its own, an end to it at its time-out with all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Fields:
        exit_code: Negative for a signal; None if it was ended at its time-out.
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
        output, said = await asyncio.wait_for(process.communicate(given), timeout_seconds)
    except TimeoutError:
        return Ended(None, b"", f"no end within {timeout_seconds:g} s")
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - the pipes of a killed process stay open else
    return Ended(process.returncode, output, said.decode(errors="replace"))
