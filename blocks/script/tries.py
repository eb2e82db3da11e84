"""Rules of runs: whose the newest one is, how one more begins, and what a rollback owes before, during and after a script."""

from __future__ import annotations

from typing import NamedTuple

from blocks.errors import WorldMoved
from blocks.platform import Lease, Position
from blocks.script.run import Ended
from blocks.script.state import Notes, Run, act_of
from blocks.script.words import ALL_PERCENT, OWED, Act, Effect


class Again(NamedTuple):
    """How a run begins: after how many that failed, and whether with rotated secrets."""

    failed_before: int = 0
    is_renewed: bool = False


FIRST = Again()


class Ours(NamedTuple):
    """The newest run, if it is of the effect and of who acts now, and how it ended."""

    run: Run
    ended: Ended

    @property
    def failed(self) -> int:
        """How often the script failed, if this run did, too."""
        return self.run.get("failed_before", 0) + 1


def ours_of(run: Run | None, ended: Ended | None, act: Act, lease: Lease, *, is_new: bool) -> Ours | None:
    """Give the newest run if it is ours; one that asked for another try is not, unless it is new: then that is to be told."""
    if run is None or ended is None or not _is_by(run, act, lease) or not ended.has_begun:
        return None
    return Ours(run, ended) if is_new or not ended.asks_again else None


def has_failed(notes: Notes, ended: Ended | None, lease: Lease, act: Act | None = None) -> bool:
    """Say whether the newest run is a script of this owner that failed: what it left is for the plan or people, who may let it run again.

    Args:
        notes: What is noted.
        ended: How the newest run ended.
        lease: Who acts now.
        act: What it was to bring about; None is any effect that moves the release forward.
    """
    if (run := notes["run"]) is None or ended is None or not ended.has_begun or (ended.is_known and ended.exit_code == 0):
        return False
    return _is_by(run, act or act_of(run), lease) and (act is not None or act_of(run).is_forward)


def failed_before(run: Run | None, act: Act, lease: Lease) -> int:
    """Give how often a script failed before its newest run, which may have asked for another one since, or never begun."""
    return run.get("failed_before", 0) if run is not None and _is_by(run, act, lease) else 0


def as_replaced(notes: Notes, version: str, position: Position, *, rolls_back: bool) -> Position:
    """Give a position in which what others deployed is the baseline, if a rollback returns to the version that they replaced.

    A rollback chooses to bring the noted baseline only then. Unless it did so already, its scripts run.

    Raises:
        WorldMoved: `status` does not name what replaced it any more, so what is left is not known.
    """
    run, is_back = notes["run"], rolls_back and notes.get("rollback", False) and notes["canary"] is None
    has_brought = run is not None and (run["owner"], run["version"]) == (notes["owner"], version)
    if version != position["baseline"] or not is_back or has_brought:
        return position
    if not (other := position.get("instead")):
        raise WorldMoved(f"`status` does not name what replaced {version} any more, so no script was run; look at it, then ask again")
    return {**position, "baseline": other}


def is_owed(notes: Notes, act: Act, ended: Ended | None) -> bool:
    """Say whether a rollback runs a script whatever `status` says, as the bad version may answer it, and none has done it yet.

    That is `rollback` if a script acted for the canary, and what brings a version that the rollback itself prepared into service.
    """
    run = notes["run"]
    if run is not None and act_of(run) == act and ended is not None and ended.is_known and ended.exit_code == 0:
        return False
    if act.effect == "rollback":
        return notes["touched"]
    return act.effect in notes.get("owed", ()) and not _is_to_nothing(act)


def still_owed(notes: Notes, act: Act) -> list[Effect]:
    """Give what is owed once a script begins: what comes before it in the order is not any more, and what comes after it is again."""
    owed = notes.get("owed", [])
    if not owed or act.effect not in OWED or (_is_to_nothing(act) and OWED[0] in owed):
        return owed
    return [*OWED[OWED.index(act.effect) :]]


def owed_after(notes: Notes, act: Act) -> list[Effect]:
    """Give what is owed once an effect is brought about: what has all requests owes `shift` no more, and what lost some owes it again."""
    owed = notes.get("owed", [])
    if act.effect != "shift" or not owed or OWED[0] in owed:
        return owed
    return [*OWED[2:]] if act.percent == ALL_PERCENT else [*OWED[1:]]


def _is_by(run: Run, act: Act, lease: Lease) -> bool:
    return act_of(run) == act and run["owner"] == lease["owner"]


def _is_to_nothing(act: Act) -> bool:
    return act.effect == "shift" and not act.percent
