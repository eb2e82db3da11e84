"""What the policies of this machine say about a plan: its conflicts with them, and both rules side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.commands import _output

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.rules.plan.plan import Plan
    from tasks.rules.policy.rules import Line


def ask_policies(plan: Plan) -> tuple[list[str], list[Line]]:
    """Compare a plan with the policies beside the approval key; on a machine without them there is nothing to compare.

    Args:
        plan: The plan.

    Returns:
        Problems: where the plan is weaker, or that a policy cannot be read. Lines: the plan's and the policies' rules, and which counts.
    """
    from blocks.errors import Refused
    from tasks.approval.protection import load_policies
    from tasks.rules.policy.rules import compare_rules, conflicts

    try:
        policies = load_policies()
    except Refused as error:
        return [str(error)], []
    return conflicts(plan, policies), compare_rules(plan, policies)


def print_rules(lines: list[Line]) -> None:
    """Print the rules as a table; nothing without a policy."""
    if not lines:
        return
    rows = [("rule", "the plan", "the policy", "counts"), *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    _output.show("\nThe platforms are protected by a policy; the stricter rule counts:\n")
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, (*widths, 0), strict=True)]
        _output.show("  " + "  ".join(cells).rstrip())
