"""What is kept of an open run beside the approval key: that it is open, and which process acts for it.

Tags and labels of a run say the same, and whoever has the API's password can change them, or delete the run.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from datetime import datetime
from typing import Any

from blocks.approvers.heads import KeyFolderFault
from blocks.approvers.kept_files import kept_names, read_kept, remove_kept, write_kept
from blocks.errors import Refused
from tasks.lifecycle.clock import now

OPEN, PROCESS, CARE, WAIT = "open", "processes", "care", "waits"
WHAT = {
    OPEN: "which says that a run is open",
    PROCESS: "which says which process acts for a run",
    CARE: "which says what the keeper did for a run",
    WAIT: "which says until when a run waits",
}
RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


async def keep_open(run: str, *, service: str = "") -> None:
    """Keep that a run has an open record, before its first entry is written; and which service it releases, once its plan was read.

    Raises:
        KeyFolderFault: The key's folder cannot be used.
    """
    if service or not await _read(OPEN, run):
        await write(OPEN, run, {"service": service} if service else {})


async def forget_open(run: str) -> None:
    """Forget a run whose record is closed; a file that stays is found and removed by the keeper."""
    await _remove(OPEN, run)
    await _remove(WAIT, run)
    await forget_process(run)


async def forget_process(run: str) -> None:
    """Forget which process acted for a run that ended, and what the keeper did for it."""
    await _remove(PROCESS, run)
    await _remove(CARE, run)


async def _remove(folder: str, run: str) -> None:
    with suppress(OSError):
        await asyncio.to_thread(remove_kept, folder, run)


async def open_runs() -> list[str]:
    """List the runs whose record is not closed, by what is kept here; empty if that cannot be read."""
    return [name for name in await asyncio.to_thread(kept_names, OPEN) if RUN.fullmatch(name)]


async def open_releases_of(service: str) -> list[str]:
    """List the open runs that release a service, by what is kept here; rollbacks are not among them."""
    return [run for run in await open_runs() if (await _read(OPEN, run)).get("service") == service]


async def keep_process(run: str, process: dict[str, Any]) -> None:
    """Keep which process acts for a run; without the key's folder its labels alone say it."""
    with suppress(KeyFolderFault):
        await write(PROCESS, run, process)


async def process_of(run: str) -> dict[str, Any]:
    """Give the process that is kept of a run, as its labels name it; empty if none is, or it cannot be read."""
    return await _read(PROCESS, run)


async def keep_care(run: str, **facts: Any) -> None:
    """Keep what the keeper saw of a run or did for it, beside what is kept already; without the key's folder it is forgotten."""
    with suppress(KeyFolderFault):
        await write(CARE, run, await care_of(run) | facts)


async def care_of(run: str) -> dict[str, Any]:
    """Give what the keeper saw of a run and did for it; empty if nothing is kept, or it cannot be read."""
    return await _read(CARE, run)


async def count_start(run: str) -> None:
    """Count that a run is started again: its own number of starts is a field that anyone with the API's password can move."""
    await keep_care(run, again=await times_started_again(run) + 1)


async def count_attempt(run: str) -> None:
    """Count that a process begins to act for a run."""
    await keep_care(run, attempts=await attempts_of(run) + 1)


async def attempts_of(run: str) -> int:
    """Give how often a process began to act for a run, by what is kept here."""
    return int((await care_of(run)).get("attempts", 0))


async def times_started_again(run: str) -> int:
    """Give how often a run was started again, by what is kept here."""
    return int((await care_of(run)).get("again", 0))


async def _read(folder: str, run: str) -> dict[str, Any]:
    try:
        return await asyncio.to_thread(read_kept, folder, run, what=WHAT[folder]) or {}
    except Refused:
        return {}


async def keep_wait(run: str, until: datetime) -> None:
    """Keep until when a run waits, for a keeper that cannot read its record; without the key's folder the record alone says it."""
    with suppress(KeyFolderFault):
        await write(WAIT, run, {"at": now().isoformat(), "until": until.isoformat()})


async def still_waits(run: str, *, marked: datetime | None) -> bool:
    """Say if a run waits by what is kept: its time has not come, and it did not go on since.

    Args:
        run: Its flow run id.
        marked: When its last process began (UTC), if that is known.
    """
    try:
        kept = await asyncio.to_thread(read_kept, WAIT, run, what=WHAT[WAIT])
    except Refused:
        return True  # as before it was kept: only its record can say more
    if kept is None:
        return False
    at, until = (datetime.fromisoformat(str(kept[name])) for name in ("at", "until"))
    return now() < until and (marked is None or marked <= at)


async def write(folder: str, name: str, value: dict[str, Any], *, what: str = "") -> None:
    """Write a kept file.

    Raises:
        KeyFolderFault: The key or its folder cannot be used.
    """
    try:
        await asyncio.to_thread(write_kept, folder, name, value, what=what or WHAT[folder])
    except (Refused, OSError) as error:
        raise KeyFolderFault(str(error), delay_seconds=2) from error
