"""Whether what a rollback chose still holds when it is tried again, as its process died or a platform was silent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tasks.rules.rollout.left import Left
from tasks.rules.rollout.rollback import RollbackChoice
from tasks.rules.rollout.version_name import VersionName, is_alike


def is_overtaken_by(
    left: Left | None, choice: RollbackChoice, then: Mapping[str, Any], *, run: str, at: datetime, of_rollback: bool
) -> bool:
    """Say whether another run left something here since a rollback chose, and went another way.

    A release that was aborted over the version that is to be left changed nothing about that.

    Args:
        left: What that run left.
        choice: What the rollback chose.
        then: What the environment ran then.
        run: The rollback.
        at: When it chose.
        of_rollback: Whether the other run is a rollback on demand.
    """
    if left is None or left.run == run or left.at is None or left.at <= at:
        return False
    leaves, target = _leaves(choice, then), choice.version
    if target is not None and is_alike(left.serves, target, besides=leaves):
        return False
    return of_rollback or not leaves or not is_alike(left.serves, leaves, besides=target or "")


def put_there_since(position: Mapping[str, Any], choice: RollbackChoice, then: Mapping[str, Any]) -> str | None:
    """Name what runs in an environment and was neither there when a rollback chose, nor is what it brings; None if all is known.

    What is started beside the version that it is to leave does not count: that one serves still.

    Args:
        position: What runs there now.
        choice: What the rollback chose.
        then: What ran there then.
    """
    baseline, canary, leaves = position["baseline"], position["canary"], _leaves(choice, then)
    names = (then["baseline"], then["canary"], then.get("previous"), choice.version)
    known = {VersionName.of(name).source for name in names if name}
    if baseline and VersionName.of(baseline).source not in known:
        return str(baseline)
    if leaves and is_alike(baseline, leaves, besides=choice.version or ""):
        return None
    return str(canary) if canary and VersionName.of(canary).source not in known else None


def _leaves(choice: RollbackChoice, then: Mapping[str, Any]) -> str:
    """Name the version that serves until a rollback is done; "" if what it returns to serves already."""
    return str(then["baseline"] or "") if choice.kind == "redeploy" else ""
