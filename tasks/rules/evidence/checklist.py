"""Checklist before production: each line that the plan requires, checked against a fact; without a fact it does not pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.rules.analysis.outcome import Outcome, worst
from tasks.rules.evidence.dependencies import DependencyState
from tasks.rules.evidence.tests import TestEvidence
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import PRODUCTION, Place, production_of


@dataclass(frozen=True)
class Facts:
    """Facts for the checklist; None means not checked.

    Fields:
        tests: The evidence of each entry of the plan's `tests`, in its order.
        dependencies: The state of each entry of the plan's `dependencies`.
        platform_answers: Whether production's platform answered a read of its position.
        rollback_to: The version of a rollback, or None without one.
        first_deployment: Whether nothing runs in production yet, so that a rollback removes the canary.
        rehearsed: How the rehearsal of a rollback is judged, and why; None if none is asked for.
        readings: By SLI why its counts could not be read, "" if they could; None if not read.
        announced: Whether the announcement was sent, or None if not tried.
        commands: By the name of each of the checklist's commands, what it answered.
        targets: Of several targets, by environment, the facts of each: the platform's answer, the rollback version, the readings.
    """

    tests: Sequence[TestEvidence] | None = None
    dependencies: Sequence[DependencyState] | None = None
    platform_answers: bool | None = None
    rollback_to: str | None = None
    first_deployment: bool = False
    rehearsed: tuple[Outcome, str] | None = None
    readings: Mapping[str, str] | None = None
    announced: bool | None = None
    commands: Mapping[str, TestEvidence] = field(default_factory=dict)
    targets: Mapping[str, Facts] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One line of the checklist: its name in the plan, its outcome, and why."""

    name: str
    outcome: Outcome
    reason: str


def judge_checklist(plan: Plan, facts: Facts) -> list[Item]:
    """Judge every line that a fact answers and that the plan requires, its commands included.

    Args:
        plan: The plan.
        facts: The facts.

    Returns:
        One item for each required line; a release may continue if all are `passed`.
    """
    judged: dict[str, tuple[Outcome, str]] = {
        "tests_passed": _tests(plan, facts),
        "dependencies_verified": _dependencies(plan, facts),
        "rollback_ready": _everywhere(plan, facts, _rollback),
        "monitoring_on": _everywhere(plan, facts, lambda _, its: _monitoring(plan, its)),
        "team_told": _told(facts),
    }
    asked = [name for name, is_asked in plan.checklist.lines().items() if is_asked]
    commands = [one.name for one in plan.checklist.commands]
    return [
        *(Item(name, *judged.get(name, (Outcome.NO_DATA, "this line was not checked"))) for name in asked),
        *(Item(name, *_command(facts.commands.get(name))) for name in commands),
    ]


def all_passed(items: Sequence[Item]) -> bool:
    """Return whether every line passed."""
    return all(item.outcome == Outcome.PASSED for item in items)


def _tests(plan: Plan, facts: Facts) -> tuple[Outcome, str]:
    found = list(facts.tests or ())
    if facts.tests is None or len(found) < len(plan.tests):
        return Outcome.NO_DATA, f"{len(found)} of {len(plan.tests)} pieces of test evidence were read"
    return _worst([(one.outcome, one.reason) for one in found], none=(Outcome.NO_DATA, "the plan does not name test evidence"))


def _dependencies(plan: Plan, facts: Facts) -> tuple[Outcome, str]:
    if not plan.dependencies:
        return Outcome.PASSED, "the plan does not name dependencies"
    found = {one.name: one for one in facts.dependencies or ()}
    unread = [spec.name for spec in plan.dependencies if spec.name not in found]
    states = [(found[spec.name].outcome, found[spec.name].reason) for spec in plan.dependencies if spec.name in found]
    if unread:
        states.append((Outcome.NO_DATA, f"not checked: {', '.join(unread)}"))
    return _worst(states, none=(Outcome.NO_DATA, "not checked"))


def _worst(found: Sequence[tuple[Outcome, str]], *, none: tuple[Outcome, str]) -> tuple[Outcome, str]:
    if not found:
        return none
    decided = worst([outcome for outcome, _ in found])
    return decided, "; ".join(reason for outcome, reason in found if outcome == decided)


def _everywhere(plan: Plan, facts: Facts, judge: Callable[[Place, Facts], tuple[Outcome, str]]) -> tuple[Outcome, str]:
    """Judge production, or each of its targets by its own facts: the worst decides."""
    places = production_of(plan)
    if places[0].environment == PRODUCTION:
        return judge(places[0], facts)
    found = [(place.environment, *judge(place, facts.targets.get(place.environment, Facts()))) for place in places]
    return _worst([(outcome, f"{name}: {reason}") for name, outcome, reason in found], none=(Outcome.NO_DATA, "there is no target"))


def _rollback(place: Place, facts: Facts) -> tuple[Outcome, str]:
    if facts.platform_answers is None:
        return Outcome.NO_DATA, f"{place.platform} was not asked what runs"
    if not facts.platform_answers:
        return Outcome.FAILED, f"{place.platform} does not answer, so a rollback would fail"
    if facts.rollback_to is not None:
        known = f"{place.platform} answers, and {facts.rollback_to} can be rolled back to"
        outcome, reason = facts.rehearsed or (Outcome.PASSED, "")
        if outcome is not Outcome.PASSED:
            return outcome, reason
        return outcome, f"{known}; {reason}" if reason else known
    if facts.first_deployment:
        return Outcome.PASSED, "nothing runs yet: a rollback removes the canary"
    return Outcome.FAILED, "there is no version to roll back to; set `rollback.to`"


def _monitoring(plan: Plan, facts: Facts) -> tuple[Outcome, str]:
    if facts.readings is None:
        return Outcome.NO_DATA, "the SLIs' counts were not read"
    deciding = [sli.name for sli in plan.judgement.slis if sli.deciding]
    silent = {name: facts.readings.get(name, "it was not read") for name in deciding}
    if any(silent.values()):
        return Outcome.NO_DATA, "; ".join(f"no counts for {name}: {why}" for name, why in silent.items() if why)
    return Outcome.PASSED, f"counts of {', '.join(deciding)} were read"


def _command(found: TestEvidence | None) -> tuple[Outcome, str]:
    return (Outcome.NO_DATA, "the command was not run") if found is None else (found.outcome, found.reason)


def _told(facts: Facts) -> tuple[Outcome, str]:
    if facts.announced is None:
        return Outcome.NO_DATA, "the release was not announced"
    said = "no receiver acknowledged the announcement; `shipway doctor` says why"
    return (Outcome.PASSED, "the announcement was sent and acknowledged") if facts.announced else (Outcome.FAILED, said)
