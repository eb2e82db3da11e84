"""Windows of a plan and of the policies that protect its production: it may change only while all of them are open."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.rules.plan.plan import Plan
from tasks.rules.policy.policy import Policy
from tasks.rules.policy.rules import policies_of
from tasks.rules.windows.opening import Group


def turns_of(plan: Plan, policies: Sequence[Policy]) -> list[str]:
    """List the groups in which this plan's production takes turns with other services, by name: the plan's, and those of its policies."""
    windows = [plan.windows, *(policy.windows for policy in policies_of(plan, policies))]
    return sorted({one.one_at_a_time for one in windows if one.one_at_a_time})


def groups_of(plan: Plan, policies: Sequence[Policy]) -> list[Group]:
    """Give the windows of a plan and of each policy that protects its blocks, a group each; none for one without windows."""
    groups = [plan.windows.group("plan"), *(policy.windows.group(f"policy {policy.name}") for policy in policies_of(plan, policies))]
    return [group for group in groups if group]
