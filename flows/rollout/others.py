"""Environments that a rollback on demand leaves alone: no release ever acted through their blocks, and they point to what is another's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from blocks.errors import ShipwayError
from blocks.key_folder.owners import owner_file
from flows.lifecycle.context import Phase, platform_of
from tasks.approval.protection import is_anothers
from tasks.evidence.acted_plans import acts_for_others
from tasks.rules.plan.targets import place_of


async def faults_of_others(phase: Phase, environments: Sequence[str]) -> dict[str, str]:
    """Say of which environments another service or section has something that a rollback would change.

    Where a release acted, its own settings count (`keys/places`), so that no edit of a block refuses a rollback; and one that has begun in
    an environment goes on there. It must have acted for this service and section: under another name a rollback would cross its contracts.

    Returns:
        Why, by environment; those that may be rolled back are left out.
    """

    async def look(environment: str) -> str:
        if await phase.read("rollback", environment=environment, name="choice"):
            return ""
        place = place_of(phase.plan, environment)
        if whose := await acts_for_others(phase.plan.service, place):
            what = f"releases acted through {place.platform} for {whose} alone, so {environment} of {phase.plan.service} is not rolled back"
            return f"{what}; if it was renamed, let the platform team say so in {owner_file(place.platform)}"
        try:
            found = await is_anothers(phase.plan, place, await platform_of(phase.plan, environment))
        except ShipwayError:
            return ""  # its rollback says what keeps it from that
        return f"no release ever acted through {place.platform}, and it is not rolled back: {found}" if found else ""

    faults = await asyncio.gather(*map(look, environments))
    return {name: fault for name, fault in zip(environments, faults, strict=True) if fault}
