"""How an environment would be rolled back by a plan."""

from __future__ import annotations

from blocks.platform import Position
from flows.lifecycle.context import Phase
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback


def choice_for(phase: Phase, position: Position, *, to: str, bad: str, is_first: bool = False) -> RollbackChoice:
    """Choose how to roll an environment back that is as this position says."""
    fixed = phase.plan.rollback.to
    return choose_rollback(
        baseline=position["baseline"],
        canary=position["canary"],
        previous=position["previous"],
        bad=bad or None,
        to=to,
        fallback=None if fixed == "previous" else fixed,
        is_first=is_first,
    )
