"""Time from history: how long the phases of a service's releases took, and how long a wave is taken to need because of it.

A wave is only compared with waves of the very same steps. A release in which people or holds were waited for, or that changed nothing, is
not counted; no estimate is shorter than the steps' own watches.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import pairwise
from statistics import median
from typing import Annotated, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import STAGING, waves_of
from tasks.rules.record.canonical import fingerprint
from tasks.rules.record.entries import Entry, moment, outcome_of, select
from tasks.rules.record.view import POST_DEPLOY
from tasks.rules.rollout.steps import PlannedStep, longest_seconds_of_wave, longest_watch_seconds, steps_of, steps_of_wave

MOST = 50  # the newest releases that count
NINE_OF_TEN = 0.9
PREPARATION, AFTERWARDS = "preparation", "afterwards"


class Took(BaseModel):
    """How long one phase of a release took: `preparation`, `wave 1` …, `afterwards`; and a name of its steps, of a wave."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    phase: Annotated[str, Field(max_length=40)]
    seconds: Annotated[float, Field(ge=0)]
    steps: str = ""


class Measured(BaseModel):
    """The times of one release that was deployed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    at: AwareDatetime
    phases: tuple[Took, ...]

    def seconds(self, wave: int, steps: str) -> float | None:
        """Give how long a wave of these very steps took; None if that was not measured."""
        return next((one.seconds for one in self.phases if (one.phase, one.steps) == (f"wave {wave}", steps)), None)


class Estimate(NamedTuple):
    """How long a wave is taken to need.

    Fields:
        seconds: What decides.
        by: What it is: the `history`, or the `longest` time by the list of steps.
        longest: The longest time by the list of steps, in seconds.
        found: How many releases with these steps were measured.
        middle: Their median, in seconds.
        most: The time within which 90 % of them were done, in seconds.
        why: Why it is not the history although the plan says so; "" else.
    """

    seconds: float
    by: Literal["history", "longest"]
    longest: float
    found: int
    middle: float = 0
    most: float = 0
    why: str = ""


def measure(run: str, entries: Sequence[Entry]) -> Measured | None:
    """Measure the phases of a release from its whole record.

    Args:
        run: Its flow run id.
        entries: The record in order, as its seals and its chain were verified.

    Returns:
        The times; None if it was not deployed, or has no list of steps.
    """
    reviews = select(entries, kind="review")
    if outcome_of(list(entries)) != "deployed" or not reviews:
        return None
    steps = [PlannedStep.model_validate(one) for one in reviews[-1].evidence.get("steps", ())]
    last = select(entries, round=reviews[-1].round)
    found = [_preparation(last), *(_wave(last, steps, number) for number in range(1, max((one.wave for one in steps), default=0) + 1))]
    phases = tuple(one for one in [*found, _afterwards(last, steps)] if one is not None)
    return Measured(run=run, at=moment(entries[-1]), phases=phases)


def estimate(plan: Plan, wave: int, history: Sequence[Measured]) -> Estimate:
    """Say how long a wave is taken to need, as the plan says: by its steps at their limits, or by what earlier releases took.

    Args:
        plan: The plan.
        wave: Which one, from 1.
        history: Releases of its service.
    """
    longest, name = longest_seconds_of_wave(plan, wave), name_of_steps(steps_of_wave(steps_of(plan), wave))
    newest = sorted(history, key=lambda one: one.at, reverse=True)
    taken = [seconds for one in newest if (seconds := one.seconds(wave, name)) is not None][:MOST]
    middle, most = (median(taken), _within(taken)) if taken else (0.0, 0.0)
    wanted = plan.windows.history_at_least
    if plan.windows.time == "longest":
        return Estimate(longest, "longest", longest, len(taken), middle, most)
    if len(taken) < wanted:
        why = f"only {len(taken)} releases with these steps were measured, and the plan wants {wanted}"
        return Estimate(longest, "longest", longest, len(taken), middle, most, why)
    return Estimate(max(most, longest_watch_seconds(plan, wave)), "history", longest, len(taken), middle, most)


def phases_in_words(plan: Plan, history: Sequence[Measured]) -> list[str]:
    """Say of each phase what earlier releases took: the median, and the time within which 90 % were done."""
    newest = sorted(history, key=lambda one: one.at, reverse=True)[:MOST]
    names = [PREPARATION, *(f"wave {number}" for number in range(1, len(waves_of(plan)) + 1)), AFTERWARDS]
    said = []
    for name in names:
        taken = [one.seconds for release in newest for one in release.phases if one.phase == name]
        if taken:
            said.append(f"{name}: median {_minutes(median(taken))}, 90 % of {len(taken)} within {_minutes(_within(taken))}")
    return said


def estimate_in_words(found: Estimate, *, wave: int) -> str:
    """Say what a wave is taken to need, what decides, and what else is known."""
    by_steps = f"{_minutes(found.longest)} at most by its steps"
    known = f"median {_minutes(found.middle)}, 90 % of {found.found} releases within {_minutes(found.most)}" if found.found else ""
    if found.by == "history":
        return f"wave {wave} is taken to need {_minutes(found.seconds)} by its history ({known}; {by_steps})"
    more = "; ".join(part for part in (known, found.why) if part)
    return f"wave {wave} is taken to need {by_steps}{f' ({more})' if more else ''}"


def begin_of_wave(entries: Sequence[Entry], places: Collection[str]) -> Entry | None:
    """Give the entry from which on a wave is under way: the last that held it or asked about it; None if nothing was done in it.

    Args:
        entries: The round's record.
        places: The targets of the wave.
    """
    first = next((entry for entry in entries if entry.environment in places and entry.kind != "gate"), None)
    before = [entry for entry in entries if first and entry.seq < first.seq and entry.kind == "gate"]
    return before[-1] if before else first


def _preparation(entries: Sequence[Entry]) -> Took | None:
    """Measure from the beginning of the round until staging was verified."""
    done = [entry for entry in entries if entry.kind == "verdict" and entry.environment == STAGING]
    return _took(PREPARATION, entries, entries[0], done[-1]) if done else None


def _wave(entries: Sequence[Entry], steps: Sequence[PlannedStep], number: int) -> Took | None:
    """Measure from the moment at which nothing held the wave any more until it was promoted; the last one with what is verified behind."""
    own = steps_of_wave(steps, number)
    places = {one.environment for one in own if one.environment}
    about = [entry for entry in entries if entry.environment in places and entry.kind != "gate"]
    end = about[-1] if about else None
    if any(one.kind == "post_deploy" for one in own):
        end = next((entry for entry in entries if entry.name == POST_DEPLOY and entry.kind == "verdict"), None)
    begin = begin_of_wave(entries, places)
    promoted = {entry.environment for entry in about if entry.kind == "effect" and entry.name == "promote"}
    if begin is None or end is None or promoted != places or any((entry.kind, entry.name) == ("note", "already") for entry in about):
        return None  # one that was left there by an earlier release took no time
    return _took(f"wave {number}", entries, begin, end, name=name_of_steps(own))


def _afterwards(entries: Sequence[Entry], steps: Sequence[PlannedStep]) -> Took | None:
    end = next((entry for entry in entries if entry.name == POST_DEPLOY and entry.kind == "verdict"), None)
    places = {one.environment for one in steps if one.wave}
    promoted = [entry for entry in entries if entry.environment in places and entry.kind in {"effect", "migration"}]
    return _took(AFTERWARDS, entries, promoted[-1], end) if end and promoted else None


def _took(phase: str, entries: Sequence[Entry], begin: Entry, end: Entry, *, name: str = "") -> Took | None:
    """Measure a phase, unless people or a hold were waited for in it, or the clock went back."""
    between = [entry for entry in entries if begin.seq < entry.seq <= end.seq]
    seconds = (moment(end) - moment(begin)).total_seconds()
    waited = any(entry.kind in {"gate", "refused"} for entry in between)
    went_back = any(later.at < earlier.at for earlier, later in pairwise(between))
    return None if waited or went_back or seconds < 0 else Took(phase=phase, seconds=seconds, steps=name)


def _within(taken: Sequence[float]) -> float:
    """Give the time within which nine of ten were done: the nearest rank, of few the longest."""
    return sorted(taken)[math.ceil(NINE_OF_TEN * len(taken)) - 1]


def name_of_steps(steps: Sequence[PlannedStep]) -> str:
    """Name steps by all that they are, so that only the very same ones have the same name."""
    return fingerprint([step.model_dump(mode="json") for step in steps])


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g} min"
