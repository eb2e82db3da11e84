"""Become the owner of what a release changes beside its workload, once its version has all requests there: all that belongs together."""

from __future__ import annotations

from blocks.platform import Platform
from blocks.touching import NotOwn, Touching
from flows.lifecycle.context import Phase
from tasks.approval.protection import own_environment
from tasks.lifecycle.retries import retried
from tasks.rollout.rollout import read_position
from tasks.rules.plan.targets import place_of


async def own_what_was_changed(phase: Phase, platform: Platform, environment: str) -> None:
    """Make the plan's service the owner of Service, route, Application and values, right before the version is promoted.

    Not earlier: a block may name another's, and a release that never got there would keep its owner from its own. If the version ran there
    already, nothing was changed.

    Raises:
        Refused: Another became the owner while this release was under way.
    """
    if not isinstance(platform, Touching) or (await retried(read_position)(platform))["canary"] is None:
        return
    try:
        await retried(own_environment)(phase.plan, place_of(phase.plan, environment), platform, claims=True)
    except NotOwn as error:  # as of a copy of the workload that others made since: the version that was verified stays
        what = f"what {environment} is reached by has no owner yet"
        await phase.append(what, kind="note", environment=environment, name="not owned", why=str(error))
