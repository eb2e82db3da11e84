"""A run, its process, its worker and the keeper, in every order of their steps: the window between a state and what is written of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.rules.lifecycle.reconcile import AFTER_CRASH, MOST_ATTEMPTS, Care, RunFacts, decide_at_second_look, wants_second_look
from tasks.rules.lifecycle.standstill import Standstill, look_again

BEGIN = datetime(2026, 11, 28, 18, 43, tzinfo=UTC)
EVERY_SECONDS = 20
UNTIL_SECONDS = 900
BEAT_SECONDS = 20  # how often a process shows beside the key that it lives
FOUND_SECONDS = {False: 125, True: 220}  # as a process beside its worker, as a Job
FORGED_SECONDS = 400  # a Job, if others post heartbeats for it
NEVER = 1e9


@dataclass(frozen=True)
class Plan:
    """When each step of one attempt happens, in seconds after the step before it.

    Fields:
        starts: Its process, after it was handed out as Pending.
        noted: Its worker writes the process down, after the process started; None if the worker dies before it can.
        runs: It becomes Running, after the process started.
        marked: It writes itself on the run, after it became Running.
        lives: How long the process lives.
        reported: Its worker reports the crash, after the death; None if there is no worker any more.
    """

    starts: float
    noted: float | None
    runs: float
    marked: float
    lives: float
    reported: float | None


def seconds(most: float) -> st.SearchStrategy[float]:
    """Draw a time, in tenths of seconds."""
    return st.integers(0, int(most * 10)).map(lambda tenths: tenths / 10)


def attempts(*, as_job: bool) -> st.SearchStrategy[Plan]:
    """Draw an attempt; a process is started within 50 s of being handed out, a Job within 170 s."""
    return st.builds(
        Plan,
        starts=seconds(170 if as_job else 50),
        noted=st.none() | seconds(2),
        runs=seconds(5),
        marked=seconds(60),
        lives=seconds(700) | seconds(300) | seconds(10),
        reported=st.none() | seconds(5),
    )


@dataclass
class Attempt:
    """One attempt, with its moments in seconds from the beginning."""

    handed: float
    plan: Plan
    running: float = field(init=False)
    noted: float = field(init=False)
    marked: float = field(init=False)
    dies: float = field(init=False)

    def __post_init__(self) -> None:
        """Work the moments out; a step that lies behind the death never comes."""
        started = self.handed + self.plan.starts
        self.dies = started + self.plan.lives
        self.running = self._before_death(started + self.plan.runs)
        self.noted = NEVER if self.plan.noted is None else started + self.plan.noted
        self.marked = self._before_death(self.running + self.plan.marked)

    def _before_death(self, moment: float) -> float:
        return moment if moment <= self.dies else NEVER

    def lives(self, now: float) -> bool:
        """Say if its process runs."""
        return self.handed + self.plan.starts <= now < self.dies


@dataclass
class World:
    """A run with its attempts, as the server and this machine show it.

    Fields:
        here: Whether the keeper's machine is the worker's, too, and can look at the process.
        marked_before: Whether an attempt before the first of these has written itself on the run.
        attempts: What was handed out.
        forged: Whether others post heartbeats for it all the time.
        still: What stands still beside the key, as the keeper saw it.
    """

    here: bool
    marked_before: bool
    attempts: list[Attempt]
    forged: bool = False
    still: Standstill | None = None

    @property
    def found_seconds(self) -> int:
        """Say after how long a dead attempt is found at the latest."""
        return FORGED_SECONDS if self.forged else FOUND_SECONDS[not self.here]

    def begin(self, attempt: Attempt) -> None:
        """Hand out the next attempt, as the keeper does when it starts a run again."""
        self.attempts.append(attempt)
        self.still = None

    def seen(self, now: float) -> RunFacts:
        """Show the run as the keeper reads it."""
        last = self.attempts[-1]
        state, since = ("RUNNING", last.running) if last.running <= now else ("PENDING", last.handed)
        for reported in self._reports():
            if since <= reported <= now:
                state, since = "CRASHED", reported
        marks = [(one.marked, one) for one in self.attempts if one.marked <= now]
        mark = max((moment for moment, _ in marks), default=-100.0 if self.marked_before else None)
        beat = last.running + 30 * ((min(now, last.dies) - last.running) // 30) if last.running <= now else None
        return RunFacts(
            state=state,
            since=_at(since),
            alive=self._alive(now, marks, mark),
            heard=_at(now) if self.forged else None if beat is None else _at(beat),
            wake_at=None,
            stop_requested=False,
            attempts=min(len(self.attempts), MOST_ATTEMPTS - 1),
            marked=None if mark is None else _at(mark),
            as_job=not self.here,
            gone=None if self.here else self._gone(now, mark),
        )

    def _gone(self, now: float, mark: float | None) -> datetime:
        """Say since when the marks and beats beside the key stand still; a run of which nothing is kept has begun all the same."""
        shown = [
            one.marked + BEAT_SECONDS * ((min(now, one.dies) - one.marked) // BEAT_SECONDS) for one in self.attempts if one.marked <= now
        ]
        self.still = look_again(self.still, sign=f"{mark} {max(shown, default=None)}", counts=True, now=_at(now))
        assert self.still is not None
        return self.still.since

    def _reports(self) -> list[float]:
        """List when crashes are reported, which may hit a later attempt; a worker that could not note what it started reports nothing."""
        if self.attempts[-1].plan.noted is None:
            return []
        return sorted(one.dies + one.plan.reported for one in self.attempts if one.plan.noted is not None and one.plan.reported is not None)

    def _alive(self, now: float, marks: list[tuple[float, Attempt]], mark: float | None) -> bool | None:
        if not self.here:
            return None
        last = self.attempts[-1]
        if last.noted <= now and last.lives(now):
            return True
        if mark is None:
            return None
        return bool(marks) and max(marks, key=lambda one: one[0])[1].lives(now)


def _at(moment: float) -> datetime:
    return BEGIN + timedelta(seconds=moment)


def keep(world: World, *, phase: float, latency: float, disturbed: bool) -> Iterator[tuple[float, Care]]:
    """Look as `flows.keeper` does, every 20 s, and give what is done to the run and when; the caller begins the next attempt.

    Args:
        world: The run.
        phase: When the first look comes.
        latency: How long it takes from the decision to the act.
        disturbed: Whether another run makes every look a double one.
    """
    moment = phase
    while moment < UNTIL_SECONDS:
        first = second = world.seen(moment)
        apart = 0.0
        if disturbed or wants_second_look(first, now=_at(moment)):
            apart = AFTER_CRASH.total_seconds()
            second = world.seen(moment + apart)
        care = decide_at_second_look(first, second, apart=timedelta(seconds=apart), now=_at(moment + apart))
        acts = moment + apart + latency
        now = world.seen(acts)
        if care.act == "again" and (now.state, now.since, now.marked) == (second.state, second.since, second.marked):
            yield acts, care
        moment += EVERY_SECONDS


def check(world: World, plans: list[Plan], *, phase: float, latency: float, disturbed: bool) -> None:
    """Let the keeper look after the run: it never starts a live one again, and finds each dead one in time."""
    begun = [world.attempts[0]]
    for moment, care in keep(world, phase=phase, latency=latency, disturbed=disturbed):
        alive = [one for one in begun if one.lives(moment)]
        assert not alive, f"at {moment:.1f} s a live attempt was started again, because {care.reason}: {alive[0]}"
        last = begun[-1]
        assert moment - last.dies <= world.found_seconds, f"{last} was found at {moment:.1f} s"
        if not plans:
            return
        begun.append(Attempt(moment + 1, plans.pop(0)))
        world.begin(begun[-1])
    last = begun[-1]
    assert last.dies > UNTIL_SECONDS - world.found_seconds, f"{last} was never found"


HERE = st.lists(attempts(as_job=False), min_size=1, max_size=3)
ELSEWHERE = st.lists(attempts(as_job=True), min_size=1, max_size=2)
MOMENTS = {"phase": seconds(EVERY_SECONDS), "latency": seconds(0.5), "disturbed": st.booleans()}
# A resumed run whose process has not written itself yet, as it was once seen: started again 0.5 s after it became Running.
RESUMED = [Plan(starts=0.9, noted=None, runs=0, marked=7.5, lives=300, reported=None)]


@settings(max_examples=500)
@example(plans=list(RESUMED), marked_before=True, phase=1.4, latency=0.1, disturbed=False)
@given(plans=HERE, marked_before=st.booleans(), **MOMENTS)
def test_beside_the_worker_no_live_run_is_started_again_and_each_dead_one_is_found(
    *, plans: list[Plan], marked_before: bool, phase: float, latency: float, disturbed: bool
) -> None:
    """Whatever the order of state, marks, looks and death."""
    first, *others = plans
    check(
        World(here=True, marked_before=marked_before, attempts=[Attempt(0, first)]),
        others,
        phase=phase,
        latency=latency,
        disturbed=disturbed,
    )


@settings(max_examples=500)
@given(plans=ELSEWHERE, marked_before=st.booleans(), **MOMENTS)
def test_elsewhere_no_live_run_is_started_again_and_each_dead_one_is_found(
    *, plans: list[Plan], marked_before: bool, phase: float, latency: float, disturbed: bool
) -> None:
    """By its heartbeats alone, as its process cannot be looked at."""
    first, *others = plans
    check(
        World(here=False, marked_before=marked_before, attempts=[Attempt(0, first)]),
        others,
        phase=phase,
        latency=latency,
        disturbed=disturbed,
    )


@settings(max_examples=500)
@given(plans=ELSEWHERE, marked_before=st.booleans(), **MOMENTS)
def test_heartbeats_that_others_post_hide_no_dead_run_and_double_no_live_one(
    *, plans: list[Plan], marked_before: bool, phase: float, latency: float, disturbed: bool
) -> None:
    """What its process shows beside the key decides then."""
    first, *others = plans
    check(
        World(here=False, marked_before=marked_before, attempts=[Attempt(0, first)], forged=True),
        others,
        phase=phase,
        latency=latency,
        disturbed=disturbed,
    )
