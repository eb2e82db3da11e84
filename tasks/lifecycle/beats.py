"""Heartbeats of our own, beside the key: events on the server can be made by anyone with the API's password, for a process that died."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from blocks.errors import Refused
from blocks.key_folder.kept_files import read_kept, write_kept
from blocks.outside_text import error_text
from tasks.lifecycle.kept_runs import BEAT, MARKED, OPEN, PROCESS, WHAT
from tasks.lifecycle.run_labels import is_this_process, this_process

BEAT_SECONDS = 20.0
LOG = logging.getLogger("shipway")


@contextmanager
def shows_life(run: str) -> Iterator[None]:
    """Let this process show every 20 s that it acts for a run, until the block is left; in a thread, as a busy process lives, too.

    Args:
        run: Flow run id.
    """
    ended = threading.Event()
    threading.Thread(target=_beat, args=(run, ended), name=f"beats of {run}", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _beat(run: str, ended: threading.Event) -> None:
    while not ended.wait(BEAT_SECONDS):
        try:
            beat(run)
        except (Refused, OSError, ValueError) as error:
            LOG.warning("this process could not show that it lives: %s", error_text(error))


def beat(run: str) -> None:
    """Show once that this process acts for a run, if it is the one that is kept of it; a newer one has taken over.

    One that could not be kept as it began is kept now, for as long as the record is open.

    Raises:
        Refused: The key's folder cannot be used.
    """
    kept = read_kept(PROCESS, run, what=WHAT[PROCESS])
    if kept is None:
        if read_kept(OPEN, run, what=WHAT[OPEN]) is not None:
            write_kept(PROCESS, run, this_process(), what=WHAT[PROCESS])
    elif is_this_process(kept):
        write_kept(BEAT, run, {MARKED: kept[MARKED], "at": datetime.now(UTC).isoformat()}, what=WHAT[BEAT])
