"""Which runs deployed a version of a service, and which have contract migrations: beside the key, as tags of runs can be taken away.

Both only name runs: what counts is their records.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import Literal

from blocks.approvers.heads import KeyFolderFault
from blocks.approvers.kept_files import kept_names, read_kept
from blocks.errors import Refused
from tasks.lifecycle.kept_runs import write

Folder = Literal["contracts", "deployed"]
WHAT = "which names a run of a service"
PREFIX = 24
MOST_OF_A_VERSION = 20  # runs that deployed one version of a service


async def keep_run(folder: Folder, service: str, *, run: str, version: str = "") -> None:
    """Keep that a run of a service deployed this version, or has contracts; without the key's folder its tags alone say it."""
    with suppress(KeyFolderFault):
        value = {"service": service, "version": version, "run": run}
        await write(folder, f"{_prefix(service, version)}{run}", value, what=WHAT)


async def kept_runs_of(folder: Folder, service: str, *, version: str = "") -> list[str]:
    """List the runs that are kept; empty if the folder cannot be read."""

    def read() -> list[str]:
        found: list[str] = []
        for name in kept_names(folder, beginning=_prefix(service, version)):
            with suppress(Refused):
                kept = read_kept(folder, name, what=WHAT) or {}
                if (kept.get("service"), kept.get("version")) == (service, version):
                    found.append(str(kept["run"]))
        return found

    return await asyncio.to_thread(read)


def run_of(name: str) -> str:
    """Give the run that a kept file of this index names."""
    return name[PREFIX + 1 :]


def version_of(name: str) -> str:
    """Give the same text for each kept file of one version of one service."""
    return name[:PREFIX]


def _prefix(service: str, version: str) -> str:
    return hashlib.sha256(f"{service}\n{version}".encode()).hexdigest()[:PREFIX] + "-"
