"""What the policies of this machine say about a plan and a version: conflicts with them, and both rules side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.commands import _output

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.rules.plan.plan import Plan
    from tasks.rules.policy.comparison import Line


def ask_policies(plan: Plan) -> tuple[list[str], list[Line]]:
    """Compare a plan with the policies beside the approval key; on a machine without them there is nothing to compare.

    Args:
        plan: The plan.

    Returns:
        Problems: where the plan is weaker, or that a policy cannot be read. Lines: the plan's and the policies' rules, and which counts.
    """
    from blocks.errors import Refused
    from tasks.approval.protection import load_policies
    from tasks.rules.policy.comparison import compare_rules
    from tasks.rules.policy.rules import conflicts

    try:
        policies = load_policies()
    except Refused as error:
        return [str(error)], []
    return conflicts(plan, policies), compare_rules(plan, policies)


def ask_source(plan: Plan, file: str, *, version: str | None) -> tuple[list[str], list[str]]:
    """Ask Git if a version comes from where the policies of the plan's blocks want it from, as a release does before anything else.

    Args:
        plan: The plan.
        file: The path that it was read from.
        version: The version that would be released; without one nothing is asked.

    Returns:
        Problems: that it comes from elsewhere, or is not signed. Notes: that Git could not be asked, as before there is a tag.
    """
    import asyncio

    from blocks.errors import Refused, ShipwayError
    from tasks.approval.protection import load_policies
    from tasks.evidence.inputs import read_plan
    from tasks.evidence.source import check_source
    from tasks.rules.policy.rules import policies_of

    async def ask(version: str) -> None:
        policies = [policy for policy in policies_of(plan, load_policies()) if policy.source is not None]
        if policies:
            await check_source.fn(await read_plan(file), version, policies)

    try:
        if version is not None:
            asyncio.run(ask(version))
    except Refused as error:
        return [str(error)], []
    except ShipwayError as error:
        return [], [f"{file}: where {version} comes from was not checked, as a policy asks: {error}"]
    return [], []


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
