"""Whether a run of the wrapper lives, by what it wrote down; of the standard library alone, as it is also asked on hosts."""

from __future__ import annotations

import math
import signal
import time
from contextlib import suppress
from pathlib import Path

from blocks import processes
from blocks.script.result import RESULT
from blocks.script.wrapper import PROCESS, SCRIPT, STOP

MARK = "SHIPWAY_SCRIPT"


def is_under_way(place: Path, mark: str) -> bool:
    """Say whether a run has begun and has not ended.

    Args:
        place: Its folder.
        mark: The value of `SHIPWAY_SCRIPT` in the environment of all its processes.
    """
    if not (place / PROCESS).exists() or (place / RESULT).exists():
        return False
    if processes.recorded(place / PROCESS) is not None:
        return True
    return not (place / RESULT).exists() and _outlives_its_wrapper(place, mark)


def end_if_late(place: Path, mark: str, *, deadline: float, stop_seconds: float) -> None:
    """End what a killed wrapper left, at the time limit or once that is asked for; a wrapper that lives does that itself.

    Args:
        place: The run's folder.
        mark: As in `is_under_way`.
        deadline: Its time limit, in seconds since the epoch.
        stop_seconds: From SIGTERM to SIGKILL.
    """
    late = time.time() - min(deadline, _asked_to_end_at(place))
    if late > 0 and processes.recorded(place / PROCESS) is None:
        number = signal.SIGTERM if late < stop_seconds else signal.SIGKILL
        processes.signal_all(processes.recorded(place / SCRIPT) or 0, f"{MARK}={mark}", number)


def _outlives_its_wrapper(place: Path, mark: str) -> bool:
    if (place / SCRIPT).exists():
        return processes.recorded(place / SCRIPT) is not None
    return any([True for _ in processes.marked(f"{MARK}={mark}")])  # noqa: C419 - to its end, so that each handle is closed


def _asked_to_end_at(place: Path) -> float:
    with suppress(OSError):
        return (place / STOP).stat().st_mtime
    return math.inf
