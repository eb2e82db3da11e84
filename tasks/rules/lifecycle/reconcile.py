"""What the keeper does with a release that is not closed: leave it, wake it, start it again, settle it; and with others that died."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

AFTER_CRASH = timedelta(seconds=6)  # a worker's late report would mark an earlier attempt Crashed again
STUCK_PENDING = timedelta(seconds=60)
STUCK_CANCELLING = timedelta(seconds=90)
JOB_PENDING = timedelta(seconds=180)  # a Job may take two minutes to start
SILENT = timedelta(seconds=95)  # three heartbeats of 30 s and a little
UNMARKED = timedelta(seconds=180)  # for so long a process that a worker started counts as a run's before it has written itself
MOST_ATTEMPTS = 8
MOST_CHOICES = 3  # times that a choice of a candidate is started again
FAR_AHEAD = timedelta(seconds=60)  # a run that began is due at once, or within the 30 s after which a worker asks again for a free place
OVERDUE = timedelta(minutes=5)  # a worker asks every few seconds; a run in no queue, or a paused one, is taken by none
MOST_TURN = timedelta(minutes=15)  # for so long a canary may keep its share while its release waits for its turn in a queue that is full
LATE = timedelta(seconds=60)  # a keeper that has not done its work for so long is missing
ENDED = {"CANCELLED", "FAILED", "COMPLETED"}
TO_SETTLE = {"CANCELLING", "DELETED"} | ENDED  # states in which a run whose process is gone is not started again
AT_WORK = {"PENDING", "RUNNING", "CRASHED"} | TO_SETTLE  # states in which a process acts, or did


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the keeper knows of one open run.

    Fields:
        state: The type of its state: RUNNING, PAUSED …
        since: When it entered that state (UTC).
        alive: Whether the process that is written on it runs; None if this machine cannot know.
        marked: When that process was written on it (UTC), or None. One that was written before `since` belongs to an earlier attempt: the
            process of this one has not written itself yet, or died before it could.
        as_job: Whether it starts elsewhere, as a Job of a cluster, and not as a process beside its worker.
        is_rollback: Whether it is a rollback on demand, which never waits for anything.
        heard: When its last heartbeat came (UTC), on the server or beside the key, or None.
        wake_at: When it asked to be woken (UTC), or None.
        stop_requested: Whether a rollback requested that it stops.
        attempts: How often it was started, by its own fields or by what is kept beside the key, whichever is more.
        begun: Whether it has a record.
        gone: Since when it is at work and its process, as it is kept, is gone or has given no new sign of life beside the key (UTC), or
            None. The keeper saw this itself; states, heartbeats and process numbers are what others may have written.
        queue_full: Whether it waits for its turn, as its queue's limit is reached by runs that live.
        exposed: Whether a canary of it has a share of production, by its record.
        idle: Since when the keeper has seen it Scheduled and due (UTC), or None; its state is new each time that others write one.
        waits: Whether its record says that it waits: its last entry is a question, or says what for; None if that cannot be read now.
        due: When it is to start (UTC), if it is Scheduled.
        hold_changed: Whether what held it when it was suspended changed since: a freeze was lifted or set, or a policy was changed.
    """

    state: str
    since: datetime
    alive: bool | None
    heard: datetime | None
    wake_at: datetime | None
    stop_requested: bool
    attempts: int
    marked: datetime | None = None
    as_job: bool = False
    is_rollback: bool = False
    begun: bool = False
    waits: bool | None = None
    due: datetime | None = None
    hold_changed: bool = False
    gone: datetime | None = None
    queue_full: bool = False
    exposed: bool = False
    idle: datetime | None = None


@dataclass(frozen=True, slots=True)
class Care:
    """What to do, and why.

    Fields:
        act: What.
        reason: Why.
        counts: Whether it counts as one of the few times that a run is started again.
    """

    act: Literal["leave", "wake", "again", "settle", "end"]
    reason: str
    counts: bool = False


def decide_care(seen: RunFacts, *, now: datetime) -> Care:
    """Decide what an open run needs.

    Args:
        seen: What is known of it.
        now: The moment (UTC).

    Returns:
        `leave` it, `wake` a waiting one, start it `again`, or `settle` what it left behind.
    """
    if is_known_dead(seen, now=now):
        why = "its process has given no sign of life for minutes, despite later state changes"
        return Care("settle", why) if seen.state in TO_SETTLE else _again(seen, why)
    if seen.state == "PAUSED":
        return _care_for_waiting(seen, now)
    if may_live(seen, now=now):
        return _leave(seen)
    return _care_for_scheduled(seen, now) if seen.state == "SCHEDULED" else _care_for_dead(seen, now)


def may_live(seen: RunFacts, *, now: datetime) -> bool:
    """Say if a process acts for a run, or may: the one measure for what starts it again and for what settles it.

    What this machine cannot see lives for as long as it is heard of, and no longer than `is_known_dead` allows: heartbeats can be forged.

    Args:
        seen: What is known of it.
        now: The moment (UTC).
    """
    if is_known_dead(seen, now=now):
        return False
    if seen.alive:
        return True
    age = now - seen.since
    match seen.state:
        case "RUNNING" | "CANCELLING":
            return not _is_dead(seen, now)
        case "PENDING":
            return age < (JOB_PENDING if seen.as_job else STUCK_PENDING)
        case "SCHEDULED":
            return not (_is_put_off(seen, now) or _lateness(seen, now) >= OVERDUE)
        case "CRASHED":
            return _shows_life(seen, now)
        case "DELETED":
            return seen.alive is None and seen.heard is not None and now - seen.heard < SILENT
        case state if state in ENDED:  # which others can write while it works
            return seen.alive is None and _shows_life(seen, now)
    return False


def is_known_dead(seen: RunFacts, *, now: datetime) -> bool:
    """Say if a run's process is gone for so long that a new one would have written itself: then no heartbeat and no new state counts."""
    longest = (JOB_PENDING if seen.as_job else STUCK_PENDING) + UNMARKED
    return seen.state in AT_WORK and seen.gone is not None and now - seen.gone >= longest


def wants_second_look(seen: RunFacts, *, now: datetime) -> bool:
    """Say if a run is to be looked at again a moment later: it has just crashed, or it is Running and looks dead."""
    just_crashed = seen.state == "CRASHED" and now - seen.since < AFTER_CRASH
    return just_crashed or (seen.state == "RUNNING" and decide_care(seen, now=now).act != "leave")


def decide_at_second_look(first: RunFacts | None, second: RunFacts, *, apart: timedelta, now: datetime) -> Care:
    """Decide what an open run needs, with a Running one only if it looked dead twice and nothing changed in between.

    Args:
        first: What was known of it at the first look; None if it was not open then.
        second: What is known now.
        apart: The time between the looks.
        now: The moment of the second look (UTC).
    """
    care = decide_care(second, now=now)
    if second.state != "RUNNING" or care.act == "leave" or is_known_dead(second, now=now):
        return care
    same = first is not None and (first.state, first.since, first.marked) == (second.state, second.since, second.marked)
    if first is None or not same or apart < AFTER_CRASH or decide_care(first, now=now - apart).act == "leave":
        return Care("leave", f"{care.reason}, as it seems; that is looked at once more")
    return care


def decide_stray(seen: RunFacts, *, now: datetime) -> Care:
    """Decide what a run without a record of its own needs, as a verification or the keeper: `leave` it, or `end` it if its process died.

    Args:
        seen: What is known of it.
        now: The moment (UTC).
    """
    match seen.state:
        case "PENDING" if now - seen.since >= JOB_PENDING and seen.alive is not True:
            return Care("end", "it was handed out and never began")
        case "RUNNING" | "CANCELLING" if _is_dead(seen, now):
            return Care("end", "its process is gone")
    return _leave(seen)


def chooses_again(since: datetime, latest: datetime | None, *, crashes: int, now: datetime) -> bool:
    """Say if a choice of a candidate that crashed is started again: a moment later, a few times, and while its release may still begin.

    Args:
        since: When it crashed (UTC).
        latest: Until when its release may begin production; None if that is not known.
        crashes: How often it crashed.
        now: The moment (UTC).
    """
    return latest is not None and now <= latest and now - since >= AFTER_CRASH and crashes <= MOST_CHOICES


def will_be_done(state: str, *, due: datetime | None, now: datetime) -> bool:
    """Say if a run that was asked for is under way, or about to begin: one that ended, waits or was put off does nothing.

    Args:
        state: The type of its state.
        due: When it is due, if it is scheduled.
        now: The moment (UTC).
    """
    if state == "SCHEDULED":
        return due is None or due - now <= FAR_AHEAD
    return state in {"PENDING", "RUNNING"}


def is_late(last: datetime | None, *, now: datetime) -> bool:
    """Say if the keeper is missing: it has not done its work for a minute, or never did (`last` is None).

    A note of the future, from before the clock was set, says nothing.
    """
    return last is None or abs(now - last) >= LATE


def _care_for_waiting(seen: RunFacts, now: datetime) -> Care:
    by_others = seen.is_rollback or (seen.begun and seen.waits is False)
    if by_others and seen.attempts >= MOST_ATTEMPTS and seen.alive is not True:
        return Care("settle", "it was suspended again and again, and its record has no wait")
    if seen.stop_requested:
        return Care("wake", "a rollback requested that it stops")
    if seen.is_rollback:
        return Care("wake", "it was suspended, and a rollback waits for nothing", counts=True)
    if seen.wake_at is not None and now >= seen.wake_at:
        return Care("wake", "the time it waited for has come")
    if seen.begun and seen.waits is False and (seen.alive is not True or now - seen.since >= STUCK_CANCELLING):
        return Care("wake", "it was suspended, and its record has no wait", counts=True)
    if seen.hold_changed:
        return Care("wake", "what holds it was changed: a freeze, a policy, or whose turn it is")
    return Care("leave", "it waits")


def _care_for_dead(seen: RunFacts, now: datetime) -> Care:
    age = now - seen.since
    match seen.state:
        case "DELETED":
            return Care("settle", "it was deleted from the server, and its record is open")
        case "RUNNING":
            return _again(seen, "its process is gone")
        case "CRASHED" if age >= AFTER_CRASH:
            return _again(seen, "its process crashed")
        case "PENDING":
            return _again(seen, f"it was handed out {age.total_seconds():.0f} s ago and never began")
        case "CANCELLING" if age >= STUCK_CANCELLING:
            return Care("settle", "its cancellation was never carried out")
        case state if state in ENDED and age >= AFTER_CRASH:
            return Care("settle", f"it ended as {state.lower()} with its record open")
    return _leave(seen)


def _care_for_scheduled(seen: RunFacts, now: datetime) -> Care:
    if seen.begun:
        if _is_put_off(seen, now):
            return _again(seen, "it had begun, and was put off to a later time")
        late = _lateness(seen, now)
        if not seen.queue_full or (seen.exposed and late >= MOST_TURN):
            return Care("settle", f"it had begun, and no worker has taken it for {late.total_seconds() // 60:.0f} minutes")
    return _leave(seen)


def _is_put_off(seen: RunFacts, now: datetime) -> bool:
    return seen.due is not None and seen.due - now > FAR_AHEAD


def _lateness(seen: RunFacts, now: datetime) -> timedelta:
    """Give for how long a worker could have taken a run, by its state or by what the keeper saw itself, whichever is longer."""
    if seen.due is None:
        return timedelta(0)
    return now - min(max(seen.due, seen.since), seen.idle or now)  # one that starts again is due when it was due at first


def _leave(seen: RunFacts) -> Care:
    return Care("leave", f"{seen.state.lower()} is as it should be")


def _is_dead(seen: RunFacts, now: datetime) -> bool:
    if seen.alive is False and seen.marked is not None and seen.marked >= seen.since:
        return True
    return seen.alive is not True and now - max(seen.since, seen.heard or seen.since) >= SILENT


def _shows_life(seen: RunFacts, now: datetime) -> bool:
    """Say if a run that was reported as crashed goes on: its process runs, or sent a heartbeat since."""
    return seen.alive is True or (seen.heard is not None and seen.heard > seen.since and now - seen.heard < SILENT)


def _again(seen: RunFacts, why: str) -> Care:
    if seen.attempts >= MOST_ATTEMPTS:
        return Care("settle", f"{why}, for the {seen.attempts}th time")
    return Care("again", why, counts=True)
