"""What Git has still to be told of a rollback that went on without it: found by the keeper, and done once Git is back."""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable

from prefect import task
from prefect.exceptions import ObjectNotFound

from blocks.errors import Refused, ShipwayError
from blocks.key_folder.places import kept_blocks, read_place
from blocks.outside_text import error_text
from blocks.platform import Lease, Platform
from tasks.lifecycle.keeper_acts import lives
from tasks.lifecycle.retries import OBSERVE
from tasks.record.journal import say
from tasks.rollout.as_deployed import load_platform_to_roll_back

OWNER, KIND = "keeper ", "gitops"
LOOK_SECONDS, TELL_SECONDS = 30, 300


@runtime_checkable
class TellsGit(Platform, Protocol):
    """A platform that may owe Git something: `GitOpsPlatform`, which is not imported here, as every keeper would pay for that."""

    async def is_due(self) -> bool:
        """Say whether Git has still to be told of a rollback."""
        ...

    async def settle(self, lease: Lease) -> str:
        """Tell Git, and end the hold."""
        ...


@task(name="tell git what is due", **OBSERVE)
async def tell_git_what_is_due(run: str) -> list[str]:
    """Look at every GitOps block through which releases acted, and tell Git what is due; an environment with another owner is left alone.

    Args:
        run: Flow run id of the keeper, which owns an environment meanwhile: the next keeper begins before a slow one ends.

    Returns:
        What was done, a line each.
    """
    found = await asyncio.gather(*(_tell(name, f"{OWNER}{run}") for name in await _names()))
    return [line for line in found if line]


async def _names() -> list[str]:
    """List the GitOps blocks through which releases acted, also those that were deleted since.

    Nothing can be due by any other: whoever has the API's password can make one of true and false parts, which ends a hold while Git still
    says the bad version.
    """
    return [one for one in await asyncio.to_thread(kept_blocks, KIND) if await asyncio.to_thread(_is_readable, one)]


def _is_readable(block: str) -> bool:
    try:
        return read_place(block) is not None
    except Refused as error:
        say(f"{error_text(error)}. Git is not told by it")
        return False


async def _tell(name: str, owner: str) -> str:
    """See to one block; one that does not answer keeps no other from it."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            platform = await load_platform_to_roll_back(name, field=name, looks=False)
            if not isinstance(platform, TellsGit):
                return ""
            left = await _is_left(platform)
            if not left and not await platform.is_due():
                return ""
            platform = await load_platform_to_roll_back(name, field=name)
            if not isinstance(platform, TellsGit):
                return ""
        return await _settle(platform, name, owner, takeover=left)
    except (ShipwayError, TimeoutError) as error:
        say(f"{name}: {error_text(error) or 'no answer in time'}")
        return ""


async def _is_left(platform: TellsGit) -> bool:
    """Say whether a keeper that died still owns the environment."""
    owner = (await platform.current())["owner"] or ""
    if not owner.startswith(OWNER):
        return False
    try:
        return not await lives.fn(owner.removeprefix(OWNER))
    except ObjectNotFound:
        return True


async def _settle(platform: TellsGit, name: str, owner: str, *, takeover: bool) -> str:
    try:
        lease = await platform.acquire_lease(owner, takeover=takeover)
    except Refused:
        return ""  # a run acts there, which tells Git itself, or another keeper
    try:
        async with asyncio.timeout(TELL_SECONDS):
            done = await platform.settle(lease)
    finally:
        await platform.release_lease(lease)
    return f"{name}: {done}" if done else ""
