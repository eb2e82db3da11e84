"""Fencing on a host: the newest owner of which the host knows, kept under the host's lock; sent there, so of the standard library alone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OWNER, LOCK = "owner.json", "lock"
LOCK_SECONDS, LOCK_TRY_SECONDS = 20.0, 0.02


class Not(Exception):
    """What is not done, and why: `refused`, `superseded`, `busy`, `full` or `cannot`."""

    def __init__(self, kind: str, why: str) -> None:
        """Keep both."""
        super().__init__(why)
        self.kind, self.why = kind, why


def expect_newest(place: Path, order: dict[str, Any]) -> None:
    """Let only the newest owner act, of one installation and by one name of this host."""
    path, owner = place / OWNER, {"environment": order["environment"], "host": order["host"], "generation": order["lease"]}
    try:
        noted = json.loads(path.read_bytes())
    except FileNotFoundError:
        noted = None
    except ValueError:
        raise Not("cannot", f"{path} is damaged: remove it if no script runs there") from None
    if noted is not None:
        if noted["environment"] != owner["environment"]:
            raise Not("refused", f"{place} belongs to another installation of Shipway. Remove it there if that one is gone")
        if noted["host"] != owner["host"]:
            raise Not("refused", f"it is the same account as {noted['host']}. Leave one of them out")
        if noted["generation"] > owner["generation"]:
            raise Not("superseded", f"generation {owner['generation']} may not act any more, {noted['generation']} does")
        if noted == owner:
            return
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(owner, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextlib.contextmanager
def locked(place: Path) -> Iterator[int]:
    """Hold the host's lock; a run that is being started holds it until its process is written down."""
    descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > deadline:
                raise Not("busy", f"another process holds {place / LOCK} for more than {LOCK_SECONDS:g} s")
            time.sleep(LOCK_TRY_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)
