"""The steps of a release, one list made from the plan: summary, longest time, progress and verifications all come from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.rules.plan.checklist import CLOSING, Before
from tasks.rules.plan.data import Moment
from tasks.rules.plan.migrations import When
from tasks.rules.plan.plan import Judgement, Plan, Step
from tasks.rules.plan.targets import STAGING, Place, waves_of
from tasks.rules.plan.verification import CheckKind, SmokeTest
from tasks.rules.record.entries import Entry, Kind
from tasks.rules.record.view import POST_DEPLOY
from tasks.rules.rollout.migrations import due

StepKind = Literal[
    "pre_deploy", "ticks", "gate", "window", "migrate", "deploy", "prepare", "verify", "shift", "watch", "promote", "post_deploy",
]  # fmt: skip
BEFORE_TRAFFIC: tuple[CheckKind, ...] = ("health", "basic", "critical")
ALL_CHECKS: tuple[CheckKind, ...] = (*BEFORE_TRAFFIC, "integration", "performance")
VERIFIED = "verified"  # the name of a verdict on the checks before and after a share of traffic
WITHOUT_CANARY = "rolling"  # the strategy that starts no pod of a version before its first share


class PlannedStep(BaseModel):
    """One thing that a release does."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: StepKind
    """What it does; `deploy` starts a version, gives it all traffic and retires the baseline, as in staging."""
    environment: str = ""
    """Where: `staging`, `production`, `production/eu`; "" for the whole release."""
    wave: Annotated[int, Field(ge=0)] = 0
    """The wave of a target, from 1; its targets go side by side. 0 outside of production."""
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """The share of the traffic that the canary has then: 0 before its first. None if no share is concerned."""
    name: str = ""
    """A migration's name; of a window, and of what people tick, the name of its entry."""
    when: When | None = None
    """A migration's moment."""
    checks: tuple[CheckKind, ...] = ()
    """The kinds of checks that a verification makes."""
    whole: bool = False
    """Whether a verification is the whole one, with data suites and error monitoring."""
    longest_seconds: Annotated[float, Field(ge=0)] = 0
    """The longest time that it takes when it goes well, with the turns that targets beside it take, without the time of people."""


def steps_of(plan: Plan) -> tuple[PlannedStep, ...]:
    """List what a release does, in order; the targets of a wave stand one after the other and go side by side.

    Args:
        plan: The plan.

    Returns:
        The steps, each with its longest time in seconds.
    """
    staging = plan.staging.ready_timeout_seconds
    return (
        PlannedStep(kind="pre_deploy", longest_seconds=_evidence_seconds(plan)),
        *_ticks(plan, "staging"),
        *_migrations(plan, STAGING, "before"),
        PlannedStep(kind="deploy", environment=STAGING, longest_seconds=staging),
        *_migrations(plan, STAGING, "after"),
        _whole(plan, STAGING),
        *_ticks(plan, "production"),
        PlannedStep(kind="gate"),
        *(step for number, wave in enumerate(waves_of(plan), start=1) for step in _wave(plan, wave, number)),
        PlannedStep(
            kind="post_deploy",
            checks=("health",),
            longest_seconds=plan.verification.stability.timeout_seconds + _data_seconds(plan, "post_deploy"),
        ),
        *_ticks(plan, CLOSING),
    )


def longest_seconds(plan: Plan) -> float:
    """Add up how long a release can take that goes well, without waiting for people.

    Returns:
        Seconds: all steps at their limits, and of the targets in a wave the one that takes longest.
    """
    waves = (list(wave) for _, wave in groupby(steps_of(plan), key=lambda step: step.wave))
    return sum(max(sum(step.longest_seconds for step in path) for path in paths_of(wave)) for wave in waves)


def longest_seconds_of_wave(plan: Plan, number: int) -> float:
    """Give how long a wave of production can take that goes well; the last one with what is verified behind it."""
    steps = steps_of_wave(steps_of(plan), number)
    behind = sum(step.longest_seconds for step in steps if step.kind == "post_deploy")
    paths = paths_of([step for step in steps if step.wave == number])
    return max(sum(step.longest_seconds for step in path) for path in paths) + behind


def longest_watch_seconds(plan: Plan, number: int) -> float:
    """Give how long the watches of a wave take together if each needs its whole time, without anything between them."""
    paths = paths_of([step for step in steps_of(plan) if step.wave == number])
    return max(sum(step.longest_seconds for step in path if step.kind == "watch") for path in paths)


def steps_of_wave(steps: Sequence[PlannedStep], number: int) -> list[PlannedStep]:
    """Choose the steps of a wave; the last one has those behind production, too."""
    is_last = number == max((step.wave for step in steps), default=0)
    return [step for step in steps if step.wave == number or (is_last and step.kind == "post_deploy")]


def window_name(wave: int) -> str:
    """Name the entry that says that production is open for a wave, counted from 1."""
    return f"window {wave}"


def ticks_name(before: Before) -> str:
    """Name the entry that says that the items before a phase are ticked."""
    return f"checklist {before}"


def verification_at(plan: Plan, environment: str, percent: int) -> PlannedStep | None:
    """Find the verification of a canary at a share of the traffic: 0 before its first one, else after that step.

    Returns:
        The step; None where the plan asks for none there. The whole verification behind the last step is another, see `steps_of`.
    """
    found = (step for step in steps_of(plan) if step.kind == "verify" and step.environment == environment and not step.whole)
    return next((step for step in found if step.percent == percent), None)


def smoke_in(plan: Plan, checks: Sequence[CheckKind]) -> list[SmokeTest]:
    """Choose the smoke tests whose kinds are among the checks, in the plan's order."""
    return [test for test in plan.verification.smoke if test.kind in checks]


def is_done(step: PlannedStep, entries: Iterable[Entry], *, version: str) -> bool:
    """Say whether a record has what a step leaves there when it is done, whatever its outcome was.

    Args:
        step: The step.
        entries: The record, or a part of it.
        version: The version under release: a verification of another one is that of a rollback.
    """
    return any(_leaves(step, entry, version) for entry in entries)


def done_in(steps: Sequence[PlannedStep], entries: Iterable[Entry], *, version: str) -> list[PlannedStep]:
    """List the steps that a record says were done, in the order in which it says so, each once."""
    found = [step for entry in entries for step in steps if _leaves(step, entry, version)]
    return list(dict.fromkeys(found))


def paths_of(steps: Sequence[PlannedStep]) -> list[list[PlannedStep]]:
    """Part the steps of one wave by target; outside of production there is one path."""
    if not steps[0].wave:
        return [list(steps)]
    return [[step for step in steps if step.environment == name] for name in dict.fromkeys(step.environment for step in steps)]


def _ticks(plan: Plan, before: Before) -> list[PlannedStep]:
    """List the wait for people who tick items before a phase, if the plan has a required one there."""
    asks = any(item.required for item in plan.checklist.items_before(before))
    return [PlannedStep(kind="ticks", name=ticks_name(before))] if asks else []


def _wave(plan: Plan, places: Sequence[Place], number: int) -> list[PlannedStep]:
    """List the wait for a window, if the plan has windows, and the way through each target of a wave."""
    waits = [PlannedStep(kind="window", name=window_name(number))] if plan.windows.are_there() else []
    return [*waits, *(step for place in places for step in _through(plan, place, wave=number, beside=len(places)))]


def _through(plan: Plan, place: Place, *, wave: int, beside: int) -> list[PlannedStep]:
    """List the way through one environment of production, with so many targets side by side."""
    name, limit = place.environment, place.ready_timeout_seconds
    steps = [
        *_migrations(plan, name, "before", beside=beside),
        PlannedStep(kind="prepare", environment=name, longest_seconds=limit),
    ]
    if place.strategy != WITHOUT_CANARY:
        steps.append(_verify(plan, name, percent=0, checks=BEFORE_TRAFFIC, beside=beside))
    for number, step in enumerate(place.steps, start=1):
        steps += _share(plan, name, step, is_last=number == len(place.steps), beside=beside)
    steps += [
        _whole(plan, name, beside=beside),
        PlannedStep(kind="promote", environment=name),
        *_migrations(plan, name, "after", beside=beside),
    ]
    return [step.model_copy(update={"wave": wave}) for step in steps]


def _share(plan: Plan, environment: str, step: Step, *, is_last: bool, beside: int) -> list[PlannedStep]:
    """List one increment: shift, watch, and the checks that the plan asks for; behind the last one stands the whole verification."""
    checks = plan.verification.verify_steps
    found = [PlannedStep(kind="shift", environment=environment, percent=step.percent)]
    if step.watch_seconds:
        seconds = step.watch_seconds + extension_seconds(plan.judgement, step)
        found.append(PlannedStep(kind="watch", environment=environment, percent=step.percent, longest_seconds=seconds))
    if checks and not is_last:
        found.append(_verify(plan, environment, percent=step.percent, checks=checks, beside=beside))
    return found


def extension_seconds(judgement: Judgement, step: Step) -> float:
    """Give how much longer an inconclusive step is watched: 0 if the plan does not extend."""
    if judgement.inconclusive != "extend":
        return 0
    return judgement.extend_seconds or step.watch_seconds


def _verify(plan: Plan, environment: str, *, percent: int, checks: Sequence[CheckKind], beside: int) -> PlannedStep:
    seconds = _checks_seconds(plan, checks, beside=beside)
    return PlannedStep(kind="verify", environment=environment, percent=percent, checks=tuple(checks), longest_seconds=seconds)


def _whole(plan: Plan, environment: str, *, beside: int = 1) -> PlannedStep:
    """Give the whole verification of an environment."""
    moment: Moment = "staging" if environment == STAGING else "production"
    seconds = _checks_seconds(plan, ALL_CHECKS, beside=beside) + _data_seconds(plan, moment) * beside
    return PlannedStep(kind="verify", environment=environment, checks=ALL_CHECKS, whole=True, longest_seconds=seconds)


def _migrations(plan: Plan, environment: str, when: When, *, beside: int = 1) -> list[PlannedStep]:
    """List the migrations of a moment; targets side by side take turns."""
    return [
        PlannedStep(kind="migrate", environment=environment, name=one.name, when=when, longest_seconds=one.timeout_seconds * beside)
        for one in due(plan.migrations, environment=environment, when=when)
    ]


def _evidence_seconds(plan: Plan) -> float:
    asked = max((one.timeout_seconds for one in plan.dependencies), default=0)
    commands = max((one.timeout_seconds for one in plan.checklist.commands), default=0)
    return sum(getattr(one, "timeout_seconds", 0) for one in plan.tests) + asked + commands


def _data_seconds(plan: Plan, moment: Moment) -> float:
    """Give the longest time of a moment's data suites, which are judged side by side."""
    return max((suite.timeout_seconds for suite in plan.data if moment in suite.when), default=0)


def _checks_seconds(plan: Plan, checks: Sequence[CheckKind], *, beside: int) -> float:
    """Give the longest time of checks; smoke tests keep to the plan's limits over all targets that are verified at the same time."""
    smoke, limit = smoke_in(plan, checks) * beside, plan.verification.smoke_concurrency
    alone = sum(test.timeout_seconds for test in smoke if test.kind == "performance")
    quick = [test.timeout_seconds for test in smoke if test.kind != "performance"]
    longest = max(quick, default=0)
    waited = (sum(quick) - longest) / limit if len(quick) > limit else 0
    health = plan.verification.stability.timeout_seconds if "health" in checks else 0
    return health + longest + waited + alone


def _leaves(step: PlannedStep, entry: Entry, version: str) -> bool:
    """Say whether an entry is the one that a step leaves in the record."""
    kind, names = _TRACES[step.kind]
    if step.kind in {"window", "ticks"}:
        names = (step.name,)
    if step.kind == "migrate":
        names = (f"{step.name} applied",)
    if step.whole:
        names = (version,)
    share = step.percent if step.kind in _BY_SHARE else None
    return (entry.kind, entry.environment, entry.step) == (kind, step.environment, share) and entry.name in names


_BY_SHARE = ("shift", "watch", "verify")
_TRACES: dict[StepKind, tuple[Kind, tuple[str, ...]]] = {
    "pre_deploy": ("checklist", ("",)),
    "ticks": ("gate", ()),
    "gate": ("gate", ("unchanged",)),
    "window": ("gate", ()),
    "migrate": ("migration", ()),
    "deploy": ("effect", ("promote",)),
    "prepare": ("effect", ("prepare",)),
    "verify": ("verdict", (VERIFIED,)),
    "shift": ("effect", ("shift",)),
    "watch": ("verdict", ("watch", "extended watch")),
    "promote": ("effect", ("promote",)),
    "post_deploy": ("verdict", (POST_DEPLOY,)),
}
