"""A rollback that ended half-way holds releases up: the version that it brought has requests, and a release would give them back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from blocks.errors import Refused
from blocks.outside_text import error_text
from blocks.platform import Lease, Platform, Position
from flows.lifecycle.acting import note_lease
from flows.lifecycle.context import Phase, platform_of
from flows.rollout.migrations import read_here
from tasks.lifecycle.retries import retried
from tasks.record.journal import say
from tasks.record.left import find_last, find_left, is_any_left
from tasks.rollout.rollout import acquire_lease, is_in_place, read_position, release_lease
from tasks.rules.rollout.left import Left, is_half_done


async def expect_no_half_rollback(phase: Phase, environments: Sequence[str], *, version: str) -> None:
    """Look whether a rollback ended half-way in one of these environments, before anything of a release moves.

    Raises:
        Refused: It did; names what finishes it.
    """

    async def look(environment: str) -> str:
        return await _fault(phase, await platform_of(phase.plan, environment), environment, version=version)

    if faults := [fault for fault in await asyncio.gather(*map(look, environments)) if fault]:
        raise Refused("; ".join(faults))


async def lease_for_release(phase: Phase, platform: Platform, environment: str, *, version: str) -> Lease:
    """Acquire the lease of a release, unless a rollback ended half-way here; from then on a rollback that begins fences the release out.

    Raises:
        Refused: It did, or another run owns the environment; this one does not own it then, so it rolls nothing back.
    """
    if fault := await _fault(phase, platform, environment, version=version):
        raise Refused(fault)
    lease = await retried(acquire_lease)(platform, owner=phase.owner)
    if fault := await _fault(phase, platform, environment, version=version):
        try:
            await retried(release_lease)(platform, owner=phase.owner)
        except Exception as error:  # noqa: BLE001 - it is released at the end of the run
            say(f"the lease of {environment} could not be released: {error_text(error)}")
        raise Refused(fault)
    note_lease(environment, lease)
    return lease


async def _fault(phase: Phase, platform: Platform, environment: str, *, version: str) -> str:
    """Say which rollback is half done, and how it is finished; "" if none is."""
    if not await is_any_left():
        return ""
    here, position = await read_here(phase, platform, environment), await retried(read_position)(platform)
    baseline = position["baseline"]
    if baseline is None or position["canary"] is None:
        return ""
    left = await find_last(phase.plan.service, here=here, baseline=baseline)
    present = position.get("configuration", "")
    is_left = await find_left(phase.plan.service, here=here, version=baseline, present=present) is not None
    if is_half_done(position, left, version=version, is_left=is_left, in_place=is_in_place(platform)):
        return _in_words(position, left, environment)
    return ""


def _in_words(position: Position, left: Left | None, environment: str) -> str:
    """Say it, with each way to a state in which a release may begin: one of them helps if what was to be brought back never comes up."""
    baseline, canary = position["baseline"], position["canary"]
    by = f"the rollback {left.run} from {baseline}" if left is not None and left.run else f"a rollback from {baseline}"
    is_open = left is not None and left.is_open
    how = "under way" if is_open else "half done"
    has = "has requests there" if position["percent"] else "may have requests there"
    what = f"{by} is {how} in {environment}: {canary} {has}, and a release would give them back to {baseline}"
    first = f"finish it first with `shipway rollback`; if {canary} cannot be brought back, decide on the worker's machine"
    ways = f"`--to VERSION --here` brings an older version, `--bad {canary} --here` lets {baseline} serve again"
    fix = f"{first}: {ways}"
    return f"{what}; {'wait for its end, or ' if is_open else ''}{fix}. Then release again"
