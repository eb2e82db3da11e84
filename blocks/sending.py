"""Processes that send something to others: each is bounded in time and memory, and says in one JSON object what was wrong.

The libraries that send read an answer whole, however long it is or becomes when it is unpacked, and in threads that no time limit ends.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any, NoReturn

from blocks import processes
from blocks.commands import run_module
from blocks.errors import Temporary

SECONDS = 10.0  # for one try, whatever time limit a library has itself
START_SECONDS = 20.0  # that the process may need before; a second and a half on a quiet machine
MOST_MEMORY_BYTES = 512_000_000
PASSED_ON = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "VIRTUAL_ENV",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)


async def send_by(program: str, given: dict[str, Any]) -> str:
    """Run a module of ours that sends.

    Args:
        program: The module's name; it takes what it sends by `taken`, and ends with `answer`.
        given: What it sends.

    Returns:
        What was wrong; "" if it was acknowledged.

    Raises:
        Temporary: The process did not come to its end.
    """
    ended = await run_module(
        program,
        given=json.dumps(given).encode(),
        timeout_seconds=SECONDS + START_SECONDS,
        environment=processes.passed_on(*PASSED_ON),
    )
    if ended.fault:
        raise Temporary(f"the process that sends {ended.how}")
    return str(json.loads(ended.output)["fault"])


def taken() -> Any:
    """Bound this process, and read what it is to send."""
    processes.limit((resource.RLIMIT_AS, MOST_MEMORY_BYTES))
    return json.load(sys.stdin.buffer)


def answer(fault: str) -> NoReturn:
    """Write what was wrong, and end at once: a thread that still reads an answer would keep the process."""
    sys.stdout.write(json.dumps({"fault": fault}))
    sys.stdout.flush()
    os._exit(0)
