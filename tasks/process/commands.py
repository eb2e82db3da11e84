"""Commands of a plan: code of others, run within the bounds of `blocks.commands` by the user for that."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from blocks import processes
from blocks.commands import Ended, run_command
from blocks.runner import NAME, runner


async def run_foreign_command(
    command: Sequence[str], *, folder: str | os.PathLike[str], timeout_seconds: float, scratch: Path, environment: Mapping[str, str]
) -> Ended:
    """Run a program of a plan, which is code of others: as the user for that, if there is one, and with an allow-list of variables.

    Args:
        command: As in `run_command`.
        folder: As in `run_command`.
        timeout_seconds: As in `run_command`.
        scratch: An empty folder of ours, which that user gets, also as HOME and TMPDIR.
        environment: Variables that it gets beside the allow-list.

    Returns:
        The result. Nothing that the program does raises.
    """
    other, variables = await asyncio.to_thread(runner), processes.passed_on("SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV")
    if other is not None:
        await asyncio.to_thread(other.own, scratch)
        variables |= {"HOME": str(scratch), "TMPDIR": str(scratch), "USER": NAME, "LOGNAME": NAME}
    return await run_command(
        command, folder=folder, timeout_seconds=timeout_seconds, environment=variables | dict(environment), other=other
    )
