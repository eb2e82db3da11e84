"""Move an environment: acquire its lease, prepare a revision, shift its traffic, promote it, abort it.

Each effect converges and is fenced by the lease; the results of a release's steps are also cached.
"""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import task

from blocks.errors import WorldMoved
from blocks.platform import Endpoints, Lease, Platform, Position
from tasks.lifecycle.retries import OBSERVE_PLATFORM, ONCE_ON_PLATFORM
from tasks.rules.rollout.steps import WITHOUT_CANARY
from tasks.rules.rollout.version_name import named_there


@task(name="read position", **OBSERVE_PLATFORM)
async def read_position(platform: Platform) -> Position:
    """Read what an environment runs now."""
    return await platform.current()


@task(name="look at environment", **OBSERVE_PLATFORM)
async def look_at(platform: Platform) -> tuple[Position, Endpoints]:
    """Read what an environment runs now, and where the service and its revisions are reached."""
    position, endpoints = await asyncio.gather(platform.current(), platform.endpoints())
    return position, endpoints


@task(name="acquire lease", **OBSERVE_PLATFORM)
async def acquire_lease(platform: Platform, *, owner: str, takeover: str = "") -> Lease:
    """Become the owner of an environment; every attempt acquires it anew and so fences out an older copy of itself.

    Args:
        platform: The environment.
        owner: Id of the run that will act.
        takeover: Why it may be taken over from another owner; empty refuses instead.
    """
    return await platform.acquire_lease(owner, takeover=bool(takeover))


@task(name="release lease", **OBSERVE_PLATFORM)
async def release_lease(platform: Platform, *, owner: str) -> None:
    """Release an environment's lease, if this owner still holds it."""
    position = await platform.current()
    if position["owner"] == owner:
        await platform.release_lease(Lease(owner=owner, generation=position["generation"]))


@task(name="prepare revision", **ONCE_ON_PLATFORM)
async def prepare_revision(platform: Platform, *, version: str, lease: Lease, timeout_seconds: float, key: str) -> Position:  # noqa: ARG001
    """Start a version as the canary without traffic, and read back that it is ready.

    A version that comes back with its earlier configuration is called by it, too: `called` says how.
    """
    await platform.prepare(version, lease, timeout_seconds=timeout_seconds)
    position = await platform.current()
    if called(position, version) is None:
        raise WorldMoved(f"{version} was prepared, but {position['canary']} is the canary now; another deployment acts here")
    return position


def is_in_place(platform: Platform) -> bool:
    """Say whether a version replaces the baseline in its place there, by the platform's strategy."""
    return getattr(platform, "strategy", None) == WITHOUT_CANARY


def called(position: Position | dict[str, Any], version: str) -> str | None:
    """Say what a version that was prepared is called there, with the configuration that it runs with; None if it is not there."""
    names = [name for name in (position["canary"], position["baseline"]) if name]
    found = named_there(version, names, present=position.get("configuration", ""))
    return found if found in names else None


@task(name="shift traffic", **ONCE_ON_PLATFORM)
async def shift_traffic(platform: Platform, *, version: str, percent: int, lease: Lease, key: str) -> Position:  # noqa: ARG001
    """Shift a share of the traffic to the canary, and verify it."""
    position = await platform.current()
    if position["canary"] is None and position["baseline"] == version:
        return position
    expect_canary(position, version=version)
    await platform.shift(percent, lease)
    position = await platform.current()
    if position["percent"] != percent:
        raise WorldMoved(f"the canary gets {position['percent']} % of the traffic, not {percent} %; another deployment shifts it")
    return position


@task(name="promote revision", **ONCE_ON_PLATFORM)
async def promote_revision(platform: Platform, *, version: str, lease: Lease, key: str) -> Position:  # noqa: ARG001
    """Make the canary the baseline and retire the one before, and read back that it is so."""
    position = await platform.current()
    if position["baseline"] != version:
        expect_canary(position, version=version)
    if position["canary"] in {None, version}:  # a promotion that died after its last effect may still have notes to write
        await platform.promote(lease)
        position = await platform.current()
    if position["baseline"] != version:
        raise WorldMoved(f"{position['baseline']} is the baseline after {version} was promoted; another deployment acts here")
    return position


@task(name="abort canary", **OBSERVE_PLATFORM)
async def abort_canary(platform: Platform, *, lease: Lease, waits: bool = True) -> Position:
    """Send everything to the baseline and remove the canary, and read back that it is so; see `abort` for `waits`."""
    await platform.abort(lease, waits=waits)
    position = await platform.current()
    if position["canary"] is not None:
        raise WorldMoved(f"the canary {position['canary']} is still there after it was aborted; see the platform's progress")
    return position


def expect_canary(position: Position | dict[str, Any], *, version: str) -> None:
    """Raise `WorldMoved` if the canary is not the version under release."""
    if position["canary"] != version:
        raise WorldMoved(
            f"the canary is {position['canary']}, not {version}: the environment was changed from outside. "
            "Nothing more was touched; look at it, then release again"
        )
