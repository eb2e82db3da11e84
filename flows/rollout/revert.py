"""The way back of environments: chosen once, gone, verified, watched; of several targets side by side."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from blocks.errors import Superseded
from blocks.outside_text import NO_REASON, OutsideText, as_ending, error_text
from blocks.platform import Lease, Platform
from flows.lifecycle.context import Phase, Result, passed, platform_of, result
from flows.rollout.migrations import expect_no_contract
from flows.verify import verified
from tasks.analysis.watch import watch_recovery
from tasks.lifecycle.policy import as_temporary
from tasks.notify import alert
from tasks.record.journal import read_entries, read_entry
from tasks.rollout.rollout import abort_canary, acquire_lease, called, prepare_revision, promote_revision, read_position, shift_traffic
from tasks.rules.plan.request import EnvironmentName
from tasks.rules.plan.targets import is_production, place_of
from tasks.rules.record.entries import select
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback


async def moved(phase: Phase, environment: str, *, version: str, at_once: bool = False) -> bool:
    """Say whether this release may have moved an environment: it owns it, and the version did not serve there before.

    Args:
        phase: The release, with its own id as the scope.
        environment: Which one.
        version: The version under release.
        at_once: Ask once, and say yes where there is no answer: whoever takes it back asks again, with patience, and says what is wrong.
    """
    try:
        platform = await platform_of(phase.plan, environment)
        position = await (platform.current() if at_once else read_position(platform))
    except Exception:
        if at_once:
            return True
        raise
    if position["owner"] != phase.owner:
        return False
    if select(await read_entries(phase.owner), kind="note", environment=environment, name="already"):
        return False
    review = await read_entry(phase.owner, "review")
    before = review.evidence["current"].get(environment) if review else None
    return before != version or position["canary"] is not None


async def take_wave_back(phase: Phase, wave: Sequence[str], *, reason: OutsideText, version: str) -> list[Result]:
    """Take back what a release moved of a wave, side by side: no target waits for another that does not answer.

    Args:
        phase: The release, with its own id as the scope.
        wave: The targets.
        reason: Why, for the record.
        version: The version under release.

    Returns:
        The result of each that was moved, with its `environment`.

    Raises:
        Superseded: Somebody newer sees to it.
        Temporary: One does not answer; all others are back.
    """

    async def back(environment: str) -> Result | None:
        if not await moved(phase, environment, version=version):
            return None
        return await take_back(phase, environment=environment, reason=reason, version="", bad=version, beside=True)

    found = await all_of(wave, back)
    return [one for one in found if one is not None]


async def all_of(environments: Sequence[str], back: Callable[[str], Awaitable[Result | None]]) -> list[Result | None]:
    """Let several environments go back side by side; one that cannot keeps no other from it.

    Returns:
        The result of each, with its `environment` and that in its reason; None where `back` gave none.

    Raises:
        Superseded: Somebody newer sees to it.
        Temporary: One does not answer; all others are back.
    """
    found = await gather(*map(back, environments), return_exceptions=True)
    errors = [error for error in found if isinstance(error, BaseException)]
    stops: list[BaseException] = [error for error in errors if isinstance(error, Superseded)]
    stops += filter(None, map(as_temporary, errors))
    if stops:
        raise stops[0]
    return [one if one is None else _named(environment, one) for environment, one in zip(environments, found, strict=True)]


def _named(environment: str, back: Result | BaseException) -> Result:
    """Say where a way back was, in its reason too; one that could not be gone is a failed one."""
    if isinstance(back, BaseException):
        if not isinstance(back, Exception):
            raise back
        back = result("failed", f"it could not be taken back: {error_text(back)}")
    reason = str(back["reason"])
    return {**back, "environment": environment, "reason": reason if environment in reason else f"{environment}: {reason}"}


async def take_back(
    phase: Phase,
    *,
    environment: EnvironmentName,
    reason: OutsideText,
    version: str,
    bad: str,
    restored: Sequence[str] = (),
    beside: bool = False,
) -> Result:
    """Choose the way back, go it, and see that the service is well afterwards; once that is told, it is not done again.

    Args:
        phase: Whose way back it is.
        environment: Where.
        reason: Why, for the record.
        version: The version to return to; empty takes the one before.
        bad: The version to get away from; empty takes the newest there.
        restored: Contract migrations whose effect was undone by hand.
        beside: Whether others go back at the same time, as for `flows.verify.verified`.

    Returns:
        `outcome` passed or failed, `reason`, and the `version` that serves.
    """
    told = await phase.read("rollback", environment=environment, name="done")
    if told is not None:
        return result(told.evidence["outcome"], told.why, version=told.evidence["position"]["baseline"])
    platform = await platform_of(phase.plan, environment)
    lease = await acquire_lease(platform, owner=phase.owner, takeover=reason or NO_REASON)
    way = await _choose(phase, platform, environment=environment, reason=reason, bad=bad, to=version or "previous", restored=restored)
    if way.kind == "impossible":
        return result("failed", way.reason, version=None)
    way = await _act(phase, platform, way, environment=environment, lease=lease)
    found = await _look_after(phase, platform, way, environment=environment, beside=beside)
    await phase.append(
        f"The rollback of {environment} is over",
        kind="rollback",
        environment=environment,
        name="done",
        why=str(found["reason"]),
        evidence={"outcome": found["outcome"], "position": dict(await read_position(platform))},
    )
    return found


async def _choose(
    phase: Phase, platform: Platform, *, environment: str, reason: OutsideText, bad: str, to: str, restored: Sequence[str]
) -> RollbackChoice:
    """Choose the way once: after a restart half-way, what runs by then must not turn it round."""
    chosen = await phase.read("rollback", environment=environment, name="choice")
    if chosen is None:
        position = await read_position(platform)
        fixed = phase.plan.rollback.to
        way = choose_rollback(
            baseline=position["baseline"],
            canary=position["canary"],
            previous=position["previous"],
            bad=bad or None,
            to=to,
            fallback=None if fixed == "previous" else fixed,
        )
        await expect_no_contract(phase, way, environment=environment, restored=restored)
        chosen = await phase.append(
            f"Rollback of {environment}: {way.kind} to {way.version or 'nothing'}",
            kind="rollback",
            environment=environment,
            name="choice",
            why=f"{reason}. {way.reason}",
            evidence={"position": dict(position), "choice": asdict(way)},
        )
    return RollbackChoice(**chosen.evidence["choice"])


async def _act(phase: Phase, platform: Platform, way: RollbackChoice, *, environment: str, lease: Lease) -> RollbackChoice:
    """Go it; gives it with the version as it is called once it is there, which may name a former configuration."""
    if way.kind == "abort":
        await abort_canary(platform, lease=lease)
    elif way.kind == "redeploy" and way.version:
        key = f"rollback/{environment}/{way.version}"
        seconds = place_of(phase.plan, environment).ready_timeout_seconds
        there = await prepare_revision(platform, version=way.version, lease=lease, timeout_seconds=seconds, key=phase.key(f"{key}/prepare"))
        version = called(there, way.version) or way.version
        await shift_traffic(platform, version=version, percent=100, lease=lease, key=phase.key(f"{key}/shift"))
        await promote_revision(platform, version=version, lease=lease, key=phase.key(f"{key}/promote"))
        return replace(way, version=version)
    return way


async def _look_after(phase: Phase, platform: Platform, way: RollbackChoice, *, environment: EnvironmentName, beside: bool) -> Result:
    """Verify the version that serves now, then watch it under its real traffic."""
    if way.version is None:
        return result("passed", "nothing runs there, as before", version=None)
    found: Any = await verified(phase, way.version, environment=environment, beside=beside)
    if passed(found) and is_production(environment):
        found = await watch_recovery(
            platform,
            version=way.version,
            watch_seconds=phase.plan.rollback.watch_seconds,
            max_error_ratio=phase.plan.rollback.max_error_ratio,
        )
    if not passed(found):
        await alert(
            phase.plan.notify,
            service=phase.plan.service,
            version=way.version,
            outcome="rollback not verified",
            reason=as_ending(found["reason"]),
            run=phase.owner,
        )
        return result("failed", f"{environment} was taken back to {way.version}, but {found['reason']}", version=way.version)
    return result("passed", f"{environment} is back on {way.version}, verified and watched: {found['reason']}", version=way.version)
