"""Whether a rollback that is tried again was overtaken: another one went another way since it chose, or a version was released."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from blocks.errors import ShipwayError, WorldMoved
from blocks.outside_text import error_text
from blocks.platform import Platform, Position
from flows.lifecycle.context import Phase, platform_of
from flows.rollout.migrations import read_here
from flows.rollout.under_way import DECISION, is_rollback
from tasks.lifecycle.clock import now
from tasks.lifecycle.kept_runs import RUN
from tasks.lifecycle.retries import as_temporary, retried
from tasks.record.deployed import find_last_deployed
from tasks.record.journal import read_entries, say
from tasks.record.left import find_left
from tasks.rollout.rollout import is_in_place, read_position
from tasks.rules.record.entries import Entry, moment, select
from tasks.rules.rollout.left import SKEW, Left, stays_after_all
from tasks.rules.rollout.overtaken import is_overtaken_by, put_there_since
from tasks.rules.rollout.rollback import RollbackChoice
from tasks.rules.rollout.version_name import VersionName, named_there

NEXT = "it is left as it is: if that is bad, ask for a rollback that names it with `--bad VERSION` (the field `bad`)"


async def done_in(phase: Phase, environments: Sequence[str]) -> set[str]:
    """Name the environments in which a rollback is over."""
    return {name for name in environments if await phase.read("rollback", environment=name, name="done") is not None}


class Overtaken(NamedTuple):
    """By environment what overtook a rollback, and the environments of which that cannot be read, although it chose what to do there."""

    faults: dict[str, str]
    unread: tuple[str, ...]


async def overtaken_in(phase: Phase, environments: Sequence[str]) -> Overtaken:
    """Say what overtook this rollback, before it stops a release or takes anything over.

    Args:
        phase: The rollback.
        environments: What it rolls back.
    """

    async def look(environment: str) -> str:
        platform = await platform_of(phase.plan, environment)
        fault = await _newer_rollback(phase, platform, environment)
        return fault or await _newer_release(phase, platform, await retried(read_position)(platform), environment)

    found = await asyncio.gather(*map(look, environments), return_exceptions=True)
    faults = {name: one for name, one in zip(environments, found, strict=True) if isinstance(one, str) and one}
    unread = list[str]()
    for name, one in zip(environments, found, strict=True):
        if isinstance(one, Exception):  # it is looked at again before its lease, and under it
            say(f"whether this rollback was overtaken in {name} cannot be read: {error_text(one)}")
            unread += [name] if await phase.read("rollback", environment=name, name="choice") is not None else []
        elif isinstance(one, BaseException):
            raise one
    return Overtaken(faults, tuple(unread))


async def expect_not_overtaken(phase: Phase, platform: Platform, environment: str) -> None:
    """Look once more, before the lease and under it: what came since this rollback chose must not be undone by it.

    Raises:
        WorldMoved: Another rollback went another way, or a version was released.
        Temporary: The platform does not answer.
    """
    if await phase.read("rollback", environment=environment, name="choice") is None:
        return
    fault = await _newer_rollback(phase, platform, environment)
    if not fault:
        try:
            fault = await _newer_release(phase, platform, await retried(read_position)(platform), environment)
        except ShipwayError as error:
            if as_temporary(error) is not None:
                raise
            say(f"whether this rollback was overtaken in {environment} cannot be read: {error_text(error)}")
    if fault:
        raise WorldMoved(fault)


def stops_releases(environments: Collection[str], *, done: Collection[str], overtaken: Collection[str]) -> bool:
    """Say whether a rollback still has to stop releases: one that is over or was overtaken everywhere would stop a newer one.

    Args:
        environments: What it rolls back.
        done: Where it is over.
        overtaken: Where it was overtaken, or that is not known: it told releases to stop before it chose what to do there.
    """
    return not {*environments} <= {*done, *overtaken}


async def _newer_rollback(phase: Phase, platform: Platform, environment: str) -> str:
    """Say which run left something else here since this rollback chose; "" if none did, or it has not chosen."""
    chosen = await phase.read("rollback", environment=environment, name="choice")
    if chosen is None:
        return ""
    choice, then = RollbackChoice(**chosen.evidence["choice"]), chosen.evidence["position"]
    here = await read_here(phase, platform, environment)
    for version in dict.fromkeys(("", choice.version or "")):
        left = await find_left(phase.plan.service, here=here, version=version)
        of_rollback = left is not None and await is_rollback(left.run)
        if not left or not is_overtaken_by(left, choice, then, run=phase.owner, at=moment(chosen), of_rollback=of_rollback):
            continue
        if not await _serves_after_all(platform, left):
            return f"since this rollback chose what to do in {environment}, another run did: {left}; {NEXT}"
    return ""


async def _serves_after_all(platform: Platform, left: Left) -> bool:
    """Say whether the version that another rollback was to leave serves on alone, as that one failed; not if that cannot be read."""
    if left.is_open:
        return False
    try:
        position = await retried(read_position)(platform)
    except ShipwayError as error:
        if as_temporary(error) is not None:
            raise
        return False
    return stays_after_all(position, left, in_place=is_in_place(platform))


async def _newer_release(phase: Phase, platform: Platform, position: Position, environment: str) -> str:
    """Say which version came here since this rollback chose, or else since it decided what it is about; "" if none did."""
    chosen = await phase.read("rollback", environment=environment, name="choice")
    owner, entries = await _release_that_owns(phase, position)
    if chosen is None:
        return await _begun_since_decided(phase, position, environment, owner=owner, entries=entries)
    choice, then, at = RollbackChoice(**chosen.evidence["choice"]), chosen.evidence["position"], moment(chosen)
    if version := put_there_since(position, choice, then):
        return f"{version} came to {environment} since this rollback chose what to do there; {NEXT}"
    promoted = select(entries, kind="effect", environment=environment, name="promote")
    is_promoted = any(at < moment(one) <= now() + SKEW for one in promoted)
    if is_promoted or await _was_deployed_since(phase, platform, position, environment, at=at):
        return f"{position['baseline']} was released in {environment} since this rollback chose what to do there; {NEXT}"
    return ""


async def _release_that_owns(phase: Phase, position: Position) -> tuple[str, list[Entry]]:
    """Give the release that owns an environment, and its record; nothing if none does."""
    owner = position["owner"]
    if owner in {None, phase.owner} or not RUN.fullmatch(str(owner)) or await is_rollback(str(owner)):
        return "", []
    return str(owner), await read_entries(str(owner))


async def _begun_since_decided(phase: Phase, position: Position, environment: str, *, owner: str, entries: Sequence[Entry]) -> str:
    """Say which release, asked for since this rollback decided, owns an environment in which nothing of the bad version is."""
    decided = await phase.read("rollback", name=DECISION)
    opened = next(iter(select(entries, kind="opened")), None)
    if decided is None or opened is None or not decided.evidence["bad"] or moment(opened) <= moment(decided):
        return ""
    there = (position["baseline"], position["canary"])
    if named_there(str(decided.evidence["bad"]), there, present=position.get("configuration", "")) in there:
        return ""
    return f"the release {owner} of {environment} was asked for since this rollback, and {decided.evidence['bad']} is not there; {NEXT}"


async def _was_deployed_since(phase: Phase, platform: Platform, position: Position, environment: str, *, at: datetime) -> bool:
    if position["baseline"] is None:
        return False
    here = await read_here(phase, platform, environment)
    version = VersionName.of(position["baseline"]).source
    try:
        last = await find_last_deployed(phase.plan.service, version=version, here=here)
    except ShipwayError as error:
        say(f"when {version} was deployed in {environment} cannot be read: {error_text(error)}")
        return False
    return last is not None and at < last <= now() + SKEW  # one of the future is by a clock that was ahead, and says nothing
