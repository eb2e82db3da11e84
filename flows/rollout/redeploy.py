"""Bring the version that a rollback returns to back into service: started beside the bad one, given all traffic, promoted."""

from __future__ import annotations

from blocks.errors import Refused, RolloutFailed, ShipwayError, Superseded, Temporary, WorldMoved
from blocks.outside_text import error_text
from blocks.platform import Lease, Platform, Position, RollsBack
from flows.lifecycle.context import Phase
from flows.rollout.prepare import prepare
from flows.rollout.under_way import may_turn_round, rollback_under_way
from tasks.lifecycle.retries import named, retried
from tasks.record.journal import say
from tasks.rollout.rollout import abort_canary, called, is_in_place, promote_revision, read_position, shift_traffic
from tasks.rules.plan.targets import place_of
from tasks.rules.rollout.left import PROMOTION, Left, may_have_requests


async def redeploy(phase: Phase, platform: Platform, version: str, *, environment: str, lease: Lease, number: int) -> str:
    """Deploy an earlier version; one that has requests already, as another rollback started it, is not begun anew.

    To prepare it would give its requests back to the bad version first.

    Args:
        phase: The release, or the rollback.
        platform: The environment.
        version: What to return to.
        environment: The environment's name.
        lease: The lease under which it is done.
        number: How often the lease was acquired again.

    Returns:
        The version as it is called there, which may name an earlier configuration.
    """
    key = f"rollback/{environment}/{version}{f'/{number}' if number else ''}"
    there = await _went_on(phase, platform, version, environment=environment, lease=lease, key=key)
    if there is None:
        await _make_way(phase, platform, version, environment=environment, lease=lease, key=key)
        starting = platform.rolling_back() if isinstance(platform, RollsBack) else platform
        position = await prepare(
            phase, starting, version, environment=environment, lease=lease,
            timeout_seconds=place_of(phase.plan, environment).ready_timeout_seconds,
            title=f"prepare {version} in {environment}", key=f"{key}/prepare",
        )  # fmt: skip
        there = called(position, version) or version
        await _expect_another(phase, position, there, environment=environment)
        await _shift(phase, platform, there, environment=environment, lease=lease, key=key)
        await _promote(phase, platform, there, environment=environment, lease=lease, key=key)
    return there


async def _expect_another(phase: Phase, position: Position, version: str, *, environment: str) -> None:
    """Fail if what was to be started is what this rollback is to leave, and serves on: to give it all traffic would do nothing.

    What this rollback promoted already, before its process died, is another matter.

    Raises:
        WorldMoved: It is.
    """
    chosen = await phase.read("rollback", environment=environment, name="choice")
    if chosen is not None and position["canary"] is None and version == chosen.evidence["position"]["baseline"] == position["baseline"]:
        raise WorldMoved(f"{version} is what serves in {environment} and is to be left; name an older version with `--to VERSION`")


async def _went_on(phase: Phase, platform: Platform, version: str, *, environment: str, lease: Lease, key: str) -> str | None:
    """Give the version all traffic and promote it if it is a canary with requests; None if it is not, or if that fails: it is begun anew.

    Whatever fails does so, also what says that it may pass, once its retries are over: a version that fell over as it got all requests may
    not come up by itself, and what lives beside it gets none meanwhile. If it is ready, what fails stays failed: begun anew, it would give
    its requests to the bad version. So it does where a version replaces the other one in its place, and in a promotion that was begun, in
    which shares are not set any more.
    """
    position = await retried(read_position)(platform)
    canary, under_way = position["canary"], position.get("under_way", "")
    if not canary or called({**position, "baseline": None}, version) != canary:
        return None
    if under_way == PROMOTION:
        say(f"the promotion of {canary} in {environment} was begun already, and goes on")
        await _promote(phase, platform, canary, environment=environment, lease=lease, key=key)
        return canary
    if not position["percent"]:
        return None
    try:
        await _shift(phase, platform, canary, environment=environment, lease=lease, key=f"{key}/goes on")
        await _promote(phase, platform, canary, environment=environment, lease=lease, key=key)
    except (Superseded, Refused):
        raise
    except ShipwayError as error:
        after = await retried(read_position)(platform)
        is_up = after["ready"].get(canary, False) and not after.get("trouble")
        if under_way or after.get("under_way") or is_up or is_in_place(platform):  # else the bad version would get all requests first
            raise
        say(f"{canary} gets {position['percent']} % in {environment}, and cannot get all traffic: {error_text(error)}. It is started anew")
        return None
    return canary


async def _make_way(phase: Phase, platform: Platform, version: str, *, environment: str, lease: Lease, key: str) -> None:
    """Remove a canary of another version, whether the baseline is well or not; what fails is tried once more as the version is started.

    Each platform would do so by itself, as for a release, and wait for a baseline that may be why one rolls back. What another rollback
    brought is promoted instead.
    """
    position = await retried(read_position)(platform)
    canary = position["canary"]
    if canary is None or called({**position, "baseline": None}, version) == canary:
        return
    stands = await rollback_under_way(phase, platform, position, environment)
    left = stands if may_have_requests(position, in_place=is_in_place(platform)) else None
    if left and await _promoted_first(phase, platform, version, position, left, environment=environment, lease=lease, key=key):
        return
    try:
        await named(abort_canary, f"remove the canary {canary} in {environment}")(platform, lease=lease, waits=False)
    except (Superseded, Refused, Temporary):
        raise
    except ShipwayError as error:
        say(f"the canary {canary} of {environment} could not be removed; the rollback goes on: {error_text(error)}")


async def _promoted_first(
    phase: Phase, platform: Platform, version: str, position: Position, left: Left, *, environment: str, lease: Lease, key: str
) -> bool:
    """Promote what another rollback brought, if it can be: removed, it would give its requests to the version that was left.

    Returns:
        Whether it is the baseline; False if it cannot be, and a person decided that this one serves until the other version is up.

    Raises:
        RolloutFailed: It cannot be, and no person decided that.
    """
    canary = str(position["canary"])
    try:
        if position.get("under_way") != PROMOTION:
            await _shift(phase, platform, canary, environment=environment, lease=lease, key=f"{key}/{canary} first")
        await _promote(phase, platform, canary, environment=environment, lease=lease, key=f"{key}/{canary} first")
    except (Superseded, Refused):
        raise
    except ShipwayError as error:
        if await may_turn_round(phase, left):
            say(
                f"{canary} of {environment} cannot be made the baseline: {error_text(error)}. It is removed, as was decided on this machine"
            )
            return False
        what = f"{canary} has requests in {environment} and cannot be made the baseline: {error_text(error)}"
        first = f"Until {version} is up, {position['baseline']} would get them, which a rollback left"
        fix = f"a person decides that with `shipway rollback --to {version} --here` on the worker's machine"
        raise RolloutFailed(f"{what}. {first}; {fix}") from error
    return True


async def _shift(phase: Phase, platform: Platform, version: str, *, environment: str, lease: Lease, key: str) -> None:
    await named(shift_traffic, f"shift all traffic in {environment}")(
        platform, version=version, percent=100, lease=lease, key=phase.key(f"{key}/shift")
    )


async def _promote(phase: Phase, platform: Platform, version: str, *, environment: str, lease: Lease, key: str) -> None:
    await named(promote_revision, f"promote {version} in {environment}")(
        platform, version=version, lease=lease, key=phase.key(f"{key}/promote")
    )
