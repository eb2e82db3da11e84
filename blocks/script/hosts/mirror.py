"""A run's folder on this machine: a copy of what the host keeps of it, so that log, last lines and ending are read as of any other run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from blocks.script.hosts.answers import is_number, is_whole
from blocks.script.hosts.on_host import decoded
from blocks.script.result import write_result
from blocks.script.wrapper import LOG, NAMES_SHOWN, OLDER, OUTPUT, PROCESS, Output

OVER = "over"
LEFT_SHOWN, MOST_WORDS = NAMES_SHOWN + 1, 200  # the names, and how many more


class Mirror:
    """Writes what a host answers about a run, from its beginning on.

    Args:
        place: The run's folder here.
    """

    def __init__(self, place: Path) -> None:
        """Begin anew: what was read before is read again."""
        self.place = place
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (OUTPUT, OLDER, PROCESS):
            (place / name).unlink(missing_ok=True)
        self.output = Output(place)

    def take(self, answer: Mapping[str, Any]) -> bool:
        """Add what an answer brings; True if the run is over, however it ended."""
        self.output.add(decoded(answer["output"]))
        if answer["state"] == "under way":
            return False
        with suppress(OSError):  # as on a full disk: then the host is asked again
            has_begun, log = answer["state"] == "ended", decoded(answer.get("log") or "")
            if has_begun or log:  # else there may stand why the order did not reach the host
                (self.place / LOG).write_bytes(log)
            if has_begun:
                (self.place / PROCESS).touch()
            if isinstance(answer.get("result"), Mapping):
                write_result(self.place, _result(answer["result"]))
            (self.place / OVER).touch()
        return True

    def close(self) -> None:
        """Close its file."""
        os.close(self.output.file)


def keep(place: Path, answer: Mapping[str, Any]) -> None:
    """Write what one answer says of a run that is over."""
    mirror = Mirror(place)
    mirror.take(answer)
    mirror.close()


def note_log(place: Path, words: str) -> None:
    """Write words of ours where the log of a run's wrapper will be."""
    with suppress(OSError):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        (place / LOG).write_text(words, encoding="utf-8", errors="replace")


def is_over(place: Path) -> bool:
    """Say whether all was read of a run that is over."""
    return (place / OVER).exists()


def _result(found: Mapping[str, Any]) -> dict[str, Any]:
    """Take an ending as a host says it: it is another machine's word, so each value is made what it must be."""
    code, left = found.get("exit_code"), found.get("left")
    return {
        "exit_code": code if is_whole(code) else None,
        "not_run": str(found.get("not_run") or "")[:MOST_WORDS],
        "timed_out": found.get("timed_out") is True,
        "stopped": found.get("stopped") is True,
        "seconds": float(found["seconds"]) if is_number(found.get("seconds")) else 0.0,
        "left": [str(one)[:MOST_WORDS] for one in left[:LEFT_SHOWN]] if isinstance(left, list) else [],
    }
