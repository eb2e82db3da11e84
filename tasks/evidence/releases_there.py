"""Which open releases act where a rollback does: by the plans that are kept of them, since a plan may call a service by any name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from pydantic import ValidationError

from blocks.errors import Refused
from blocks.key_folder.places import read_place
from tasks.evidence.begun import read_begun
from tasks.lifecycle.kept_runs import blocks_of
from tasks.lifecycle.lock import under_way
from tasks.lifecycle.retries import retried
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.request import round_of
from tasks.rules.plan.targets import Place, place_of, places_of

Where = tuple[int, str]  # a round of a release, and an environment of its plan in that round


async def releases_there(plan: Plan, environments: Sequence[str], *, besides: str) -> dict[str, list[Where]]:
    """Find the service's open releases that are about one of these environments.

    Args:
        plan: The plan of who asks.
        environments: Which of its environments.
        besides: The run that asks.

    Returns:
        By run, where an effect of it is one here: where its plan names the same block. That is nowhere for a release that has begun
        nothing, and for one whose block only led to the same when a release last acted through it: a cluster may say that of itself.
    """
    blocks = {place_of(plan, environment).platform for environment in environments}
    led_to = await _led_to(blocks)
    found: dict[str, list[Where]] = {}
    for run in await retried(under_way)(plan.service, besides=besides):
        begun = await _begun(run)
        named = {place.platform for _, place in begun} | set(await blocks_of(run))
        if named & blocks or await _led_to(named) & led_to:
            found[run] = [(number, place.environment) for number, place in begun if place.platform in blocks]
    return found


async def _begun(run: str) -> list[tuple[int, Place]]:
    """Give the environments that a release acts on from its first change on, with the round; none if that cannot be read."""
    with suppress(Refused, ValidationError):
        plans = (await read_begun(run)).plans
        return [(round_of(scope), place) for scope, taken in plans.items() for place in places_of(taken.parsed())]
    return []


async def _led_to(blocks: Iterable[str]) -> set[str]:
    """Give what blocks pointed to when a release last acted through them, as far as that is known."""
    found: set[str] = set()
    for block in blocks:
        with suppress(Refused):
            kept = await asyncio.to_thread(read_place, block)
            found |= {kept.identity} if kept else set()
    return found - {""}
