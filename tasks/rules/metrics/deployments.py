"""Deployments to an environment: which there were, which of them failed, found when, and recovered when.

What undoes a deployment names it: a rollback names the version that it leaves, a fix names the run because of which it is made. Nothing is
blamed on the newest deployment because it is the newest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.rules.metrics.facts import Facts, Place


@dataclass(frozen=True, slots=True)
class Deployment:
    """A release that gave its version requests of the environment, and has ended.

    Fields:
        facts: The release.
        places: What it did in the environment, or in its targets; each got requests.
        failed: When it was known that it failed; None if it did not.
        found_in_release: Whether the release itself ended it.
        recovered: When the environment served without it again; None if it did not fail, or has not recovered.
    """

    facts: Facts
    places: tuple[Place, ...]
    failed: datetime | None = None
    found_in_release: bool = False
    recovered: datetime | None = None

    @property
    def promoted(self) -> datetime | None:
        """When the version first became the baseline of one of these places; None if it never did."""
        return min((place.promoted for place in self.places if place.promoted), default=None)

    @property
    def recovery_seconds(self) -> float | None:
        """How long the recovery took; None if it did not fail, or has not recovered."""
        return max(0.0, (self.recovered - self.failed).total_seconds()) if self.failed and self.recovered else None


@dataclass(frozen=True, slots=True)
class _Undone:
    """That a later run undid, or tried to undo, a deployment: when it was asked for, and when that was done, if it was."""

    asked: datetime
    done: datetime | None


def deployments_in(facts: Iterable[Facts], environment: str) -> list[Deployment]:
    """List the deployments to an environment, the oldest first.

    Args:
        facts: All releases and rollbacks, in any order. Those after a span count, too: they may undo what was deployed in it.
        environment: As `Facts.in_environment`.

    Returns:
        One for each release that has ended and gave its version requests there, by whatever it ended.
    """
    known = sorted(facts, key=_order)
    ended = [one for one in known if one.is_release and one.ended is not None]
    deployed = {one.run: places for one in ended if (places := _begun(one, environment))}
    undone = _undone(known, ended, environment)
    return [_judged(one, deployed[one.run], undone.get(one.run, [])) for one in ended if one.run in deployed]


def _begun(facts: Facts, environment: str) -> tuple[Place, ...]:
    return tuple(place for place in facts.in_environment(environment) if place.begun)


def _judged(facts: Facts, places: tuple[Place, ...], later: Sequence[_Undone]) -> Deployment:
    """Judge a deployment: by its own end first, else by what came later."""
    failed_itself = facts.outcome != "deployed" and not (facts.outcome == "partly_deployed" and all(place.stands for place in places))
    if not failed_itself:
        if not later:
            return Deployment(facts, places)
        return Deployment(facts, places, min(one.asked for one in later), recovered=_first_done(later))
    began = facts.failed or facts.ended
    gone = [place for place in places if not (facts.outcome == "partly_deployed" and place.stands)]
    backs = [place.rolled_back for place in gone if place.rolled_back and place.is_back]
    itself = max(backs) if len(backs) == len(gone) else None
    return Deployment(facts, places, began, found_in_release=True, recovered=itself or _first_done(later))


def _first_done(later: Sequence[_Undone]) -> datetime | None:
    return min((one.done for one in later if one.done), default=None)


def _undone(known: Sequence[Facts], ended: Sequence[Facts], environment: str) -> dict[str, list[_Undone]]:
    """Find, by run, what undid it: rollbacks by the version that they left, and releases that say because of which run they are."""
    stood, found = _stood(ended), defaultdict[str, list[_Undone]](list)
    for one in known:
        if one.outcome in {"refused", "skipped"}:
            continue
        if one.because_of and one.is_release:
            done = min((place.promoted for place in one.in_environment(environment) if place.stands and place.promoted), default=None)
            found[one.because_of].append(_Undone(one.opened, done if one.outcome == "deployed" else None))
        if one.flow == "rollback":
            for run, places in _left_by(one, stood, environment).items():
                backs = [place.rolled_back for place in places if place.rolled_back and place.is_back]
                found[run].append(_Undone(one.opened, max(backs) if len(backs) == len(places) else None))
    return found


def _stood(ended: Sequence[Facts]) -> dict[tuple[str, str, str], list[tuple[datetime, str]]]:
    """List when and by which runs each version of a service became the baseline of each place, and stayed so to the run's end."""
    found = defaultdict[tuple[str, str, str], list[tuple[datetime, str]]](list)
    for one in ended:
        for place in one.places:
            if place.stands and place.promoted:
                found[one.service, one.version, place.name].append((place.promoted, one.run))
    return found


def _left_by(
    rollback: Facts, stood: Mapping[tuple[str, str, str], Sequence[tuple[datetime, str]]], environment: str
) -> dict[str, list[Place]]:
    """Name the deployments that a rollback left: in each place the newest of the bad version that stood there when it was asked for."""
    found: dict[str, list[Place]] = {}
    for place in rollback.in_environment(environment):
        there = stood.get((rollback.service, place.bad, place.name), ()) if place.bad else ()
        if before := [one for one in there if one[0] <= rollback.opened]:
            found.setdefault(max(before)[1], []).append(place)
    return found


def _order(facts: Facts) -> tuple[datetime, str]:
    return facts.opened, facts.run
