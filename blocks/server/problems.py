"""Why a process of the server stack does not run: written by the supervisor, read by the command that waits for it.

HOME/run/NAME.problem holds the reason, how often in a row the process failed, and whether trying again is useless.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TypedDict

NAMES = ("database", "server", "engine", "worker")  # in the order in which they need each other
HOPELESS_FAILURES = 3


class Problem(TypedDict):
    """Why a process does not run.

    Fields:
        reason: What happened and what to do, the most important part last.
        failures: How often in a row it failed by itself.
        permanent: Whether trying again is useless until a person acts.
    """

    reason: str
    failures: int
    permanent: bool


def note(home: Path, name: str, reason: str, *, permanent: bool = False) -> None:
    """Write down one more failure of a process."""
    before = read(home, name)
    problem = Problem(reason=reason, failures=1 + (before["failures"] if before else 0), permanent=permanent)
    path = _path(home, name)
    draft = path.with_suffix(".problem.new")
    with contextlib.suppress(OSError):  # on a full disk the log alone has it
        draft.write_text(json.dumps(problem))
        draft.replace(path)


def read(home: Path, name: str) -> Problem | None:
    """Read why a process does not run; None if nothing is known."""
    try:
        problem: Problem = json.loads(_path(home, name).read_text())
    except (OSError, ValueError):
        return None
    return problem


def forget(home: Path, *names: str) -> None:
    """Forget the problems of these processes, or of all."""
    for name in names or NAMES:
        _path(home, name).unlink(missing_ok=True)


def hopeless(home: Path) -> str | None:
    """Give the reason why the stack will not become ready, if it is known: that of the process which the others need most."""
    for name in NAMES:
        problem = read(home, name)
        if problem is not None and (problem["permanent"] or problem["failures"] >= HOPELESS_FAILURES):
            return problem["reason"]
    return None


def _path(home: Path, name: str) -> Path:
    return home / "run" / f"{name}.problem"
