"""How an environment would be rolled back by a plan."""

from __future__ import annotations

from collections.abc import Mapping

from blocks.platform import Platform, Position
from flows.lifecycle.context import Phase
from flows.rollout.migrations import read_here
from flows.rollout.moved import versions_before
from flows.rollout.under_way import DECISION, rollback_under_way
from tasks.lifecycle.clock import now
from tasks.record.left import find_left
from tasks.rules.rollout.bad_name import BadName, name_given
from tasks.rules.rollout.left import to_go_on
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback


async def choice_for(
    phase: Phase,
    platform: Platform,
    position: Position,
    *,
    environment: str,
    to: str,
    bad: str,
    is_first: bool = False,
    names: Mapping[str, BadName] | None = None,
) -> RollbackChoice:
    """Choose how to roll an environment back that is as this position says.

    The bad version may have another name there by now, see `tasks.rules.rollout.version_name`. What the release found there is not it, nor
    what is not meant by its name, see `tasks.rules.rollout.bad_name`. Where another rollback is under way, or ended half-way, one that
    names no version goes on with it.

    Args:
        phase: The release, or the rollback on demand.
        platform: The environment.
        position: What it runs.
        environment: Its name.
        to: The version to return to, or `previous`.
        bad: The version to get rid of, as all environments know it; "" for the newest there.
        is_first: Whether a release is rolled back that found nothing running there.
        names: By which names environments know it, while that is not decided yet.
    """
    stands = await rollback_under_way(phase, platform, position, environment)
    to = to_go_on(position, stands, to=to, bad=bad) if stands else to
    fixed = phase.plan.rollback.to
    before = (await versions_before(phase)).get(environment)
    name = (names or {}).get(environment) or await bad_name(phase, platform, position, environment=environment, bad=bad)
    others = name.not_meant(position)
    return choose_rollback(
        baseline=position["baseline"],
        canary=position["canary"],
        previous=position["previous"],
        bad=name.bad or bad or None,
        to=to,
        fallback=None if fixed == "previous" else fixed,
        is_first=is_first,
        others=others | {before} if before else others,
        configuration=position.get("configuration", ""),
        replaced=position.get("replaced", ""),
    )


async def bad_name(phase: Phase, platform: Platform, position: Position, *, environment: str, bad: str) -> BadName:
    """Give the name of the bad version in an environment: as it was decided, else as a person or a release named it."""
    decided = await phase.read("rollback", name=DECISION)
    known = decided.evidence.get("names", {}).get(environment) if decided else None
    if known is not None:
        return BadName(**known)
    left = await find_left(phase.plan.service, here=await read_here(phase, platform, environment)) if bad else None
    return name_given(position, left, bad=bad, at=now())
