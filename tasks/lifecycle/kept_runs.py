"""What is kept of an open run beside the approval key: that it is open, and which process acts for it.

Tags and labels of a run say the same, and whoever has the API's password can change them, or delete the run.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from blocks.errors import Refused, Tampered
from blocks.key_folder.heads import KeyFolderFault, read_head
from blocks.key_folder.kept_files import kept_names, locked, read_kept, remove_kept, write_kept
from tasks.lifecycle.clock import now
from tasks.lifecycle.servers import own_server

OPEN, PROCESS, CARE, WAIT, BEAT, LOOK = "open", "processes", "care", "waits", "beats", "looks"
SERVER = "server"  # which has an open run
LOG = logging.getLogger("shipway")
MARKED = "shipway.marked-at"  # when the process of a run was written down
WHAT = {
    OPEN: "which says that a run is open",
    PROCESS: "which says which process acts for a run",
    CARE: "which says how often a run was started",
    WAIT: "which says until when a run waits",
    BEAT: "which says when the process of a run last showed that it lives",
    LOOK: "which says since when a run stands still, as the keeper saw it",
}
RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


async def keep_open(run: str, *, service: str = "", blocks: Iterable[str] = ()) -> None:
    """Keep that a run has an open record, before its first entry is written, and by which server; once its plan was read, what it releases.

    Args:
        run: Its flow run id.
        service: The service; "" if the plan was not read yet.
        blocks: The platforms that the plan names.

    Raises:
        KeyFolderFault: The key's folder cannot be used.
    """
    before = await _read(OPEN, run)
    if service or not before:
        released = {"service": service, "blocks": sorted(set(blocks))} if service else {}
        await _change_open(run, {SERVER: before.get(SERVER) or await own_server()} | released, only_known=False)


async def server_of(run: str) -> str:
    """Name the server that has an open run, by what is kept here; "" if that is not known."""
    return str((await _read(OPEN, run)).get(SERVER, ""))


async def keep_server(run: str, server: str) -> None:
    """Keep that a server has an open run, as it was seen there: no one chooses the id of a run. Without the key's folder it is not kept."""
    if server and await server_of(run) != server:
        with suppress(KeyFolderFault):
            await _change_open(run, {SERVER: server}, only_known=True)


async def _change_open(run: str, change: dict[str, Any], *, only_known: bool) -> None:
    """Change what is kept of an open run in one step, as the run and the keeper both do.

    Args:
        run: Its flow run id.
        change: What is new.
        only_known: Whether a run of which nothing is kept is left so, as it may have ended meanwhile.
    """

    def act() -> None:
        with locked(OPEN, "all", what=WHAT[OPEN]):  # one for all runs, as for their starts
            try:
                before = read_kept(OPEN, run, what=WHAT[OPEN])
            except Refused:
                before = {}
            if before is not None or not only_known:
                write_kept(OPEN, run, (before or {}) | change, what=WHAT[OPEN])

    try:
        await asyncio.to_thread(act)
    except (Refused, OSError) as error:
        raise KeyFolderFault(str(error), delay_seconds=2) from error


async def forget_open(run: str) -> None:
    """Forget a run that has come to its end: its record is closed, its leases and locks are given up.

    One whose file stays, as its process died before or the folder could not be written, is settled by the keeper, which ends it again.
    """
    for folder in WHAT:
        with suppress(OSError):
            await asyncio.to_thread(remove_kept, folder, run)


async def is_kept_open(run: str) -> bool:
    """Say if a run has not come to its end by what is kept here; one whose file cannot be read has not, either."""
    try:
        return await asyncio.to_thread(read_kept, OPEN, run, what=WHAT[OPEN]) is not None
    except Refused:
        return True


def is_closed(run: str) -> bool:
    """Say if a run's record is closed, by its head; not if that cannot be read."""
    try:
        head = read_head(run)
    except (KeyFolderFault, Tampered):
        return False
    return head is not None and head.closed


def has_open_head(run: str) -> bool:
    """Say if a run's record was begun and is not closed, by its head; not if that cannot be read."""
    try:
        head = read_head(run)
    except (KeyFolderFault, Tampered):
        return False
    return head is not None and not head.closed


async def open_runs() -> list[str]:
    """List the runs that have not come to their end, by what is kept here; empty if that cannot be read."""
    return [name for name in await asyncio.to_thread(kept_names, OPEN) if RUN.fullmatch(name)]


async def open_releases_of(service: str) -> list[str]:
    """List the open runs that release a service, by what is kept here; rollbacks are not among them, nor those whose record is closed."""
    found = [run for run in await open_runs() if (await _read(OPEN, run)).get("service") == service]
    return [run for run in found if not await asyncio.to_thread(is_closed, run)]


async def service_of(run: str) -> str:
    """Name the service that an open release is of, by what is kept here; "" if it has not read its plan, and of a rollback."""
    return str((await _read(OPEN, run)).get("service", ""))


async def blocks_of(run: str) -> list[str]:
    """Name the platforms that an open release's plan names, by what is kept here; none if it has not read its plan."""
    return [str(block) for block in (await _read(OPEN, run)).get("blocks", [])]


async def keep_process(run: str, process: dict[str, Any]) -> None:
    """Keep which process acts for a run; without the key's folder its labels alone say it."""
    with suppress(KeyFolderFault):
        await write(PROCESS, run, process)


async def process_of(run: str) -> dict[str, Any]:
    """Give the process that is kept of a run, as its labels name it; empty if none is, or it cannot be read."""
    return await _read(PROCESS, run)


async def beat_of(run: str) -> datetime | None:
    """Give when the process that is kept of a run last showed that it lives, by its own clock (UTC); None if it never did."""
    beat = await _read(BEAT, run)
    is_its = beat.get(MARKED) == (await process_of(run)).get(MARKED)
    return datetime.fromisoformat(str(beat["at"])) if beat and is_its else None


async def signs_of_life(run: str) -> str:
    """Give what a run's processes keep of themselves, as one text: while it stays the same none of them does anything."""
    found = [(await _read(folder, run)).get(name, "") for folder, name in ((PROCESS, MARKED), (BEAT, "at"), (WAIT, "at"))]
    return " ".join(map(str, found))


async def keep_look(run: str, looks: dict[str, Any]) -> None:
    """Keep since when a run stands still, apart from the counts, which others write; without the key's folder it is forgotten."""
    with suppress(KeyFolderFault):
        await write(LOOK, run, looks)


async def look_of(run: str) -> dict[str, Any]:
    """Give since when a run stands still; empty if nothing is kept, or it cannot be read."""
    return await _read(LOOK, run)


async def care_of(run: str) -> dict[str, Any]:
    """Give how often a run was started; empty if nothing is kept, or it cannot be read."""
    return await _read(CARE, run)


async def count_start(run: str, *, counts: bool = True) -> None:
    """Count that a run is started again, in the one count that `count_attempt` goes on with.

    Its own number of starts is a field that anyone with the API's password can move.

    Args:
        run: Its flow run id.
        counts: Whether this is one of the few times; the end of a wait is not.
    """
    await _count(run, lambda care: {"starts": _starts(care) + counts, "counted": True})


async def count_attempt(run: str) -> None:
    """Count that a process begins to act for a run, unless this start was counted already, or ends a wait of the run's own."""
    waited = await _waited_last(run)
    await _count(run, lambda care: {"counted": False} if care.get("counted") else {"starts": _starts(care) + (not waited)})


async def times_started(run: str) -> int:
    """Give how often a run was started, by what is kept here; the ends of its own waits do not count."""
    return _starts(await care_of(run))


async def _count(run: str, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the count of a run's starts in one step, as the keeper and the run's process both do.

    Without the key's folder it is not counted, which the log says: the server's own count, which others can move, is what is left.
    """

    def change() -> None:
        with locked(CARE, "all", what=WHAT[CARE]):  # one for all runs, so that no run leaves one behind
            try:
                care = read_kept(CARE, run, what=WHAT[CARE]) or {}
            except Refused:
                care = {}
            write_kept(CARE, run, care | changed(care), what=WHAT[CARE])

    try:
        await asyncio.to_thread(change)
    except (Refused, OSError) as error:
        LOG.warning("a start of the run %s could not be counted: %s", run, error)


def _starts(care: dict[str, Any]) -> int:
    return int(care.get("starts", 0))


async def _waited_last(run: str) -> bool:
    """Say if the last that a run's process kept was that it waits."""
    return str((await _read(WAIT, run)).get("at", "")) > str((await process_of(run)).get(MARKED, ""))


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
