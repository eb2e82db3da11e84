"""Windows and the list of steps: how long a wave of production needs, and whether any window is long enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import waves_of
from tasks.rules.rollout.history import Measured, estimate
from tasks.rules.rollout.steps import steps_of
from tasks.rules.windows import decision
from tasks.rules.windows.opening import Group
from tasks.rules.windows.schedule import Due, decide_due


def needed_for(plan: Plan, wave: int, history: Sequence[Measured] = ()) -> timedelta:
    """Give the time that a wave is taken to need: the longest by its steps, or by what earlier releases took, as the plan says.

    Args:
        plan: The plan.
        wave: The wave, from 1.
        history: The releases of the service that were measured; none for the longest time.
    """
    return timedelta(seconds=estimate(plan, wave, history).seconds)


def preparation_for(plan: Plan) -> timedelta:
    """Give the longest time from the start of a release until people are asked: evidence, staging and its verification."""
    return timedelta(seconds=sum(step.longest_seconds for step in takewhile(lambda step: step.kind != "gate", steps_of(plan))))


def windows_fault(plan: Plan, groups: Sequence[Group], at: datetime, history: Sequence[Measured] = ()) -> str:
    """Say why a wave of this plan could never begin, from a moment on; "" if each can."""
    needed = max(needed_for(plan, number, history) for number in range(1, len(waves_of(plan)) + 1))
    return decision.fault(groups, at, needed=needed, if_too_short=plan.windows.if_too_short)


def decide_wave(
    plan: Plan, groups: Sequence[Group], at: datetime, *, wave: int, due: Due | None = None, said: decision.TooShort | None = None,
    history: Sequence[Measured] = (),
) -> decision.Decision:  # fmt: skip
    """Decide whether a wave begins at a moment, see `decision.decide`.

    Args:
        plan: The plan.
        groups: Its windows, and those of its policies.
        at: The moment (UTC).
        wave: Which one, from 1.
        history: The releases of the service that were measured.
        said: What people said about what may be too short; None if they were not asked.
        due: When the release was scheduled for. Only the first wave looks at it: what has begun finishes.
    """

    def by_windows(moment: datetime) -> decision.Decision:
        return decision.decide(groups, moment, needed=needed_for(plan, wave, history), if_too_short=said or plan.windows.if_too_short)

    return by_windows(at) if due is None or wave > 1 else decide_due(by_windows, due, at)
