"""Change log: the changes of a version, for approvers, and the refusal of a release without any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from blocks.outside_text import OutsideText

Direction = Literal["first", "upgrade", "downgrade", "sideways", "same"]
CAREFUL_FIRST: tuple[Direction, ...] = ("sideways", "downgrade", "first", "upgrade", "same")
MAX_COMMITS = 500
DIRECTIONS: dict[Direction, str] = {
    "first": "the first deployment: nothing runs yet, so this is the whole history",
    "upgrade": "an upgrade: the new version is built on the running one",
    "downgrade": "a downgrade: the new version is older than the running one and reverts changes",
    "sideways": "the versions lie on two branches",
    "same": "both versions are the same commit",
}


@dataclass(frozen=True)
class Commit:
    """One commit.

    Fields:
        hash: Its full name in Git.
        author: Who wrote it.
        at: When it was written, in seconds since the epoch, UTC.
        subject: Its first line.
    """

    hash: str
    author: OutsideText
    at: int
    subject: OutsideText


@dataclass(frozen=True)
class ChangeLog:
    """Changes between the running and the new version.

    Fields:
        from_version: The running version, or None without one.
        to_version: The new version.
        direction: The relation of the two.
        commits: The added commits, newest first, at most 500.
        taken_back: The reverted commits, newest first, at most 500.
        more: Whether one of the two was cut off.
        differs: Whether the files themselves differ; commits may undo each other, and a merge may drop what no commit does.
    """

    from_version: str | None
    to_version: str
    direction: Direction
    commits: tuple[Commit, ...]
    taken_back: tuple[Commit, ...] = ()
    more: bool = False
    differs: bool = True


def direction_of(*, from_commit: str | None, to_commit: str, base: str | None) -> Direction:
    """Return the relation of two versions.

    Args:
        from_commit: The running version's commit, or None without one.
        to_commit: The new version's commit.
        base: The merge base, or None without one.

    Returns:
        The direction.
    """
    if from_commit is None:
        return "first"
    if from_commit == to_commit:
        return "same"
    if base == from_commit:
        return "upgrade"
    return "downgrade" if base == to_commit else "sideways"


def join_changes(logs: Sequence[ChangeLog]) -> ChangeLog:
    """Merge the changes of one version against several running ones, so that an approval covers every change of every target.

    Args:
        logs: At least one, all to the same version.

    Returns:
        The one log; of several every commit once, those of the longest first, under the direction that takes most care.
    """
    if len(logs) == 1:
        return logs[0]
    longest = sorted(logs, key=lambda log: -len(log.commits))
    brings = tuple(dict.fromkeys(commit for log in longest for commit in log.commits))
    takes = tuple(dict.fromkeys(commit for log in longest for commit in log.taken_back))
    return ChangeLog(
        " and ".join(log.from_version or "nothing" for log in logs),
        logs[0].to_version,
        min((log.direction for log in logs), key=CAREFUL_FIRST.index),
        brings[:MAX_COMMITS],
        takes[:MAX_COMMITS],
        more=any(log.more for log in logs) or max(len(brings), len(takes)) > MAX_COMMITS,
        differs=any(log.differs for log in logs),
    )


def describe(log: ChangeLog) -> str:
    """Return the relation of the two versions, and what of the running one is reverted."""
    if log.direction != "sideways":
        return DIRECTIONS[log.direction]
    lost = "changes that run now are reverted" if log.taken_back else "every commit of the running one is in the new one, too, by its patch"
    return f"{DIRECTIONS[log.direction]}: {lost}"


def judge_changes(log: ChangeLog, *, allow_empty: bool) -> str | None:
    """Return why a release is refused for these changes, or None.

    Args:
        log: The changes.
        allow_empty: Whether the plan allows a release without any change.
    """
    is_empty = not log.differs or (log.direction in {"first", "same"} and not log.commits)
    if is_empty and not allow_empty:
        where = log.from_version or "nothing"
        return (
            f"nothing changes between {where} and {log.to_version} ({describe(log)}). "
            "Release a version with changes, widen `change_log.paths`, or set `change_log.allow_empty: true`."
        )
    return None
