"""Ledger of used one-time codes: files beside the approval key, so that each code counts once over all runs.

used/<name>=<counter>   the answer that used this code, as JSON
wrong/<name>=<answer>   a wrong code for this person; the moment is the file's time
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from blocks.approvers.key_file import write_once

STEP_SECONDS = 30
KEPT_SECONDS = 86_400
WRONG_SECONDS = 3_600


class UsedCodes:
    """The ledger in one folder.

    Args:
        folder: Where it lives; made on the first write.
    """

    def __init__(self, folder: Path) -> None:
        """Name the two folders."""
        self._used = folder / "used"
        self._wrong = folder / "wrong"

    def use(self, name: str, counter: int, answer: Mapping[str, object]) -> bool:
        """Use a code up, atomically and durably.

        Args:
            name: Enrolled name.
            counter: The code's 30-second step since the epoch.
            answer: What it is used for; the very same answer may use it again.

        Returns:
            Whether the code belongs to this answer, now or since an earlier try.
        """
        self._used.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._forget_old()
        path = self._used / f"{name}={counter}"
        content = _content(answer)
        return write_once(path, content) or _read(path) == content

    def used(self, *, without: Mapping[str, object]) -> set[tuple[str, int]]:
        """List names and counters used in the last day, but for what this very answer has used itself."""
        own = _content(without)
        return {_name_and_counter(path) for path in _files(self._used) if _read(path) != own}

    def note_wrong(self, name: str, answer: Mapping[str, object]) -> None:
        """Remember that a wrong code was given for a person; the same answer counts once."""
        self._wrong.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(self._wrong / f"{name}={_fingerprint(answer)}", b"")

    def wrong_last_hour(self, *, without: Mapping[str, object]) -> Counter[str]:
        """Count wrong codes by name within an hour, over all runs, but for this very answer's."""
        own = _fingerprint(without)
        counts: Counter[str] = Counter()
        for path in _files(self._wrong):
            name, _, answer = path.name.rpartition("=")
            if time.time() - _changed_at(path) > WRONG_SECONDS:
                path.unlink(missing_ok=True)
            elif answer != own:
                counts[name] += 1
        return counts

    def _forget_old(self) -> None:
        # A code is good for at most 90 s, and an answer may lie unread for an hour: a day is safe.
        oldest = int(time.time() - KEPT_SECONDS) // STEP_SECONDS
        for path in _files(self._used):
            if _name_and_counter(path)[1] < oldest:
                path.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("[!.]*=*") if path.is_file()] if folder.is_dir() else []


def _name_and_counter(path: Path) -> tuple[str, int]:
    name, _, counter = path.name.rpartition("=")
    return name, int(counter) if counter.isdecimal() else 0


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _content(answer: Mapping[str, object]) -> bytes:
    return json.dumps(answer, sort_keys=True, separators=(",", ":")).encode()


def _fingerprint(answer: Mapping[str, object]) -> str:
    return hashlib.sha256(_content(answer)).hexdigest()[:32]
