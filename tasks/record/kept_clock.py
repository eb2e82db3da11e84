"""What the clock said, kept beside the key, so that one that jumped removes nothing."""

from __future__ import annotations

import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.errors import Refused
from blocks.key_folder.heads import newest_head
from blocks.key_folder.kept_files import NotKept, locked, read_kept, write_kept
from tasks.rules.lifecycle.clock_jump import Moment, Seen, look_at_clock

KEPT, WHAT = ("keeper", "clock"), "which has what the clock said before"


def doubt_of_clock(at: datetime, *, keeps: bool) -> str:
    """Say why the clock is not believed, in sentences; "" if it is.

    Args:
        at: What it says.
        keeps: Whether to keep that it said so, for the next time.
    """
    try:
        with locked(*KEPT, what=WHAT) if keeps else nullcontext():
            seen = _read()
            newest = None if seen.last else newest_head()
            shown = datetime.fromtimestamp(newest, UTC) if newest else None
            after, doubt = look_at_clock(Moment(at, *uptime()), seen, newest=shown)
            if keeps:
                write_kept(*KEPT, {name: _written(one) for name, one in after._asdict().items() if one}, what=WHAT)
    except (Refused, OSError) as error:
        return f"It is not known what the clock said before, so nothing is removed: {error}."
    return doubt


def uptime() -> tuple[str, float]:
    """Name this start of the machine, and say how long ago it was, in seconds; "" and 0 if that is not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip(), time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError):
        return "", 0.0


def _read() -> Seen:
    """Read what is kept; of one that is of another key, or cut short, nothing counts."""
    try:
        kept = read_kept(*KEPT, what=WHAT) or {}
        return Seen(*(_moment(kept[name]) if name in kept else None for name in Seen._fields))
    except (NotKept, KeyError, ValueError, TypeError):
        return Seen()


def _moment(kept: dict[str, Any]) -> Moment:
    return Moment(datetime.fromisoformat(str(kept["at"])), str(kept["boot"]), float(kept["up_seconds"]))


def _written(moment: Moment) -> dict[str, Any]:
    return moment._asdict() | {"at": moment.at.isoformat()}
