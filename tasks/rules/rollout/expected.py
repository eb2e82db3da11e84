"""Expected end: how much work of a release is left, by what the same phases of earlier releases of its service took.

Only earlier releases with the very same steps count, and of these only those whose present phase took longer than it has taken by now.
The ninetieth percentile is the ceil(0.9 (n + 1))-th of n in order (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World,
2005): the next of n + 1 alike is not above it in at least nine of ten cases. Of fewer than nine there is no such rank, and the longest is
named instead.

Waits for people, windows and the lock are in no past and in no estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from statistics import median
from typing import NamedTuple

from tasks.rules.plan.targets import STAGING
from tasks.rules.record.axis import duration
from tasks.rules.record.durations import SUSPENDS_UNTIL
from tasks.rules.record.entries import Entry, moment, select
from tasks.rules.record.view import POST_DEPLOY
from tasks.rules.rollout.history import MOST, PREPARATION, Measured, begin_of_wave, name_of_steps
from tasks.rules.rollout.steps import PlannedStep, steps_of_wave

FEW = 9  # of fewer, none is the ninetieth percentile
NINE_OF_TEN = 0.9
NO_PAST = "no past yet: not one earlier release with these steps was measured"


class Ahead(NamedTuple):
    """A phase that is not over: `preparation`, `wave 1` …; and the name of its steps, of a wave."""

    phase: str
    steps: str = ""


class Left(NamedTuple):
    """How much work is left.

    Fields:
        found: How many earlier releases are comparable.
        counted: Of how many the present phase took longer than it has taken by now; 0 if it takes longer than each of them.
        middle: The median, in seconds; 0 of none.
        most: The ninetieth percentile, in seconds; of fewer than nine the longest.
        phases: Of each phase that is not over its name, and median and ninetieth percentile of the whole of it, in seconds.
    """

    found: int
    counted: int = 0
    middle: float = 0.0
    most: float = 0.0
    phases: tuple[tuple[str, float, float], ...] = ()


class Expected(NamedTuple):
    """When a release is expected to end.

    Fields:
        at: As of when.
        waits: Whether it waits now; the work that is left begins when it goes on.
        left: How much work is left.
    """

    at: datetime
    waits: bool
    left: Left

    @property
    def middle(self) -> datetime | None:
        """When it ends in half of the cases; None while it waits, or if that is not known."""
        return self.at + timedelta(seconds=self.left.middle) if self.left.counted and not self.waits else None

    @property
    def most(self) -> datetime | None:
        """When it has ended in nine of ten cases; None as above."""
        return self.at + timedelta(seconds=self.left.most) if self.left.counted and not self.waits else None


def expected_end(entries: Sequence[Entry], history: Sequence[Measured], *, at: datetime, waits: bool = False) -> Expected | None:
    """Say when a release is expected to end.

    Args:
        entries: Its record so far.
        history: Earlier releases of its service.
        at: Now.
        waits: Whether it begins to wait now, which its record may not say yet.

    Returns:
        None before its steps are known, once it is rolled back, and once all is done.
    """
    reviews = select(entries, kind="review")
    if not reviews or any(entry.kind in {"rollback", "closed"} for entry in entries):
        return None
    now = select(entries, round=reviews[-1].round)
    steps = [PlannedStep.model_validate(one) for one in reviews[-1].evidence.get("steps", ())]
    ahead, begun = phases_ahead(now, steps)
    if not ahead:
        return None
    waits = waits or SUSPENDS_UNTIL in entries[-1].evidence
    elapsed = ((moment(entries[-1]) if waits else at) - begun).total_seconds() if begun else 0.0
    return Expected(at, waits, work_left(history, ahead, max(0.0, elapsed)))


def phases_ahead(entries: Sequence[Entry], steps: Sequence[PlannedStep]) -> tuple[list[Ahead], datetime | None]:
    """List the phases that are not over, and say since when the first of them is under way; None if it is not.

    Args:
        entries: The round's record.
        steps: All steps.
    """
    waves = [number for number, _ in groupby(steps, key=lambda step: step.wave) if number]
    places = {step.environment for step in steps if step.wave}
    staged = next((entry for entry in entries if entry.kind == "verdict" and entry.environment == STAGING), None)
    is_prepared = staged is not None and any(one.seq > staged.seq and (one.kind == "gate" or one.environment in places) for one in entries)
    if not is_prepared and begin_of_wave(entries, places) is None:
        return [Ahead(PREPARATION), *_waves(steps, waves)], moment(entries[0])
    left = [number for number in waves if not _is_over(entries, steps, number)]
    begin = begin_of_wave(entries, _places(steps, left[0])) if left else None
    return _waves(steps, left), moment(begin) if begin else None


def work_left(history: Sequence[Measured], ahead: Sequence[Ahead], elapsed_seconds: float) -> Left:
    """Estimate the work that is left from earlier releases with the very same steps.

    Args:
        history: Earlier releases of the service, in any order; the newest fifty that are comparable count.
        ahead: The phases that are not over, the present one first.
        elapsed_seconds: How long that has been under way.
    """
    newest = sorted(history, key=lambda one: (one.at, one.run), reverse=True)
    taken = [found for one in newest if (found := _seconds(one, ahead))][:MOST]
    left = sorted(sum(one) - elapsed_seconds for one in taken if one[0] > elapsed_seconds)
    by_phase = [sorted(one[place] for one in taken) for place in range(len(ahead))] if taken else []
    phases = tuple((phase.phase, median(one), _within(one)) for phase, one in zip(ahead, by_phase, strict=bool(taken)))
    return Left(len(taken), len(left), median(left) if left else 0.0, _within(left) if left else 0.0, phases)


def expected_in_words(found: Expected) -> str:
    """Say when a release is expected to end, and by how many earlier ones."""
    left = found.left
    if not left.found:
        return NO_PAST
    phases = ", ".join(f"{phase} {duration(middle)}" for phase, middle, _ in left.phases)
    if not left.counted:
        return f"this phase takes longer than it did in {_those(left.found)} ({phases})"
    by = f"by {left.found} earlier release{'s' if left.found > 1 else ''}"
    if left.counted == 1 < left.found:
        by = f"by the one of {left.found} earlier releases whose present phase took longer"
    most = "nine of ten" if left.counted >= FEW else f"the longest of {left.counted}"
    if found.middle is None or found.most is None:
        spread = f" (median; {most} within {duration(left.most)})" if left.counted > 1 else ""
        return f"once it goes on, {duration(left.middle)} of work are left{spread}, {by}: {phases}"
    spread = f" (median; {most} by {found.most:%H:%M:%S})" if left.counted > 1 else ""
    return f"expected to end at {found.middle:%H:%M:%S} UTC on {found.middle:%Y-%m-%d}{spread}, without waits to come, {by}: {phases}"


def _those(number: int) -> str:
    return "the one earlier release with these steps" if number == 1 else f"each of {number} earlier releases"


def _waves(steps: Sequence[PlannedStep], numbers: Sequence[int]) -> list[Ahead]:
    return [Ahead(f"wave {number}", name_of_steps(steps_of_wave(steps, number))) for number in numbers]


def _places(steps: Sequence[PlannedStep], number: int) -> set[str]:
    return {one.environment for one in steps_of_wave(steps, number) if one.environment}


def _is_over(entries: Sequence[Entry], steps: Sequence[PlannedStep], number: int) -> bool:
    """Say if a wave is over: promoted, and of the last one everything behind it verified."""
    promoted = {entry.environment for entry in entries if entry.kind == "effect" and entry.name == "promote"}
    behind = any(one.kind == "post_deploy" for one in steps_of_wave(steps, number))
    verified = any(entry.kind == "verdict" and entry.name == POST_DEPLOY for entry in entries)
    return _places(steps, number) <= promoted and (verified or not behind)


def _seconds(one: Measured, ahead: Sequence[Ahead]) -> list[float]:
    """Give how long each of these phases took; nothing if one of them was not measured, or its steps were others."""
    known = {(phase.phase, phase.steps): phase.seconds for phase in one.phases}
    found = [known.get((phase.phase, phase.steps)) for phase in ahead]
    return [] if None in found else [seconds for seconds in found if seconds is not None]


def _within(ordered: Sequence[float]) -> float:
    return ordered[min(len(ordered), math.ceil(NINE_OF_TEN * (len(ordered) + 1))) - 1]
