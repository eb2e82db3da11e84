"""What the keeper does with an open run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.lifecycle.reconcile import (
    AFTER_CRASH,
    AT_WORK,
    FAR_AHEAD,
    JOB_PENDING,
    LATE,
    MOST_ATTEMPTS,
    MOST_TURN,
    OVERDUE,
    SILENT,
    STUCK_CANCELLING,
    STUCK_PENDING,
    UNMARKED,
    RunFacts,
    decide_at_second_look,
    decide_care,
    decide_stray,
    is_known_dead,
    is_late,
    may_live,
    wants_second_look,
)

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
STATES = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "CANCELLED", "CRASHED", "FAILED", "COMPLETED", "DELETED")
ENDED = ("CANCELLED", "FAILED", "COMPLETED")
MOMENTS = st.integers(min_value=0, max_value=86_400).map(lambda seconds: NOW - timedelta(seconds=seconds))
RUNS = st.builds(
    RunFacts,
    state=st.sampled_from(STATES),
    since=MOMENTS,
    alive=st.sampled_from([True, False, None]),
    heard=st.none() | MOMENTS,
    wake_at=st.none() | st.integers(-3600, 3600).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    stop_requested=st.booleans(),
    attempts=st.integers(0, 20),
    marked=st.none() | MOMENTS,
    as_job=st.booleans(),
    is_rollback=st.booleans(),
    begun=st.booleans(),
    waits=st.sampled_from([True, False, None]),
    due=st.none() | st.integers(-3600, 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    queue_full=st.booleans(),
    exposed=st.booleans(),
    idle=st.none() | MOMENTS,
)
RUNS_THAT_MAY_BE_GONE = st.builds(lambda seen, gone: replace(seen, gone=gone), RUNS, st.none() | MOMENTS)


def run(state: str, *, age: float = 3600, **seen: Any) -> RunFacts:
    """Describe a run that has been in a state for so many seconds."""
    facts: dict[str, Any] = {"alive": None, "heard": None, "wake_at": None, "stop_requested": False, "attempts": 1}
    return RunFacts(state=state, since=NOW - timedelta(seconds=age), **(facts | seen))


SOON, PAST = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("seen", "act"),
    [
        (run("PAUSED"), "leave"),
        (run("PAUSED", wake_at=SOON), "leave"),
        (run("PAUSED", wake_at=NOW), "wake"),
        (run("PAUSED", wake_at=PAST, alive=False), "wake"),
        (run("PAUSED", stop_requested=True, wake_at=SOON), "wake"),
        (run("PAUSED", hold_changed=True, wake_at=SOON), "wake"),
        (run("RUNNING", hold_changed=True, alive=True), "leave"),
        (run("RUNNING", alive=True, heard=None), "leave"),
        (run("RUNNING", alive=False, age=0, marked=NOW), "again"),
        (run("RUNNING", alive=False, age=94, marked=NOW - timedelta(seconds=95)), "leave"),
        (run("RUNNING", alive=False, age=94), "leave"),
        (run("RUNNING", alive=False, age=95), "again"),
        (run("RUNNING", alive=False, age=3600, heard=NOW - timedelta(seconds=60)), "leave"),
        (run("RUNNING", heard=NOW - timedelta(seconds=60)), "leave"),
        (run("RUNNING", heard=NOW - SILENT), "again"),
        (run("RUNNING", age=94), "leave"),
        (run("RUNNING", age=94, heard=NOW - timedelta(days=1)), "leave"),
        (run("RUNNING", alive=False, attempts=MOST_ATTEMPTS), "settle"),
        (run("CRASHED", age=5), "leave"),
        (run("CRASHED", age=6), "again"),
        (run("CRASHED", attempts=MOST_ATTEMPTS), "settle"),
        (run("CRASHED", alive=True), "leave"),
        (run("CRASHED", age=60, heard=NOW - timedelta(seconds=59)), "leave"),
        (run("CRASHED", age=6, heard=NOW - timedelta(seconds=7)), "again"),
        (run("PENDING", age=59), "leave"),
        (run("PENDING", age=60), "again"),
        (run("PENDING", age=60, alive=True), "leave"),
        (run("PENDING", age=179, as_job=True), "leave"),
        (run("PENDING", age=180, as_job=True), "again"),
        (run("SCHEDULED"), "leave"),
        (run("SCHEDULED", begun=True, due=NOW + timedelta(seconds=60)), "leave"),
        (run("SCHEDULED", begun=True, due=NOW + timedelta(seconds=61)), "again"),
        (run("SCHEDULED", begun=True, due=NOW + timedelta(seconds=61), alive=True), "leave"),
        (run("SCHEDULED", begun=True, due=NOW + timedelta(days=27_000), stop_requested=True, is_rollback=True), "again"),
        (run("SCHEDULED", begun=True, due=NOW + timedelta(days=1), attempts=MOST_ATTEMPTS), "settle"),
        (run("SCHEDULED", due=NOW + timedelta(days=1)), "leave"),
        (run("SCHEDULED", begun=True, due=NOW - OVERDUE), "settle"),
        (run("SCHEDULED", begun=True, due=NOW - OVERDUE, alive=True), "leave"),
        (run("SCHEDULED", begun=True, due=NOW - OVERDUE, queue_full=True), "leave"),
        (run("SCHEDULED", begun=True, due=NOW - MOST_TURN, queue_full=True), "leave"),
        (run("SCHEDULED", begun=True, due=NOW - MOST_TURN, queue_full=True, exposed=True), "settle"),
        (run("SCHEDULED", begun=True, due=NOW - MOST_TURN + timedelta(seconds=1), queue_full=True, exposed=True), "leave"),
        (run("SCHEDULED", begun=True, due=NOW, age=1, idle=NOW - OVERDUE), "settle"),
        (run("SCHEDULED", begun=True, due=NOW, age=1, idle=NOW - OVERDUE + timedelta(seconds=1)), "leave"),
        (run("SCHEDULED", begun=True, due=NOW, age=1, idle=NOW - MOST_TURN, queue_full=True, exposed=True), "settle"),
        (run("SCHEDULED", begun=True, due=NOW - OVERDUE, age=299), "leave"),
        (run("SCHEDULED", begun=True, due=NOW - OVERDUE + timedelta(seconds=1)), "leave"),
        (run("SCHEDULED", begun=False, due=NOW - timedelta(days=1)), "leave"),
        (run("PAUSED", begun=True, waits=False), "wake"),
        (run("PAUSED", begun=True, waits=False, wake_at=SOON), "wake"),
        (run("PAUSED", begun=True, waits=False, alive=True, age=89), "leave"),
        (run("PAUSED", begun=True, waits=False, alive=True, age=90), "wake"),
        (run("PAUSED", begun=True, waits=False, attempts=MOST_ATTEMPTS), "settle"),
        (run("PAUSED", is_rollback=True, attempts=MOST_ATTEMPTS - 1), "wake"),
        (run("PAUSED", is_rollback=True, attempts=MOST_ATTEMPTS), "settle"),
        (run("PAUSED", is_rollback=True, attempts=MOST_ATTEMPTS, alive=True), "wake"),
        (run("PAUSED", begun=True, waits=True, attempts=99, wake_at=PAST), "wake"),
        (run("PAUSED", begun=True, waits=True), "leave"),
        (run("PAUSED", begun=True, waits=None), "leave"),
        (run("PAUSED", begun=False, waits=False), "leave"),
        (run("DELETED", age=0, begun=True), "settle"),
        (run("DELETED", age=0, begun=True, alive=False), "settle"),
        (run("DELETED", begun=True, alive=True), "leave"),
        (run("DELETED", begun=True, heard=NOW - timedelta(seconds=94)), "leave"),
        (run("DELETED", begun=True, heard=NOW - SILENT), "settle"),
        (run("CANCELLING", age=89, alive=False), "leave"),
        (run("CANCELLING", age=90, alive=False, marked=NOW), "settle"),
        (run("CANCELLING", age=90, alive=False), "leave"),
        (run("CANCELLING", age=95, alive=False), "settle"),
        (run("CANCELLING", age=3600, alive=True), "leave"),
        *((run(state, age=5), "leave") for state in ENDED),
        *((run(state, age=6), "settle") for state in ENDED),
        *((run(state, alive=True), "leave") for state in ENDED),
        *((run(state, age=60, heard=NOW - timedelta(seconds=59)), "leave") for state in ENDED),
        *((run(state, age=60, alive=False, heard=NOW - timedelta(seconds=59)), "settle") for state in ENDED),
        *((run(state, age=60, heard=NOW - timedelta(seconds=61)), "settle") for state in ENDED),
    ],
)
def test_a_run_gets_the_care_it_needs(seen: RunFacts, act: str) -> None:
    """Waiting ones are woken at their time, dead ones start again, ended ones with an open record are settled."""
    assert decide_care(seen, now=NOW).act == act


@given(RUNS)
def test_a_living_process_is_never_disturbed(seen: RunFacts) -> None:
    """Two owners of one release would be worse than none: where the process lives, only a wait is ended."""
    if seen.alive and seen.state != "PAUSED":
        assert decide_care(seen, now=NOW).act == "leave"


@given(RUNS)
def test_a_waiting_run_is_only_ever_woken(seen: RunFacts) -> None:
    """A gate is not ended by the keeper but by the release itself, which knows why."""
    if seen.state == "PAUSED":
        due = seen.stop_requested or seen.is_rollback or (seen.wake_at is not None and seen.wake_at <= NOW)
        held = seen.begun and seen.waits is False
        if held and not due and seen.alive:
            return  # its process is let end first
        if (held or seen.is_rollback) and seen.attempts >= MOST_ATTEMPTS and not seen.alive:
            assert decide_care(seen, now=NOW).act == "settle"
            return
        due = due or held
        assert decide_care(seen, now=NOW).act == ("wake" if due else "leave")


@given(RUNS)
def test_what_others_may_cause_for_ever_is_counted(seen: RunFacts) -> None:
    """The end of a wait is not: a release may look every 30 s whether its turn has come."""
    care = decide_care(seen, now=NOW)
    assert care.counts == (care.act == "again") or (care.act == "wake" and (seen.is_rollback or seen.waits is False))


@given(RUNS)
def test_nothing_starts_again_for_ever(seen: RunFacts) -> None:
    """What died often enough is settled."""
    if seen.attempts >= MOST_ATTEMPTS:
        assert decide_care(seen, now=NOW).act != "again"


@given(RUNS)
def test_a_heartbeat_within_the_silence_keeps_a_far_run_alive(seen: RunFacts) -> None:
    """Where this machine cannot look at the process, its word counts."""
    if seen.state == "RUNNING" and seen.alive is None and seen.heard and NOW - seen.heard < SILENT:
        assert decide_care(seen, now=NOW).act == "leave"


@given(RUNS, st.integers(0, 3600))
def test_an_act_that_was_right_stays_right_while_nothing_changes(seen: RunFacts, seconds: int) -> None:
    """A keeper that comes later, or twice, decides the same; only a start that others put far off is left alone once it is near."""
    later = NOW + timedelta(seconds=seconds)
    act = decide_care(seen, now=NOW).act
    near = seen.state == "SCHEDULED" and seen.due is not None and seen.due - later <= FAR_AHEAD
    assert act in {"leave", decide_care(seen, now=later).act} or (act == "again" and near)


@pytest.mark.parametrize(
    ("seen", "act"),
    [
        (run("PENDING", age=179), "leave"),
        (run("PENDING", age=180), "end"),
        (run("PENDING", alive=True), "leave"),
        (run("RUNNING", age=94), "leave"),
        (run("RUNNING", age=95), "end"),
        (run("RUNNING", alive=True), "leave"),
        (run("RUNNING", heard=NOW - timedelta(seconds=94)), "leave"),
        (run("CANCELLING", age=95), "end"),
        (run("SCHEDULED"), "leave"),
    ],
)
def test_a_run_without_a_record_is_ended_when_its_process_died(seen: RunFacts, act: str) -> None:
    """Nothing takes its work up again, but it must not count as under way for ever."""
    assert decide_stray(seen, now=NOW).act == act


GONE = STUCK_PENDING + UNMARKED


@pytest.mark.parametrize(
    ("seen", "act"),
    [
        *((run(state, age=1, alive=False, heard=NOW, gone=NOW - GONE), "again") for state in ("PENDING", "RUNNING", "CRASHED")),
        *((run(state, age=1, heard=NOW, gone=NOW - GONE + timedelta(seconds=1)), "leave") for state in ("PENDING", "RUNNING", "CRASHED")),
        (run("RUNNING", age=1, alive=True, gone=NOW - GONE), "again"),
        (run("RUNNING", age=1, gone=NOW - GONE, as_job=True), "leave"),
        (run("RUNNING", age=1, gone=NOW - JOB_PENDING - UNMARKED, as_job=True), "again"),
        (run("RUNNING", age=1, gone=NOW - GONE, attempts=MOST_ATTEMPTS), "settle"),
        *((run(state, age=1, heard=NOW, gone=NOW - GONE), "settle") for state in ("CANCELLING", "DELETED", *ENDED)),
        *((run(state, age=1, heard=NOW, gone=NOW - GONE + timedelta(seconds=1)), "leave") for state in ("CANCELLING", "DELETED", *ENDED)),
        (run("SCHEDULED", age=1, due=NOW, begun=True, gone=NOW - GONE), "leave"),
        (run("PAUSED", age=1, gone=NOW - GONE), "leave"),
    ],
)
def test_what_is_known_to_be_dead_stays_dead(seen: RunFacts, act: str) -> None:
    """Heartbeats and states are the API's, and a state is new each time that others write one."""
    assert decide_care(seen, now=NOW).act == act
    assert decide_at_second_look(None, seen, apart=timedelta(0), now=NOW).act == act


@given(RUNS_THAT_MAY_BE_GONE)
def test_what_the_keeper_orders_is_what_settle_carries_out(seen: RunFacts) -> None:
    """One measure of life for both: an order that is refused for ever would leave a canary where it is."""
    if decide_care(seen, now=NOW).act in {"again", "settle"}:
        assert not may_live(seen, now=NOW)


@given(RUNS_THAT_MAY_BE_GONE, st.integers(0, 86_400))
def test_an_order_to_settle_holds_while_nothing_changes(seen: RunFacts, seconds: int) -> None:
    """The flow that settles begins a little later, and may have to wait for its turn."""
    later = NOW + timedelta(seconds=seconds)
    near = seen.state == "SCHEDULED" and seen.due is not None and seen.due - later <= FAR_AHEAD  # by then it may be taken
    if decide_care(seen, now=NOW).act == "settle":
        assert near or not may_live(seen, now=later)


@given(RUNS_THAT_MAY_BE_GONE)
def test_a_process_that_is_seen_alive_may_live_unless_it_is_known_to_be_gone(seen: RunFacts) -> None:
    """Two owners of one release are worse than none."""
    if seen.alive:
        assert may_live(seen, now=NOW) != is_known_dead(seen, now=NOW)


@given(RUNS_THAT_MAY_BE_GONE, st.lists(st.integers(1, 60), min_size=30, max_size=60), st.sampled_from([True, None]))
def test_no_heartbeat_and_no_new_state_keeps_a_dead_run_for_ever(seen: RunFacts, pauses: list[int], alive: bool | None) -> None:  # noqa: FBT001
    """Whoever has the API's password can write both all the time; what is kept beside the key stands still meanwhile."""
    now, seen = NOW, replace(seen, gone=NOW, alive=alive)
    for seconds in pauses:
        now += timedelta(seconds=seconds)
        seen = replace(seen, since=now, heard=now)
    if seen.state in AT_WORK and now - NOW >= JOB_PENDING + UNMARKED:
        assert decide_care(seen, now=now).act in {"again", "settle"}


DEAD = run("RUNNING", alive=False, age=10, marked=NOW)


@pytest.mark.parametrize(
    ("first", "apart", "act"),
    [
        (DEAD, 6, "again"),
        (DEAD, 5.9, "leave"),
        (None, 6, "leave"),
        (run("RUNNING", alive=True, age=10, marked=NOW), 6, "leave"),
        (run("RUNNING", alive=False, age=11, marked=NOW), 6, "leave"),
        (run("RUNNING", alive=False, age=10, marked=NOW - timedelta(seconds=1)), 6, "leave"),
        (run("PENDING", age=10), 6, "leave"),
    ],
)
def test_a_running_one_starts_again_only_if_it_looked_dead_twice(first: RunFacts | None, apart: float, act: str) -> None:
    """Nothing may have changed between the looks, and there is time enough between them for a worker's late report."""
    assert wants_second_look(DEAD, now=NOW)
    assert decide_at_second_look(first, DEAD, apart=timedelta(seconds=apart), now=NOW).act == act


@given(RUNS)
def test_only_a_running_one_waits_for_its_second_look(seen: RunFacts) -> None:
    """Whatever else is due is done at once."""
    if seen.state != "RUNNING":
        assert decide_at_second_look(None, seen, apart=timedelta(0), now=NOW) == decide_care(seen, now=NOW)


def test_a_keeper_is_missing_after_a_minute() -> None:
    """One that never did its work is, too."""
    assert not is_late(NOW - LATE + timedelta(seconds=1), now=NOW)
    assert is_late(NOW - LATE, now=NOW)
    assert is_late(None, now=NOW)


def test_a_keeper_whose_last_work_is_in_the_future_is_missing() -> None:
    """The clock was set: until then its absence would not be seen."""
    assert is_late(NOW + LATE, now=NOW)
    assert not is_late(NOW + LATE - timedelta(seconds=1), now=NOW)


@given(RUNS)
def test_every_decision_says_why(seen: RunFacts) -> None:
    """The reason ends up in the run's history."""
    assert decide_care(seen, now=NOW).reason


def test_the_patience_is_shorter_than_what_was_promised() -> None:
    """A dead release is noticed within 60 s beside a worker and 120 s without one, the keeper's own pace included."""
    assert timedelta(seconds=30) > AFTER_CRASH
    assert timedelta(seconds=110) > SILENT
    assert timedelta(seconds=100) > STUCK_CANCELLING > STUCK_PENDING
    assert timedelta(seconds=200) > JOB_PENDING > timedelta(seconds=120)


@given(RUNS)
def test_what_says_that_it_waits_is_not_woken_before_its_time(seen: RunFacts) -> None:
    """A wait for people or a window must not turn into a loop of wakes."""
    if seen.state == "PAUSED" and seen.waits and not (seen.stop_requested or seen.is_rollback):
        assert (decide_care(seen, now=NOW).act == "wake") == (seen.wake_at is not None and seen.wake_at <= NOW)


def test_what_others_suspended_is_woken() -> None:
    """A rollback never asks for anything, and what a release waits for stands in its record: its canary would keep its share for ever."""
    assert decide_care(run("PAUSED", is_rollback=True), now=NOW).act == "wake"
    assert decide_care(run("PAUSED", begun=True, waits=False, wake_at=NOW + timedelta(days=1)), now=NOW).act == "wake"


def test_the_age_of_a_run_counts_its_days() -> None:
    """One that was handed out before an outage of a day is not said to be a minute old."""
    assert "handed out 86465 s ago" in decide_care(run("PENDING", age=86_465), now=NOW).reason
