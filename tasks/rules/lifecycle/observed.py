"""Observation of what was deployed: what is known of it, how it begins, and when a look is due."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from tasks.rules.approval.closing import last_progress
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.lifecycle.observed_requests import Count, SeenCounts
from tasks.rules.plan.targets import production_of
from tasks.rules.record.entries import Entry, select
from tasks.rules.record.view import POST_DEPLOY
from tasks.rules.verification.log_lines import hash_of
from tasks.rules.windows.words import moment_in_words

PUT_OFF_FOR = timedelta(minutes=5)
ENDS_AFTER = timedelta(minutes=10)  # after its time, so that a failure of the last look is confirmed, and a release that is under way over
HELD_FOR = timedelta(days=1)  # after its pause: for so long a rollback that is held up is waited for without a verdict


class ObservedPlace(BaseModel):
    """What is known of one environment.

    Fields:
        counts: The counts from which requests are judged; None if none were read yet.
        known: The kinds of error lines, see `hash_of`, that were there when the version was deployed.
        in_whole: Whether all of them are known.
        read: Until when its log was read; None before the first look.
        silent: How many looks in a row had no verdict on its health, or were not made.
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
        refused: How many of its rollbacks were refused.
        held: Since when its rollback is held up, by a release or as it was refused; None if it is not.
        untold: What people have still to be told: that health is not known, or what was open at its end; "" if nothing is.
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
    refused: Count = 0
    held: AwareDatetime | None = None
    untold: str = ""
    ended: str = ""

    def is_due(self, at: datetime) -> bool:
        """Say whether a look is due; one that is further ahead than looks ever are was put there while the clock was ahead."""
        is_due = self.due <= at or self.due - at > self.pause + PUT_OFF_FOR
        return not self.ended and not self.rollback and is_due

    @property
    def pause(self) -> timedelta:
        """The time between two looks."""
        return timedelta(minutes=self.taken.parsed().observe.every_minutes)

    @property
    def rolls_back(self) -> bool:
        """Whether a failure that is confirmed is rolled back."""
        return self.taken.parsed().observe.on_failure == "roll_back"

    def is_over(self, at: datetime) -> bool:
        """Say if what is open is waited for no more: ten minutes after its time, or a day after the pause of a rollback that is held up."""
        over = self.until + ENDS_AFTER
        return at >= (max(over, self.held + self.pause + HELD_FOR) if self.held and self.held <= at else over)

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


def observed_from(
    taken: TakenPlan, entries: Sequence[Entry], *, promoted: Collection[str], release: str, plan: str, version: str, round: int,
    since: datetime, at: datetime,
) -> Observed | None:  # fmt: skip
    """Say what is observed of a release that was deployed; None if its plan does not ask for it, or it was promoted nowhere in production.

    Args:
        taken: The plan by which it acted.
        entries: Its record.
        promoted: The environments in which it was promoted, which may be one target of several.
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
    there = [place.environment for place in production_of(asked) if place.environment in promoted]
    places = {environment: _place(select(here, environment=environment)) for environment in there}
    if not places:
        return None
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
