"""Whether the keeper does its work, asked from outside: by the doctor, and all the time by the supervisor."""

from __future__ import annotations

import contextlib
import json
import logging
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from blocks.key_folder.key_file import key_path, replace_file
from blocks.server import api, layout

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

LOG = logging.getLogger("keeper")
FLOW = "keeper"
NAME = "keeper.json"
BY_SERVER = "by the server's word alone, as the key is not here"
LATE_SECONDS = 60
START_SECONDS = 90  # after the start of the server stack; its server takes up to 30 s, and the schedule 20 s more
LOOK_SECONDS = 15
REPEAT_SECONDS = 300  # how often the log says that it is still missing
RESOURCE = "shipway.keeper"
MISSING, BACK = "shipway.keeper.missing", "shipway.keeper.back"


class Work(NamedTuple):
    """When the keeper last did its work.

    Fields:
        at: In seconds since the epoch; None if it never did.
        by_server: Whether only the server says so, which believes whoever has its password.
    """

    at: float | None
    by_server: bool = False


def note_work(at: float) -> None:
    """Write beside the key when the keeper did its work; anyone with the API's password can make a completed run of that name.

    Raises:
        OSError: The key's folder cannot be written.
    """
    replace_file(key_path().parent / NAME, json.dumps({"at": at}).encode())


def noted_work(key: Path) -> float | None:
    """Read when the keeper did its work, by what is written beside this key; None if nothing is, or it cannot be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads((key.parent / NAME).read_bytes())["at"])
    return None


def last_work(home: Path) -> Work:
    """Say when the keeper last did its work; on a machine without the key the server is asked for the end of its newest completed run.

    Raises:
        OSError: The server is not reached.
    """
    key = layout.key_file(home)
    if key.exists():
        return Work(noted_work(key))
    chosen = {"flows": {"name": {"any_": [FLOW]}}, "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    runs = api.ask(home, "/flow_runs/filter", {**chosen, "sort": "END_TIME_DESC", "limit": 1})
    return Work(datetime.fromisoformat(runs[0]["end_time"]).timestamp() if runs else None, by_server=True)


def started(home: Path) -> float:
    """Say when the server stack was started, in seconds since the epoch; 0 if it was not."""
    record = home / "run" / "supervisor.pid"
    return record.stat().st_mtime if record.exists() else 0


def describe(last: float | None, *, now: float) -> str:
    """Say how long ago the keeper last did its work.

    Args:
        last: When it did, in seconds since the epoch, or None.
        now: The moment.
    """
    if last is not None and last - now >= LATE_SECONDS:
        return f"last did its work {last - now:.0f} s in the future, so the clock was set since"
    return "has never done its work" if last is None else f"last did its work {max(0.0, now - last):.0f} s ago"


async def forget_late(client: PrefectClient) -> int:
    """Delete the keeper's scheduled runs whose time has passed; after an outage there are many, and one run does the work of all.

    Returns:
        How many were deleted.
    """
    from prefect.client.schemas.filters import FlowFilter, FlowRunFilter  # noqa: PLC0415 - prefect is slow to import

    flow: Any = {"any_": [FLOW]}
    late: Any = {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"before_": datetime.now(UTC)}}
    runs = await client.read_flow_runs(flow_filter=FlowFilter(name=flow), flow_run_filter=FlowRunFilter(**late), limit=200)
    for run in runs:
        await client.delete_flow_run(run.id)
    return len(runs)


class Watch:
    """Notices that the keeper is missing, and that it is back: each is logged, and emitted once as an event of the server.

    `shipway.keeper.missing` and `shipway.keeper.back`, on the resource `shipway.keeper`: an automation may notify people of them.
    """

    def __init__(self, home: Path) -> None:
        """Watch over the keeper of a home; nothing is asked yet."""
        self.home = home
        self.last: float | None = None
        self.missing = False
        self.untold: str | None = None
        self.said = 0.0

    def look(self, *, now: float) -> None:
        """Ask when the keeper last did its work; a server that does not answer leaves what was known.

        Args:
            now: The moment, in seconds since the epoch.
        """
        try:
            self.last = last_work(self.home).at
        except (OSError, ValueError):
            LOG.debug("the server does not answer", exc_info=True)
        known = self.last if self.last and self.last - now < LATE_SECONDS else 0  # else the clock was set since
        since = max(known, started(self.home) + START_SECONDS - LATE_SECONDS)
        if (now - since >= LATE_SECONDS) != self.missing:
            self.missing = not self.missing
            self.untold = MISSING if self.missing else BACK
        if self.missing and (self.untold or now - self.said >= REPEAT_SECONDS):
            self.said = now
            LOG.error("the keeper %s: runs that died or wait for a time go unattended; see `shipway doctor`", describe(self.last, now=now))
        elif self.untold and not self.missing:
            LOG.warning("the keeper does its work again")
        self._record(now)

    def _record(self, now: float) -> None:
        """Emit what was not sent yet; while the server does not answer it stays unsent."""
        if self.untold is None:
            return
        event = {
            "id": str(uuid.uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": self.untold,
            "resource": {"prefect.resource.id": RESOURCE, "prefect.resource.name": FLOW},
            "payload": {"message": f"The keeper {describe(self.last, now=now)}."},
        }
        try:
            api.send(self.home, "/events", [event])
        except OSError:
            return
        self.untold = None


def watch(home: Path) -> None:
    """Look at the keeper for ever, every 15 s; for a thread of its own."""
    watching = Watch(home)
    while True:
        time.sleep(LOOK_SECONDS)
        try:
            watching.look(now=time.time())
        except Exception:
            LOG.exception("the keeper could not be checked")
