"""How environments are rolled back: chosen once, done, verified, watched; those of a wave side by side, and one wave after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from types import MappingProxyType

from prefect import flow
from prefect.runtime import flow_run

from blocks.errors import Refused, Superseded, WorldMoved
from blocks.outside_text import OutsideText, as_ending, error_text
from blocks.platform import Lease, Platform
from flows.lifecycle.context import Phase, begin_phase, informed, platform_of
from flows.rollout.choice import choice_for
from flows.rollout.known import expect_known_there
from flows.rollout.left import (
    keep_what_is_left,
    leaving_nothing_if_it_fails,
    note_rollback_over,
    remove_canary,
    remove_canary_of_release,
    with_previous,
)
from flows.rollout.migrations import expect_no_contract
from flows.rollout.moved import is_moved_now, versions_before
from flows.rollout.others import faults_of_others
from flows.rollout.overtaken import expect_not_overtaken
from flows.rollout.redeploy import redeploy
from flows.rollout.retake import with_lease
from flows.rollout.side_by_side import Tried, settled, side_by_side
from flows.verify import verified
from tasks.analysis.recovery import watch_recovery
from tasks.lifecycle.retries import named, retried
from tasks.notify import notify
from tasks.record.journal import say
from tasks.rollout.not_ended import with_not_ended
from tasks.rollout.rollout import abort_canary, read_position
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.results import RollbackResult
from tasks.rules.plan.request import AnyReason
from tasks.rules.plan.targets import is_production
from tasks.rules.rollout.replaced import as_replaced
from tasks.rules.rollout.rollback import RollbackChoice


def _run_name() -> str:
    return f"roll back {', '.join(flow_run.parameters['environments'])}"


@flow(name="roll back", flow_run_name=_run_name, persist_result=False)
async def roll_back_moved(plan: str, scope: str, environments: list[str], *, version: str, reason: AnyReason) -> dict[str, RollbackResult]:
    """Roll back what a release moved of a wave, as a child run of it; the record remembers what is done, so its result is not persisted.

    Args:
        plan: Path of the plan.
        scope: The release.
        environments: The wave, or staging.
        version: The version under release.
        reason: Why, for the record.

    Returns:
        The result of each environment that was moved.

    Raises:
        Superseded: A newer run sees to it.
        Temporary: One does not answer; all others are rolled back.
    """
    phase = await begin_phase(plan, scope=scope)

    async def undo(environment: str) -> RollbackResult | None:
        platform = await platform_of(phase.plan, environment)
        if not await is_moved_now(phase, environment, await retried(read_position)(platform), version=version):
            if not await phase.read("rollback", environment=environment, name="done"):
                what = f"{environment} was not moved, so there is nothing to roll back"
                await phase.append(what, kind="note", environment=environment, name="not moved")
            return None
        is_first = (await versions_before(phase)).get(environment, version) is None
        return await roll_back(phase, environment, reason=reason, to="", bad=version, is_first=is_first)

    return settled(await side_by_side(environments, undo))


async def roll_back_waves(
    phase: Phase, waves: Sequence[Sequence[str]], *, reason: OutsideText, to: str, bad: str, restored: Sequence[str],
    overtaken: Mapping[str, str] = MappingProxyType({}), rests: Collection[str] = (),
) -> dict[str, RollbackResult]:  # fmt: skip
    """Roll back environments on demand, wave after wave; one that cannot be rolled back keeps no other from it.

    All are taken over before the first one moves, so that a release which must stop does not act on the rest meanwhile.

    Args:
        phase: The rollback.
        waves: The environments, the last wave first.
        reason: Why, for the record.
        to: The version to return to; "" takes the one before.
        bad: The version to get rid of; "" takes the newest there.
        restored: Contract migrations whose effect was undone by hand.
        overtaken: What overtook this rollback, by environment: what came since is not undone, and no release is fenced out for it.
        rests: The environments that are not taken over at once: it is over there, or whether it was overtaken cannot be read.

    Returns:
        The result of each environment.

    Raises:
        Superseded: A newer run sees to it.
        Temporary: One does not answer; all others are rolled back.
        Refused: None of them may be rolled back.
    """
    others = await faults_of_others(phase, [name for wave in waves for name in wave])
    rests = {*others, *overtaken, *rests}
    over = [_take_over(phase, environment) for wave in waves for environment in wave if environment not in rests]
    for error in await asyncio.gather(*over, return_exceptions=True):
        if isinstance(error, BaseException):
            raise error  # once all have asked, so that none is taken over behind the end of this run

    async def undo(environment: str) -> RollbackResult:
        if environment in others:
            raise Refused(others[environment])
        if environment in overtaken:
            raise WorldMoved(overtaken[environment])
        return await roll_back(phase, environment, reason=reason, to=to, bad=bad, restored=restored, on_demand=True)

    tried: Tried = {}
    for wave in waves:
        tried |= await side_by_side(wave, undo)
        await tell_failed(phase, [one for one in tried.values() if isinstance(one, RollbackResult)], waits=False)
    await tell_failed(phase, [one for one in tried.values() if isinstance(one, RollbackResult)])
    refused = [one for one in tried.values() if isinstance(one, Refused)]
    if refused and len(refused) == len(tried):
        raise Refused("; ".join(str(one) for one in refused))
    return settled(tried)


async def _take_over(phase: Phase, environment: str) -> None:
    """Take an environment over, if that can be done at once; its own rollback is patient, and says what keeps it from that, too."""
    try:
        await (await platform_of(phase.plan, environment)).acquire_lease(phase.owner, takeover=True)
    except Superseded:
        raise
    except Exception as error:  # noqa: BLE001 - one environment must not keep the others from being rolled back
        say(f"{environment} could not be taken over: {error_text(error)}")


async def roll_back(
    phase: Phase, environment: str, *, reason: OutsideText, to: str, bad: str, restored: Sequence[str] = (), is_first: bool = False,
    on_demand: bool = False,
) -> RollbackResult:  # fmt: skip
    """Choose how to roll back an environment, do it, and see that the service is well; once that is recorded, it is not done again.

    Args:
        phase: Whose rollback it is.
        environment: Where.
        reason: Why, for the record.
        to: The version to return to; "" takes the one before.
        bad: The version to get rid of; "" takes the newest there.
        restored: Contract migrations whose effect was undone by hand.
        is_first: Whether a release is rolled back that found nothing running there.
        on_demand: Whether it was asked for, by anyone, with any plan: then it brings back only what is known there.

    Returns:
        The outcome, passed or failed, and the version that serves.
    """
    done = await phase.read("rollback", environment=environment, name="done")
    if done is not None:
        version, stays = done.evidence["position"]["baseline"], done.evidence["stays"]
        return RollbackResult(outcome=done.evidence["outcome"], reason=done.why, environment=environment, version=version, stays=stays)
    platform = await informed(phase, await platform_of(phase.plan, environment), reason=reason)
    if on_demand:
        await expect_not_overtaken(phase, platform, environment)

    async def undo(lease: Lease, number: int) -> RollbackChoice:
        if on_demand:
            await expect_not_overtaken(phase, platform, environment)
        await remove_canary_of_release(phase, platform, environment, lease=lease, to=to or "previous", bad=bad)
        try:
            choice = await _choose(
                phase, platform, environment=environment, reason=reason, bad=bad, to=to or "previous", restored=restored, is_first=is_first,
                on_demand=on_demand,
            )  # fmt: skip
        except Refused:
            await remove_canary(phase, platform, environment, lease=lease)
            raise
        if choice.kind == "impossible":
            await remove_canary(phase, platform, environment, lease=lease)
        return await _act(phase, platform, choice, environment=environment, lease=lease, number=number)

    async with leaving_nothing_if_it_fails(phase, platform, environment):
        choice = await with_lease(phase, platform, reason=reason, act=undo)
    if choice.kind == "impossible":
        return RollbackResult(outcome=Outcome.FAILED, reason=choice.reason, environment=environment, version=None)
    found = _staying(choice, environment) or await _look_after(phase, platform, choice.version, environment=environment)
    found = await with_not_ended(found, platform)
    await note_rollback_over(phase, platform, environment)
    await phase.append(
        f"The rollback of {environment} is over",
        kind="rollback",
        environment=environment,
        name="done",
        why=found.reason,
        evidence={"outcome": found.outcome, "position": dict(await retried(read_position)(platform)), "stays": found.stays},
    )
    return found


async def tell_failed(phase: Phase, found: Iterable[RollbackResult], *, waits: bool = True) -> None:
    """Tell which environments could not be rolled back, or were and are not well.

    Args:
        phase: The release, or the rollback on demand.
        found: The result of each environment; each is told once, however often this is called.
        waits: Whether to wait for the receivers: not while another wave is still to be rolled back.
    """
    for one in found:
        if not one.passed:
            about, key = f"{phase.plan.service} in {one.environment}", f"{phase.owner}/rollback/{one.environment}"
            await notify(phase.plan.notify, ["rollback_failed"], about=about, reason=one.reason, run=phase.owner, key=key, waits=waits)


async def _choose(
    phase: Phase, platform: Platform, *, environment: str, reason: OutsideText, bad: str, to: str, restored: Sequence[str], is_first: bool,
    on_demand: bool,
) -> RollbackChoice:  # fmt: skip
    """Choose once: after a restart half-way, what runs by then must not turn the choice round."""
    chosen = await phase.read("rollback", environment=environment, name="choice")
    if chosen is None:
        position = await retried(read_position)(platform)
        if on_demand:
            position = as_replaced(await with_previous(phase, platform, position, environment=environment), to=to, bad=bad)
        choice = await choice_for(phase, platform, position, environment=environment, to=to, bad=bad, is_first=is_first)
        if on_demand:
            await expect_known_there(phase, platform, position, choice, environment=environment)
        await expect_no_contract(phase, choice, environment=environment, restored=restored)
        await keep_what_is_left(phase, platform, position, choice, environment=environment, bad=bad, to=to, on_demand=on_demand)
        chosen = await phase.append(
            f"Rollback of {environment}: {choice.kind} to {choice.version or 'nothing'}",
            kind="rollback",
            environment=environment,
            name="choice",
            why=f"{reason}. {choice.reason}",
            evidence={"service": phase.plan.service, "position": dict(position), "choice": asdict(choice)},
        )
    return RollbackChoice(**chosen.evidence["choice"])


async def _act(phase: Phase, platform: Platform, choice: RollbackChoice, *, environment: str, lease: Lease, number: int) -> RollbackChoice:
    """Do it; gives the choice with the version as it is called once it is there, which may name an earlier configuration."""
    if choice.kind == "abort":
        await named(abort_canary, f"abort the canary in {environment}")(platform, lease=lease)
    elif choice.kind == "redeploy" and choice.version:
        there = await redeploy(phase, platform, choice.version, environment=environment, lease=lease, number=number)
        return replace(choice, version=there)
    return choice


def _staying(choice: RollbackChoice, environment: str) -> RollbackResult | None:
    """Say that a first version stays where it is; None if another choice was made."""
    if choice.kind != "stays":
        return None
    reason = f"nothing ran in {environment} before {choice.version}: it stays there until another version is released"
    return RollbackResult(outcome=Outcome.PASSED, reason=as_ending(reason), environment=environment, version=choice.version, stays=True)


async def _look_after(phase: Phase, platform: Platform, version: str | None, *, environment: str) -> RollbackResult:
    """Verify the version that serves now, then watch it under its real traffic."""
    if version is None:
        return RollbackResult(outcome=Outcome.PASSED, reason="nothing runs there, as before", environment=environment, version=None)
    found = await verified(phase, version, environment=environment)
    if found.passed and is_production(environment):
        rules = phase.plan.rollback
        found = await named(watch_recovery, f"watch {version} in {environment}")(
            platform, version=version, watch_seconds=rules.watch_seconds, max_error_ratio=rules.max_error_ratio
        )
    if found.passed:
        reason = f"{environment} is back on {version}, verified and watched: {found.reason}"
        return RollbackResult(outcome=Outcome.PASSED, reason=reason, environment=environment, version=version)
    reason = f"{environment} was rolled back to {version}, but {found.reason}"
    return RollbackResult(outcome=Outcome.FAILED, reason=reason, environment=environment, version=version)
