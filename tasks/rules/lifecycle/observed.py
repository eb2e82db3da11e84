"""Observation of what was deployed: when the next look is due, what it found, whether a failure is confirmed, and when it ends.

A check is health, failed requests or logs of one environment. Its failure is confirmed if its last two verdicts are failures; no data is
not a verdict, so it neither confirms a failure nor takes one back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.approval.closing import last_progress
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.lifecycle.observed_requests import Count, SeenCounts, failed_since
from tasks.rules.lifecycle.results import PhaseResult, worst_of
from tasks.rules.plan.targets import production_of
from tasks.rules.record.entries import Entry, select
from tasks.rules.record.view import POST_DEPLOY
from tasks.rules.verification.log_lines import hash_of
from tasks.rules.windows.words import moment_in_words

HEALTH, REQUESTS, LOGS = "health", "requests", "logs"
MOST_SILENT = 3  # looks in a row without a verdict on health
CONFIRMED_AFTER = timedelta(minutes=1)
PUT_OFF_FOR = timedelta(minutes=5)
ENDS_AFTER = timedelta(minutes=10)  # after its time, so that a failure of the last look is confirmed, and a release that is under way over
By = tuple[str, str]  # an environment and a check


class ObservedPlace(BaseModel):
    """What is known of one environment.

    Fields:
        counts: The counts from which requests are judged; None if none were read yet.
        known: The kinds of error lines, see `hash_of`, that were there when the version was deployed.
        in_whole: Whether all of them are known.
        read: Until when its log was read; None before the first look.
        silent: How many looks in a row had no verdict on its health.
        failing: The checks whose last verdict was a failure.
        checks: How often its health was checked with a verdict.
        well: How often it passed.
        requests: How many requests were judged.
        errors: How many of them failed.
        late_failures: Of how many failures here people were told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    counts: SeenCounts | None = None
    known: tuple[str, ...] = ()
    in_whole: bool = False
    read: AwareDatetime | None = None
    silent: Count = 0
    failing: tuple[str, ...] = ()
    checks: Count = 0
    well: Count = 0
    requests: Count = 0
    errors: Count = 0
    late_failures: Count = 0


class Observed(BaseModel):
    """What is observed of one service, and what the last look saw.

    Fields:
        release: The run that deployed the version.
        plan: Its plan file as it was named.
        taken: Its plan as it was taken.
        since: When the version was deployed.
        until: When the last look is due.
        due: When the next look is due.
        number: Of the next look, from 1; a look that is put off counts.
        places: The environments in which the version serves.
        looked: When the last look was; None before the first one.
        outcome: What it found; "" before the first one.
        why: Why, with its numbers.
        looks: How many looks there were.
        passed: How many of them passed.
        told: Whether people were told of the failure that goes on.
        silent_told: Whether people were told that its health is not known.
        rollback: Its rollback that was requested; it is requested again until a run of it has opened its record.
        reason: Of the rollback, for the request.
        asked: How many requests of it were lost.
        held: Since when its rollback is held up; None if it is not.
        ended: Why it is over; "" while it goes on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: str
    plan: str
    taken: TakenPlan
    version: str
    since: AwareDatetime
    until: AwareDatetime
    due: AwareDatetime
    number: Count = 1
    places: dict[str, ObservedPlace]
    looked: AwareDatetime | None = None
    outcome: str = ""
    why: str = ""
    looks: Count = 0
    passed: Count = 0
    told: bool = False
    silent_told: bool = False
    rollback: str = ""
    reason: str = ""
    asked: Count = 0
    held: AwareDatetime | None = None
    ended: str = ""

    def is_due(self, at: datetime) -> bool:
        """Say whether a look is due; one that is further ahead than looks ever are was put there while the clock was ahead."""
        is_due = self.due <= at or self.due - at > self.pause + PUT_OFF_FOR
        return not self.ended and not self.rollback and is_due

    @property
    def pause(self) -> timedelta:
        """The time between two looks."""
        return timedelta(minutes=self.taken.parsed().observe.every_minutes)

    def is_newer(self, since: datetime, *, at: datetime) -> bool:
        """Say whether it was deployed after another version; one of the future was deployed while the clock was ahead, and is not.

        Args:
            since: When the other one was deployed.
            at: Now.
        """
        return since < self.since <= at

    def held_enough(self, at: datetime) -> bool:
        """Say whether its rollback was held up for one pause: it is requested then, whatever is under way."""
        return self.held is not None and not timedelta(0) <= at - self.held < self.pause

    def in_words(self, service: str) -> str:
        """Say until when a version is observed, and what the last look found."""
        until = f"{service} {self.version} until {moment_in_words(self.until)}"
        if self.rollback:
            return f"{until}; its rollback {self.rollback} is requested"
        if self.looked is None:
            return f"{until}; the first look is due {moment_in_words(self.due)}"
        last = f"{self.outcome.replace('_', ' ')}, {moment_in_words(self.looked)}: {self.why}"
        return f"{until}; {self.passed} of {self.looks} looks passed; the last one {last}"


class FoundThere(NamedTuple):
    """What a look found in one environment.

    Fields:
        checks: The verdict of each check.
        counts: The counts from which the next look goes on.
        read: Until when its log was read; None if it was not.
        refused: Whether health cannot be checked until people change something, as a credential that a check names is gone.
    """

    checks: Mapping[str, PhaseResult]
    counts: SeenCounts | None
    read: datetime | None = None
    refused: bool = False


class Look(NamedTuple):
    """What became of a look: what is known by then, its result, and the checks, by environment, whose failure is confirmed by it."""

    observed: Observed
    result: PhaseResult
    confirmed: tuple[By, ...]


def observed_from(
    taken: TakenPlan, entries: Sequence[Entry], *, release: str, plan: str, version: str, round: int, since: datetime, at: datetime
) -> Observed | None:
    """Say what is observed of a release that was deployed; None if its plan does not ask for it.

    Args:
        taken: The plan by which it acted.
        entries: Its record.
        release: Its run.
        plan: The plan file as it was named.
        version: Its version.
        round: The round that deployed it.
        since: When it was promoted in production.
        at: Now.
    """
    asked = taken.parsed()
    if not asked.observe.hours:
        return None
    begins = since if last_progress(entries) is None else at  # a release that waited for ticks kept the looks off till then
    until = begins + timedelta(hours=asked.observe.hours)
    due = min(at + timedelta(minutes=asked.observe.every_minutes), until)
    here = [entry for entry in entries if entry.round == round]
    places = {place.environment: _place(select(here, environment=place.environment)) for place in production_of(asked)}
    return Observed(release=release, plan=plan, taken=taken, version=version, since=since, until=until, due=due, places=places)


def _place(entries: Sequence[Entry]) -> ObservedPlace:
    """Read what the release knew of one environment at its end: the counts, and the error lines that are not new any more."""
    counts = next(iter(reversed(select(entries, kind="metrics", name=POST_DEPLOY))), None)
    logs = next(iter(reversed(select(entries, kind="logs"))), None)
    evidence = logs.evidence if logs else {}
    accepted = [hash_of(str(one.get("kind"))) for one in evidence.get("new", ()) if isinstance(one, dict)]
    known = dict.fromkeys([*map(str, evidence.get("known", ())), *accepted])
    return ObservedPlace(
        counts=SeenCounts.model_validate(counts.evidence) if counts and counts.evidence else None,
        known=tuple(known),
        in_whole=logs is not None and not evidence.get("in_part"),
    )


def after_look(before: Observed, found: Mapping[str, FoundThere], *, at: datetime) -> Look:
    """Add a look to what is known.

    Args:
        before: What was known.
        found: What it found, by environment; one in which another version serves by now is left out, and is observed no more.
        at: Now.
    """
    if not found:
        return Look(
            put_off(before, at=at, ended=f"{before.version} does not serve any more"),
            PhaseResult(outcome=Outcome.NO_DATA, reason="another version serves"),
            (),
        )
    confirmed, fresh, places = list[By](), False, dict[str, ObservedPlace]()
    for environment, there in found.items():
        place = before.places[environment]
        fails = {name for name, one in there.checks.items() if one.outcome is Outcome.FAILED}
        confirmed += [(environment, name) for name in there.checks if name in fails & {*place.failing}]
        fresh = fresh or bool(fails - {*place.failing})
        places[environment] = _after(place, there, fails=fails)
    result = worst_of([one.at(environment) for environment, there in found.items() for one in there.checks.values()])
    ended = "its time is over" if at >= before.until and (not fresh or at >= before.until + ENDS_AFTER) else ""
    pause = CONFIRMED_AFTER if fresh else before.pause
    goes_on = any(place.failing for place in places.values())
    after = before.model_copy(
        update={
            "places": places, "looked": at, "outcome": result.outcome.value, "why": str(result.reason), "looks": before.looks + 1,
            "passed": before.passed + result.passed, "number": before.number + 1, "due": _next(before, at, pause),
            "silent_told": before.silent_told and any(place.silent for place in places.values()),
            "told": before.told and goes_on, "held": before.held if goes_on else None, "ended": ended,
        }
    )  # fmt: skip
    return Look(after, result, tuple(confirmed))


def _after(place: ObservedPlace, there: FoundThere, *, fails: set[str]) -> ObservedPlace:
    """Add what a look found in one environment to what is known of it."""
    undecided = {name for name, one in there.checks.items() if one.outcome not in {Outcome.FAILED, Outcome.PASSED}}
    failing = fails | ({*place.failing} & undecided)
    well = there.checks[HEALTH].passed
    decided = well or HEALTH in fails
    errors, requests = failed_since(place.counts, there.counts)
    return place.model_copy(
        update={
            "counts": there.counts, "read": there.read or place.read, "failing": tuple(sorted(failing)),
            "silent": 0 if decided else max(place.silent + 1, MOST_SILENT if there.refused else 0),
            "checks": place.checks + decided, "well": place.well + well,
            "requests": place.requests + requests, "errors": place.errors + errors,
        }
    )  # fmt: skip


def silence(look: Look) -> str:
    """Say where health is not known for so many looks that people are told; "" if it is, or they were."""
    silent = [name for name, place in look.observed.places.items() if place.silent >= MOST_SILENT]
    if look.observed.silent_told or not silent:
        return ""
    return f"its health in {', '.join(silent)} is not known, so that no failure of it would be seen; {look.result.reason}"


def with_failure_told(look: Look) -> Observed:
    """Give what is known once people were told of the failure that a look confirmed."""
    failed = {environment for environment, _ in look.confirmed}
    places = {
        name: place.model_copy(update={"late_failures": place.late_failures + 1}) if name in failed else place
        for name, place in look.observed.places.items()
    }
    return look.observed.model_copy(update={"told": True, "places": places})


def put_off(before: Observed, *, at: datetime, ended: str = "", pause: timedelta = PUT_OFF_FOR) -> Observed:
    """Put a look off, as a release or rollback is under way there or its runs were lost, or end the observation."""
    late = "its time is over, and the last look could not be made" if at >= before.until + ENDS_AFTER else ""
    return before.model_copy(update={"number": before.number + 1, "due": at + pause, "ended": ended or late})


def _next(before: Observed, at: datetime, pause: timedelta) -> datetime:
    """Give when the next look is due: the last one when the time is over, or a minute later to confirm a failure."""
    return at + pause if at >= before.until else min(at + pause, before.until)


def failure_in_words(look: Look) -> str:
    """Say which checks failed twice in a row, as the second look found them."""
    return f"in two looks in a row: {', '.join(f'{name} of {environment}' for environment, name in look.confirmed)}; {look.result.reason}"
