"""Process that sends one message: `python -m blocks.notify.sending_process` reads it from its standard input, and writes what was wrong.

It reads one JSON object (`block`, `fields`, `body`, `subject`) and writes one: `fault`, "" if the message was acknowledged. It imports only
what its block needs: a machine may be busy when it fails.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from contextlib import nullcontext
from typing import Any

from blocks.sending import SECONDS, answer, taken

BY_ADDRESS = "blocks.notify.apprise:Apprise"
_STATUS = re.compile(r"\berror[=: ]+(\d{3})\b", re.IGNORECASE)  # as Apprise writes it in its log


class _RefusedError(Exception):
    """The receiver did not acknowledge; its argument is what Apprise logged, which may hold the address."""


async def main(given: dict[str, Any]) -> None:
    """Send the message, write what was wrong, and end.

    Args:
        given: As it was read.
    """
    fault = ""
    try:
        async with asyncio.timeout(SECONDS):
            await (_send_to_address(given) if given["block"] == BY_ADDRESS else _send_by_block(given))
    except TimeoutError:
        fault = f"did not acknowledge the message within {SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - of any library that a block sends by; its words may hold an address that is a secret
        fault = f"did not accept the message ({_kind(error)})"
    answer(fault)


async def _send_to_address(given: dict[str, Any]) -> None:
    import apprise  # noqa: PLC0415 - see above

    client = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Shipway", app_desc="Shipway", app_url=""))
    client.add(given["fields"]["url"])
    with apprise.LogCapture(level=apprise.logging.INFO) as log:  # type: ignore[no-untyped-call]
        if not await client.async_notify(body=given["body"], title=given["subject"], notify_type=given["fields"]["notify_type"]):
            raise _RefusedError(log.getvalue())


async def _send_by_block(given: dict[str, Any]) -> None:
    module, _, name = given["block"].partition(":")
    block: Any = getattr(importlib.import_module(module), name)(**given["fields"])
    with block.raise_on_failure() if hasattr(block, "raise_on_failure") else nullcontext():  # else a refusal passes for an answer
        await block.notify(body=given["body"], subject=given["subject"])


def _kind(error: Exception) -> str:
    """Name an error that may quote a secret address: by its class, and the status of the answer if it has one."""
    log = error.args[0] if isinstance(error, _RefusedError) else str(getattr(error, "log", ""))  # as Prefect's NotificationError
    status = _STATUS.search(log)
    if status:
        return f"it answered {status[1]}"
    answer = getattr(error, "response", None)  # as an HTTP client's error
    if isinstance(found := getattr(answer, "status_code", None), int):
        return f"it answered {found}"
    return "it is not an acknowledgement" if isinstance(error, _RefusedError) else type(error).__name__


if __name__ == "__main__":
    asyncio.run(main(taken()))
