"""Which runs deployed a version of a service where, and which have contract migrations: beside the key, as tags can be made up.

Both name runs, and what counts is their records; of one that cannot be read, when and where it promoted the version counts for contracts.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

from blocks.errors import Refused
from blocks.key_folder.heads import KeyFolderFault
from blocks.key_folder.kept_files import kept_names, read_kept
from tasks.lifecycle.kept_runs import RUN, write

Folder = Literal["contracts", "deployed"]
WHAT = "which names a run of a service"
PREFIX = 24
MOST_OF_A_VERSION = 20  # runs that deployed one version of a service in one place


async def keep_run(
    folder: Folder,
    service: str,
    *,
    run: str,
    version: str = "",
    place: str = "",
    must: bool = False,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Keep that a run of a service deployed this version, or has contracts.

    Args:
        folder: What is said of the run.
        service: The service.
        run: Flow run id.
        version: The version that it deployed.
        place: Where, as `places_of` names it.
        must: Whether to raise if the key's folder cannot be used; else the run goes on without.
        facts: What counts of it if its record cannot be read.

    Raises:
        KeyFolderFault: It cannot be kept, and must be.
    """
    try:
        value = {"service": service, "version": version, "place": place, "run": run, **(facts or {})}
        await write(folder, f"{name_of(service, version, place)}-{run}", value, what=WHAT)
    except KeyFolderFault:
        if must:
            raise


async def kept_runs_of(folder: Folder, service: str, *, version: str = "", place: str = "") -> list[str]:
    """List the runs that are kept; empty if the folder cannot be read.

    A file that cannot be read, as after a change of the key, names its run all the same: only the worker writes there.
    """
    beginning = f"{name_of(service, version, place)}-"
    names = await asyncio.to_thread(kept_names, folder, beginning=beginning)
    return [run for run in (name.removeprefix(beginning) for name in names) if RUN.fullmatch(run)]


async def kept_facts(folder: Folder, service: str, *, run: str, version: str = "", place: str = "") -> dict[str, str]:
    """Give what is kept of one such run; empty if nothing is, or it cannot be read."""
    with suppress(Refused):
        found = await asyncio.to_thread(read_kept, folder, f"{name_of(service, version, place)}-{run}", what=WHAT)
        return {name: str(value) for name, value in (found or {}).items()}
    return {}


def run_of(name: str) -> str:
    """Give the run that a kept file of this index names."""
    return name[PREFIX + 1 :]


def version_of(name: str) -> str:
    """Give the same text for each kept file of one version of one service in one place."""
    return name[:PREFIX]


def name_of(service: str, version: str, place: str) -> str:
    """Name a version of a service in a place, as kept files are called."""
    return hashlib.sha256(f"{service}\n{version}\n{place}".encode()).hexdigest()[:PREFIX]
