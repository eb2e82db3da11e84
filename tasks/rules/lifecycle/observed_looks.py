"""Looks at what was deployed: what one found, whether it confirms a failure, when the next one is due, and how the observation ends.

A check is health, failed requests or logs of one environment. Its failure is confirmed if its last two verdicts are failures; no data is
not a verdict, so it neither confirms a failure nor takes one back. Nothing ends in silence: what is open at the end has to be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.observed import PUT_OFF_FOR, Observed, ObservedPlace
from tasks.rules.lifecycle.observed_requests import SeenCounts, failed_since
from tasks.rules.lifecycle.results import PhaseResult, worst_of

HEALTH, REQUESTS, LOGS = "health", "requests", "logs"
MOST_SILENT = 3  # looks in a row without a verdict on health
MOST_REFUSED = 3  # rollbacks that were refused; after them people have to do it
CONFIRMED_AFTER = timedelta(minutes=1)
TIME_OVER = "its time is over"
By = tuple[str, str]  # an environment and a check


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


def after_look(before: Observed, found: Mapping[str, FoundThere], *, at: datetime) -> Look:
    """Add a look to what is known.

    Args:
        before: What was known.
        found: What it found, by environment; one in which another version serves by now is left out, and is observed no more.
        at: Now.
    """
    if not found:
        over = before.model_copy(update={"number": before.number + 1, "ended": f"{before.version} does not serve any more"})
        return Look(over, PhaseResult(outcome=Outcome.NO_DATA, reason="another version serves"), ())
    confirmed, fresh, places = list[By](), False, dict[str, ObservedPlace]()
    for environment, there in found.items():
        place = before.places[environment]
        fails = {name for name, one in there.checks.items() if one.outcome is Outcome.FAILED}
        confirmed += [(environment, name) for name in there.checks if name in fails & {*place.failing}]
        fresh = fresh or bool(fails - {*place.failing})
        places[environment] = _after(place, there, fails=fails)
    result = worst_of([one.at(environment) for environment, there in found.items() for one in there.checks.values()])
    goes_on = any(place.failing for place in places.values())
    after = before.model_copy(
        update={
            "places": places, "looked": at, "outcome": result.outcome.value, "why": str(result.reason), "looks": before.looks + 1,
            "passed": before.passed + result.passed, "number": before.number + 1,
            "silent_told": before.silent_told and any(place.silent for place in places.values()),
            "told": before.told and goes_on, "held": before.held if goes_on else None,
        }
    )  # fmt: skip
    return Look(_course(before, after, at=at, fresh=fresh, confirmed=bool(confirmed)), result, tuple(confirmed))


def _course(before: Observed, after: Observed, *, at: datetime, fresh: bool, confirmed: bool) -> Observed:
    """Say when the next look is due, or that it is over, and what has to be told.

    After its time what is open is looked at each minute until it is known, for ten minutes, and at least once. What is to be rolled back
    does not end by time: it ends with its rollback, or once it is well again.
    """
    opened = left_open(after, confirmed=confirmed)
    is_open, is_last = fresh or bool(opened), at >= before.until
    is_first = before.looked is None or before.looked < before.until
    goes_on = (confirmed and before.rolls_back) or (is_open and (is_first or not after.is_over(at)))
    if is_last and not goes_on:
        return after.model_copy(update={"ended": TIME_OVER, "untold": f"{TIME_OVER}, and {opened}" if opened else after.untold})
    pause = CONFIRMED_AFTER if fresh or (is_last and is_open and after.held is None) else before.pause
    return _with_silence(after.model_copy(update={"due": _next(before, at, pause)}), why=after.why)


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


def left_open(observed: Observed, *, confirmed: bool = False) -> str:
    """Say what is not known of a version: whether a failure goes on that is not acted on, or its health; "" if nothing is.

    Args:
        observed: What is known.
        confirmed: Whether a failure is acted on, as a look just confirmed it.
    """
    parts, places = list[str](), observed.places.items()
    failing = [f"{check} of {name}" for name, place in places for check in place.failing]
    if failing and not confirmed and (observed.held or not observed.told):
        then = "it is not rolled back" if observed.held else "no second look saw it"
        parts.append(f"what failed when it was looked at last may go on, and {then}: {', '.join(failing)}")
    if silent := [name for name, place in places if place.silent]:
        parts.append(f"its health in {', '.join(silent)} is not known")
    return "; ".join(parts)


def _with_silence(after: Observed, *, why: str) -> Observed:
    """Have people told once if health is not known for so many looks."""
    silent = [name for name, place in after.places.items() if place.silent >= MOST_SILENT]
    if after.silent_told or not silent:
        return after
    said = f"its health in {', '.join(silent)} is not known, so that no failure of it would be seen; {why}"
    return after.model_copy(update={"silent_told": True, "untold": said})


def with_failure_told(look: Look) -> Observed:
    """Give what is known once people were told of the failure that a look confirmed."""
    failed = {environment for environment, _ in look.confirmed}
    places = {
        name: place.model_copy(update={"late_failures": place.late_failures + 1}) if name in failed else place
        for name, place in look.observed.places.items()
    }
    return look.observed.model_copy(update={"told": True, "places": places})


def put_off(before: Observed, *, at: datetime, why: str, pause: timedelta = PUT_OFF_FOR, is_ours: bool = False) -> Observed:
    """Put a look off, or end the observation if its last look could not be made; it counts as a look without a verdict.

    Args:
        before: What is known.
        at: Now.
        why: Why it is not made.
        pause: Until when; after its time five minutes at most.
        is_ours: Whether a release or rollback of ours holds production: it looks itself, and so is silent only on what failed before.
    """
    counts = not is_ours or any(place.failing for place in before.places.values())
    places = {name: place.model_copy(update={"silent": place.silent + counts}) for name, place in before.places.items()}
    after = before.model_copy(update={"number": before.number + 1, "places": places})
    if after.is_over(at):
        ended = f"{TIME_OVER}, and the last look could not be made"
        said = "; ".join(part for part in (f"{ended}: {why}", left_open(after)) if part)
        return after.model_copy(update={"ended": ended, "untold": said})
    due = _next(before, at, min(pause, PUT_OFF_FOR) if at >= before.until else pause)
    return _with_silence(after.model_copy(update={"due": due}), why=why)


def after_refusal(before: Observed, *, at: datetime) -> Observed:
    """Go on after the rollback was refused: a look that sees the failure a pause later requests it again, a few times.

    Args:
        before: What is known, with its rollback.
        at: Now.
    """
    told = {"refused": before.refused + 1, "asked": before.asked + 1, "number": before.number + 1}
    if before.refused + 1 >= MOST_REFUSED:
        ended = f"its rollback was refused {MOST_REFUSED} times, the last one is {before.rollback}"
        return before.model_copy(update={**told, "ended": ended, "untold": f"{ended}; what failed is not rolled back"})
    return before.model_copy(update={**told, "rollback": "", "held": before.held or at, "due": at + before.pause})


def _next(before: Observed, at: datetime, pause: timedelta) -> datetime:
    """Give when the next look is due: the last one when the time is over, and those after it after the pause."""
    return at + pause if at >= before.until else min(at + pause, before.until)


def failure_in_words(look: Look) -> str:
    """Say which checks failed twice in a row, as the second look found them."""
    return f"in two looks in a row: {', '.join(f'{name} of {environment}' for environment, name in look.confirmed)}; {look.result.reason}"
