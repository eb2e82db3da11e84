"""How a run ended, written down on a disk that may be full; sent to hosts, so of the standard library alone."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

RESULT, DRAFT = "result.json", "result.new"
ROOM_BYTES = 4_096


def keep_room(folder: Path) -> None:
    """Keep room on the disk for how a run will have ended: a disk that fills up meanwhile leaves its exit code.

    Raises:
        OSError: There is none left.
    """
    (folder / DRAFT).write_bytes(b" " * ROOM_BYTES)


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Write down how a run ended, in one step, into the room that was kept for it; blanks fill that up.

    Raises:
        OSError: It cannot be written.
    """
    draft = os.open(folder / DRAFT, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)  # not truncated, which would give the room away
    with os.fdopen(draft, "wb") as file:
        file.write(json.dumps(result).encode().ljust(ROOM_BYTES))
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    (folder / DRAFT).replace(folder / RESULT)


def write_or_part(folder: Path, result: dict[str, Any]) -> None:
    """Write the result; if the disk does not take it, end this process, and go on in a child.

    A process that is written down is followed as long as it lives. So it is found gone, without an exit code, while the child takes what
    the service prints: a closed pipe would end the service.
    """
    try:
        write_result(folder, result)
    except OSError as error:
        with suppress(OSError):
            os.write(2, f"{error!r}\n".encode())
        if os.fork():
            os._exit(1)
