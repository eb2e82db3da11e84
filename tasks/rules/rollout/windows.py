"""Windows and the list of steps: how long a wave of production needs, and whether any window is long enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import waves_of
from tasks.rules.rollout.steps import longest_seconds_of_wave
from tasks.rules.windows import decision
from tasks.rules.windows.opening import Group


def needed_for(plan: Plan, wave: int) -> timedelta:
    """Give the longest time that a wave takes, from its steps; waves are counted from 1."""
    return timedelta(seconds=longest_seconds_of_wave(plan, wave))


def windows_fault(plan: Plan, groups: Sequence[Group], at: datetime) -> str:
    """Say why a wave of this plan could never begin, from a moment on; "" if each can."""
    needed = max(needed_for(plan, number) for number in range(1, len(waves_of(plan)) + 1))
    return decision.fault(groups, at, needed=needed, if_too_short=plan.windows.if_too_short)


def decide_wave(plan: Plan, groups: Sequence[Group], at: datetime, *, wave: int) -> decision.Decision:
    """Decide whether a wave begins at a moment, see `decision.decide`."""
    return decision.decide(groups, at, needed=needed_for(plan, wave), if_too_short=plan.windows.if_too_short)
