"""What the keeper does with a release that is not closed: leave it, wake it, start it again, or settle it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

AFTER_CRASH = timedelta(seconds=6)  # a worker's late report would mark an earlier attempt Crashed again
STUCK_PENDING = timedelta(seconds=60)
STUCK_CANCELLING = timedelta(seconds=90)
SILENT = timedelta(seconds=95)  # three heartbeats of 30 s and a little
MOST_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """What the keeper knows of one open run.

    Fields:
        state: The type of its state: RUNNING, PAUSED …
        since: When it entered that state (UTC).
        alive: Whether its process runs; None where this machine cannot know.
        heard: When its last heartbeat came (UTC), or None.
        wake_at: When it asked to be woken (UTC), or None.
        stop_requested: Whether a rollback told it to end.
        attempts: How often it was started.
    """

    state: str
    since: datetime
    alive: bool | None
    heard: datetime | None
    wake_at: datetime | None
    stop_requested: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class Care:
    """What to do, and why."""

    act: Literal["leave", "wake", "again", "settle"]
    reason: str


def decide_care(seen: Seen, *, now: datetime) -> Care:
    """Decide what an open run needs.

    Args:
        seen: What is known of it.
        now: The moment (UTC).

    Returns:
        `leave` it, `wake` a waiting one, start it `again`, or `settle` what it left behind.
    """
    age = now - seen.since
    match seen.state:
        case "PAUSED":
            return _care_for_waiting(seen, now)
        case "RUNNING" if _is_dead(seen, now):
            return _again(seen, "its process is gone")
        case "CRASHED" if age >= AFTER_CRASH:
            return _again(seen, "its process ended without a word")
        case "PENDING" if age >= STUCK_PENDING and seen.alive is not True:
            return _again(seen, f"it was handed out {age.seconds} s ago and never began")
        case "CANCELLING" if age >= STUCK_CANCELLING and _is_dead(seen, now):
            return Care("settle", "its cancellation was never carried out")
        case "CANCELLED" | "FAILED" | "COMPLETED" if age >= AFTER_CRASH and seen.alive is not True:
            return Care("settle", f"it ended as {seen.state.lower()} with its record open")
    return Care("leave", f"{seen.state.lower()} is as it should be")


def died_just_now(seen: Seen, *, now: datetime) -> bool:
    """Say whether a run crashed so lately that it is only to be started again in a moment."""
    return seen.state == "CRASHED" and now - seen.since < AFTER_CRASH


def _care_for_waiting(seen: Seen, now: datetime) -> Care:
    if seen.stop_requested:
        return Care("wake", "a rollback told it to end")
    if seen.wake_at is not None and now >= seen.wake_at:
        return Care("wake", "the time it waited for has come")
    return Care("leave", "it waits")


def _is_dead(seen: Seen, now: datetime) -> bool:
    if seen.alive is not None:
        return not seen.alive
    return now - max(seen.since, seen.heard or seen.since) >= SILENT


def _again(seen: Seen, why: str) -> Care:
    if seen.attempts >= MOST_ATTEMPTS:
        return Care("settle", f"{why}, for the {seen.attempts}th time")
    return Care("again", why)
