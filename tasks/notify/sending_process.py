"""Process that sends one message: `python -m tasks.notify.sending_process` reads it from its standard input, and writes what was wrong.

It is a separate process with bounds of its own: the libraries by which notification blocks send read an answer whole, however long it is
or becomes when it is unpacked, and in threads that no time limit ends. It reads one JSON object (`block`, `fields`, `body`, `subject`) and
writes one: `fault`, "" if the message was acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import re
import resource
import sys
from contextlib import nullcontext
from typing import Any

import httpx
from prefect.blocks.abstract import NotificationError

SECONDS = 10.0  # for one notification block, whatever time limit it has itself: others can change it
MOST_MEMORY_BYTES = 512_000_000
_STATUS = re.compile(r"\berror[=: ]+(\d{3})\b", re.IGNORECASE)  # as Apprise writes it in its log


async def main(given: dict[str, Any]) -> None:
    """Send the message, write what was wrong, and end: at once, as a thread that still reads an answer would keep the process."""
    fault = ""
    try:
        async with asyncio.timeout(SECONDS):
            await _send(given)
    except TimeoutError:
        fault = f"did not acknowledge the message within {SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - of any library that a block sends by; its words may hold an address that is a secret
        fault = f"did not accept the message ({_kind(error)})"
    sys.stdout.write(json.dumps({"fault": fault}))
    sys.stdout.flush()
    os._exit(0)


async def _send(given: dict[str, Any]) -> None:
    module, _, name = given["block"].partition(":")
    block: Any = getattr(importlib.import_module(module), name)(**given["fields"])
    with block.raise_on_failure() if hasattr(block, "raise_on_failure") else nullcontext():  # else a refusal passes for an answer
        await block.notify(body=given["body"], subject=given["subject"])


def _kind(error: Exception) -> str:
    """Name an error that may quote a secret address: by its class, and the status of the answer if it has one."""
    status = _STATUS.search(error.log) if isinstance(error, NotificationError) else None
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code}"
    return f"it answered {status[1]}" if status else type(error).__name__


if __name__ == "__main__":
    with contextlib.suppress(ValueError, OSError):  # a lower bound of the machine stays
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    asyncio.run(main(json.load(sys.stdin.buffer)))
