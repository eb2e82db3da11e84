"""How an environment would be rolled back by a plan."""

from __future__ import annotations

from blocks.platform import Platform, Position
from flows.lifecycle.context import Phase
from flows.rollout.migrations import read_here
from flows.rollout.moved import versions_before
from flows.rollout.under_way import rollback_under_way
from tasks.record.left import find_left
from tasks.rules.rollout.left import to_go_on
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback


async def choice_for(
    phase: Phase, platform: Platform, position: Position, *, environment: str, to: str, bad: str, is_first: bool = False
) -> RollbackChoice:
    """Choose how to roll an environment back that is as this position says.

    The bad version may have another name there by now, see `tasks.rules.rollout.version_name`. What the release found there, and what the
    rollback from that version brought back, is not it. Where another rollback is under way, or ended half-way, one that names no version
    goes on with it.
    """
    stands = await rollback_under_way(phase, platform, position, environment)
    to = to_go_on(position, stands, to=to, bad=bad) if stands else to
    fixed = phase.plan.rollback.to
    before = (await versions_before(phase)).get(environment)
    left = await find_left(phase.plan.service, here=await read_here(phase, platform, environment), version=bad) if bad else None
    return choose_rollback(
        baseline=position["baseline"],
        canary=position["canary"],
        previous=position["previous"],
        bad=bad or None,
        to=to,
        fallback=None if fixed == "previous" else fixed,
        is_first=is_first,
        others={name for name in (before, left and left.serves) if name},
        configuration=position.get("configuration", ""),
        replaced=position.get("replaced", ""),
    )
