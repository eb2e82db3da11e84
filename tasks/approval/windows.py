"""Windows of production now: those of a plan and its policies, and the quietest time of the week if the plan asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from blocks.errors import BadInput
from tasks.lifecycle.clock import now
from tasks.lifecycle.quietest import known_for
from tasks.rules.analysis.request_counter import asked_in
from tasks.rules.plan.plan import Plan
from tasks.rules.policy.policy import Policy
from tasks.rules.policy.windows import groups_of
from tasks.rules.windows.opening import Group
from tasks.rules.windows.quietest import closed_window, quietest_window
from tasks.rules.windows.window import Window


def groups_now(plan: Plan, policies: Sequence[Policy]) -> list[Group]:
    """Give production's windows, a group each; the quietest time is one of its own, so that it can only make the others stricter.

    Args:
        plan: The plan.
        policies: The policies on this machine.
    """
    groups = groups_of(plan, policies)
    return groups if plan.windows.quietest is None else [*groups, (_quietest(plan, plan.windows.quietest.owner),)]


def _quietest(plan: Plan, owner: str) -> Window:
    kept, problem = known_for(plan)
    try:
        asked = asked_in(plan)
    except BadInput as error:
        problem, asked = str(error), None
    if problem or asked is None:
        return closed_window(problem, zone="UTC", owner=owner)
    chosen, fault = (kept.chosen, kept.fault) if kept else (None, "")
    return quietest_window(chosen, asked, now(), owner=owner, fault=fault)
