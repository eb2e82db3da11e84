"""Windows of a plan and of the policies that protect its production: it may change only while all of them are open."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.rules.plan.plan import Plan
from tasks.rules.policy.policy import Policy
from tasks.rules.policy.rules import policies_of
from tasks.rules.windows.opening import Group


def turns_of(plan: Plan, policies: Sequence[Policy]) -> list[str]:
    """List the groups in which this plan's production takes turns with other services: the plan's, and those of its policies.

    Whoever writes a plan can name any group. So a group of policies has another name, which is not one that a plan can write.
    """
    own = {plan.windows.one_at_a_time} if plan.windows.one_at_a_time else set()
    theirs = {policy.windows.one_at_a_time for policy in policies_of(plan, policies)}
    return sorted(own | {f"{name} of the policies" for name in theirs if name})


def groups_of(plan: Plan, policies: Sequence[Policy]) -> list[Group]:
    """Give the windows of a plan and of each policy that protects its blocks, a group each; none for one without windows."""
    groups = [plan.windows.group("plan"), *(policy.windows.group(f"policy {policy.name}") for policy in policies_of(plan, policies))]
    return [group for group in groups if group]
