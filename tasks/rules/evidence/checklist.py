"""The checklist before production: each line that the plan asks for, checked against a fact; without one it is not passed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tasks.rules.analysis import outcome as outcomes
from tasks.rules.evidence.dependencies import DependencyState
from tasks.rules.evidence.tests import TestEvidence
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import PRODUCTION, Place, production_of

Outcome = Literal["passed", "failed", "no_data", "error"]


@dataclass(frozen=True)
class Facts:
    """What is known when the checklist is judged; None means that nobody looked.

    Fields:
        tests: The evidence of each entry of the plan's `tests`, in its order.
        dependencies: The state of each entry of the plan's `dependencies`.
        platform_answers: Whether production's platform answered when it was asked what runs.
        rollback_to: The version that a rollback would return to, or None where there is none.
        first_deployment: Whether nothing runs in production yet, so that going back means taking the canary away.
        readings: By SLI why its counts could not be read, "" where they could; None where nobody read.
        announced: Whether the announcement went out, or None where nobody tried.
        targets: Of several targets, by environment, the facts that each has for itself: the platform's answer, the way back, the readings.
    """

    tests: Sequence[TestEvidence] | None = None
    dependencies: Sequence[DependencyState] | None = None
    platform_answers: bool | None = None
    rollback_to: str | None = None
    first_deployment: bool = False
    readings: Mapping[str, str] | None = None
    announced: bool | None = None
    targets: Mapping[str, Facts] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One line of the checklist: its name in the plan, its outcome, and why."""

    name: str
    outcome: Outcome
    reason: str


def judge_checklist(plan: Plan, facts: Facts) -> list[Item]:
    """Judge every line that the plan asks for.

    Args:
        plan: The plan.
        facts: What is known.

    Returns:
        One item a line asked for; a release may go on when all are `passed`.
    """
    judged: dict[str, tuple[Outcome, str]] = {
        "tests_passed": _tests(plan, facts),
        "dependencies_verified": _dependencies(plan, facts),
        "rollback_ready": _everywhere(plan, facts, _rollback),
        "monitoring_on": _everywhere(plan, facts, lambda _, its: _monitoring(plan, its)),
        "team_told": _told(facts),
    }
    return [Item(name, *judged.get(name, ("no_data", "nothing checks this line"))) for name, asked in plan.checklist if asked]


def all_passed(items: Sequence[Item]) -> bool:
    """Return whether every line passed."""
    return all(item.outcome == "passed" for item in items)


def _tests(plan: Plan, facts: Facts) -> tuple[Outcome, str]:
    found = list(facts.tests or ())
    if facts.tests is None or len(found) < len(plan.tests):
        return "no_data", f"{len(found)} of {len(plan.tests)} pieces of test evidence were read"
    return _worst([(one.outcome, one.reason) for one in found], none=("no_data", "the plan names no test evidence"))


def _dependencies(plan: Plan, facts: Facts) -> tuple[Outcome, str]:
    if not plan.dependencies:
        return "passed", "the plan names no dependencies"
    found = {one.name: one for one in facts.dependencies or ()}
    unread = [spec.name for spec in plan.dependencies if spec.name not in found]
    states = [(found[spec.name].outcome, found[spec.name].reason) for spec in plan.dependencies if spec.name in found]
    if unread:
        states.append(("no_data", f"nobody asked {', '.join(unread)}"))
    return _worst(states, none=("no_data", "nobody asked"))


def _worst(found: Sequence[tuple[Outcome, str]], *, none: tuple[Outcome, str]) -> tuple[Outcome, str]:
    if not found:
        return none
    decides = outcomes.worst([outcomes.Outcome(outcome) for outcome, _ in found])
    decided = next(outcome for outcome, _ in found if outcome == decides)
    return decided, "; ".join(reason for outcome, reason in found if outcome == decided)


def _everywhere(plan: Plan, facts: Facts, judge: Callable[[Place, Facts], tuple[Outcome, str]]) -> tuple[Outcome, str]:
    """Judge production, or each of its targets by its own facts: the worst decides."""
    places = production_of(plan)
    if places[0].environment == PRODUCTION:
        return judge(places[0], facts)
    found = [(place.environment, *judge(place, facts.targets.get(place.environment, Facts()))) for place in places]
    return _worst([(outcome, f"{name}: {reason}") for name, outcome, reason in found], none=("no_data", "there is no target"))


def _rollback(place: Place, facts: Facts) -> tuple[Outcome, str]:
    if facts.platform_answers is None:
        return "no_data", f"nobody asked {place.platform} what runs"
    if not facts.platform_answers:
        return "failed", f"{place.platform} does not answer, so nothing could be taken back"
    if facts.rollback_to is not None:
        return "passed", f"{place.platform} answers, and {facts.rollback_to} can be returned to"
    if facts.first_deployment:
        return "passed", "nothing runs yet: going back means taking the new version away"
    return "failed", "there is no version to return to; set `rollback.to`"


def _monitoring(plan: Plan, facts: Facts) -> tuple[Outcome, str]:
    if facts.readings is None:
        return "no_data", "nobody read the SLIs' counts"
    deciding = [sli.name for sli in plan.judgement.slis if sli.deciding]
    silent = {name: facts.readings.get(name, "nobody read it") for name in deciding}
    if any(silent.values()):
        return "no_data", "; ".join(f"no counts for {name}: {why}" for name, why in silent.items() if why)
    return "passed", f"counts of {', '.join(deciding)} were read"


def _told(facts: Facts) -> tuple[Outcome, str]:
    if facts.announced is None:
        return "no_data", "nobody announced the release"
    return ("passed", "the announcement went out") if facts.announced else ("failed", "the announcement could not be sent")
