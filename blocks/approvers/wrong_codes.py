"""List of wrong codes: files beside the approval key, so that guessing is counted over all runs.

wrong/<name>=<answer>   a wrong code for this person; the moment is the file's time
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from blocks.key_folder.key_file import write_once

WRONG_SECONDS = 3_600


class WrongCodes:
    """The list in one folder.

    Args:
        folder: Where it lives; made on the first write.
    """

    def __init__(self, folder: Path) -> None:
        """Name its folder."""
        self._wrong = folder / "wrong"

    def note(self, name: str, answer: Mapping[str, object]) -> None:
        """Remember that a wrong code was given for a person; the same answer counts once."""
        self._wrong.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(self._wrong / f"{name}={_fingerprint(answer)}", b"")

    def last_hour(self, *, without: Mapping[str, object]) -> Counter[str]:
        """Count wrong codes by name within an hour, over all runs, but for this very answer's."""
        own = _fingerprint(without)
        counts: Counter[str] = Counter()
        for path in self._wrong.glob("[!.]*=*") if self._wrong.is_dir() else ():
            name, _, answer = path.name.rpartition("=")
            if time.time() - _changed_at(path) > WRONG_SECONDS:
                path.unlink(missing_ok=True)
            elif answer != own:
                counts[name] += 1
        return counts


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _fingerprint(answer: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(answer, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]
