"""The course of a commit through a GitOps engine: what its state means for whoever follows the commit. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Step = Literal["done", "failed", "lost", "sync", "refresh", "wait"]


@dataclass(frozen=True)
class State:
    """What an engine says, as far as it decides; the fields are those of `Observed`.

    Fields:
        contained: Whether the revision is the commit or a descendant of it; None if there is no revision.
        confirmed: Whether the same fault was already there before the last look at Git, which began after the commit.
        asked: Whether a sync of the revision was asked for already.
        lost: Whether the branch no longer contains the commit, which was in it before; not only for a moment.
    """

    revision: str
    synced: bool
    operation: str | None
    automatic: bool
    fault: str
    temporary: bool
    waiting: str
    contained: bool | None
    confirmed: bool
    asked: bool
    lost: bool


def next_step(state: State) -> Step:
    """Decide what to do about a commit.

    A fault counts if it is of this commit: the revision contains it, or there is no revision, and a fresh look at Git gave the same. What
    was wrong with another revision says nothing of this one.

    Returns:
        `done`, `failed`, `lost` if the history was rewritten, `sync` to start a sync of the revision, `refresh` to have the engine look at
        Git, or `wait`.
    """
    fatal = bool(state.fault) and not state.temporary
    if state.contained is None:
        return "failed" if fatal and state.confirmed else "refresh"
    if not state.contained:
        return "lost" if state.lost else "refresh"
    if state.operation is not None:
        return "wait"
    if not state.automatic and not state.asked and (fatal or not state.synced):  # what failed before may be tried again by this release
        return "wait" if state.waiting else "sync"
    if fatal:
        return "failed"
    if state.synced:
        return "done"
    return "wait" if state.waiting else "refresh"
