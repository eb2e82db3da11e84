"""What rollbacks left in an environment: what it runs is kept from being turned round by the next rollback, whoever asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from blocks.errors import Refused, ShipwayError, Superseded, Temporary
from blocks.outside_text import error_text
from blocks.platform import Lease, Platform, Position
from flows.lifecycle.context import Phase, platform_of
from flows.rollout.choice import bad_name, choice_for
from flows.rollout.migrations import read_here
from flows.rollout.under_way import may_turn_round, note_that_it_goes_on, rollback_under_way
from tasks.lifecycle.clock import now
from tasks.lifecycle.retries import as_temporary, named, retried
from tasks.record.before import find_before, keep_before
from tasks.record.journal import flow_of, read_entry, say
from tasks.record.left import (
    files_of_left,
    find_last,
    find_left,
    forget_left,
    forget_that_it_was_left,
    keep_left,
    note_over,
    note_release,
    unkeep_left,
)
from tasks.rollout.rollout import abort_canary, called, is_in_place, read_position
from tasks.rules.evidence.rehearsal import REHEARSE
from tasks.rules.record.entries import moment
from tasks.rules.rollout.left import (
    PROMOTION,
    Left,
    brought_by,
    serves_since,
    stays_after_all,
    steps_down_again,
    version_left,
)
from tasks.rules.rollout.migrations import Here
from tasks.rules.rollout.rollback import RollbackChoice
from tasks.rules.rollout.version_name import VersionName


async def last_left(phase: Phase, environments: Sequence[str], positions: Mapping[str, Position] | None = None) -> dict[str, Left]:
    """Give what the last rollback left in each environment where no release was promoted since; by what it runs, if that is given."""
    runs = positions or {}

    async def look(environment: str) -> Left | None:
        here = await read_here(phase, await platform_of(phase.plan, environment), environment)
        baseline = runs[environment]["baseline"] if environment in runs else None
        return await find_last(phase.plan.service, here=here, baseline=baseline)

    found = await asyncio.gather(*map(look, environments))
    return {name: one for name, one in zip(environments, found, strict=True) if one is not None}


def since_in_words(positions: Mapping[str, Position], lefts: Mapping[str, Left]) -> str:
    """Say since which rollback what runs serves; "" if it does not."""
    at = now()
    return "; ".join(dict.fromkeys(str(lefts[name]) for name, one in positions.items() if serves_since(one, lefts.get(name), at=at)))


async def keep_what_is_left(
    phase: Phase, platform: Platform, position: Position, choice: RollbackChoice, *, environment: str, bad: str, to: str, on_demand: bool
) -> None:
    """Keep which version a rollback leaves and which one serves then, before it acts: one that begins meanwhile is about the same.

    A version that was made to fail is not a bad one: after a rehearsal, rollbacks may return to it as before.
    """
    if await flow_of(phase.owner) == REHEARSE:
        return
    stands = await rollback_under_way(phase, platform, position, environment)
    bad = (await bad_name(phase, platform, position, environment=environment, bad=bad)).bad or bad
    versions = [
        version_left(position, choice, bad=bad, to=to, of_release=not on_demand),
        version_left(position, choice, bad=bad, to=to, of_release=not on_demand, goes_on=stands is not None),
    ]
    if choice.version is None or versions[-1] is None:
        return
    if stands is not None:
        await note_that_it_goes_on(phase, stands, environment)
    here, service = await read_here(phase, platform, environment), phase.plan.service
    brought = brought_by(choice, await find_last(service, here=here, baseline=position["baseline"]))
    for version in dict.fromkeys(one for one in versions if one):  # what lies under the empty version is the last of them
        await keep_left(
            service, here=here, version=version, serves=choice.version, run=phase.owner, brought=brought,
            configuration=position.get("configuration", ""),
        )  # fmt: skip
    if stands is not None and choice.kind == "abort":
        await forget_that_it_was_left(service, here=here, version=choice.version)


async def note_rollback_over(phase: Phase, platform: Platform, environment: str) -> None:
    """Keep that this rollback is over in an environment: from now on the hour runs in which one that names nothing is the same one."""
    await note_over(phase.plan.service, here=await read_here(phase, platform, environment), run=phase.owner)


async def note_release_begins(phase: Phase, platform: Platform, environment: str, *, version: str) -> None:
    """Keep that a release prepares a version, before it does: a canary of it is the release's then, not what a rollback left half-way."""
    await note_release(phase.plan.service, here=await read_here(phase, platform, environment), version=version)


@asynccontextmanager
async def leaving_nothing_if_it_fails(phase: Phase, platform: Platform, environment: str) -> AsyncGenerator[None, None]:
    """Take back that a rollback leaves a version, if that serves on as it failed: later ones may have to return to it."""
    try:
        yield
    except Exception as error:
        if as_temporary(error) is None and not isinstance(error, Superseded):  # it is over here, and no newer run sees to it
            await _take_back(phase, platform, environment)
        raise


async def _take_back(phase: Phase, platform: Platform, environment: str) -> None:
    here = await read_here(phase, platform, environment)
    found = await find_left(phase.plan.service, here=here)
    if found is None or found.run != phase.owner:
        return
    try:
        position = await retried(read_position)(platform)
    except Exception as error:  # noqa: BLE001 - what failed before is what is told
        say(f"whether {found.version} serves on in {environment} cannot be read: {error_text(error)}")
        return
    if stays_after_all(position, found, in_place=is_in_place(platform)):
        await unkeep_left(phase.plan.service, here=here, left=found)


async def forget_what_was_left(phase: Phase, environment: str, position: Position, promoted: Mapping[str, str], *, version: str) -> None:
    """Forget, where a release promoted a version, that a rollback left it, and since which rollback something else serves.

    Forget it of the version that served until then, too: a rollback from that one failed, or it would not have served. That one is kept
    as the version before, see `with_previous`.

    Args:
        phase: The release.
        environment: Where.
        position: What it runs since, which names the version with its configuration.
        promoted: What its record says of the place, see `promoted_here`.
        version: The version.
    """
    here = Here(environment, promoted["block"], promoted["identity"])
    versions = [version, position["baseline"] or version, position["previous"] or version]
    await forget_left(phase.plan.service, here=here, versions=versions)
    present, baseline = position.get("configuration", ""), position["baseline"] or version
    await keep_before(phase.plan.service, here=here, version=baseline, before=position["previous"], present=present)


async def with_previous(phase: Phase, platform: Platform, position: Position, *, environment: str) -> Position:
    """Give a position with the version that ran before its baseline was promoted, if the platform does not know it.

    After a rollback it knows none: a second one, as what that brought is bad as well, would need a record, which may not be there. What
    ran before a version that others put there again is not what ran before it was promoted.
    """
    if position["previous"] is not None or position["baseline"] is None or "replaced" in position:
        return position
    here = await read_here(phase, platform, environment)
    present = position.get("configuration", "")
    before = await find_before(phase.plan.service, here=here, version=position["baseline"], present=present)
    return {**position, "previous": before}


async def fault_of_left(phase: Phase, platform: Platform, position: Position, choice: RollbackChoice, *, environment: str) -> str:
    """Say why a choice would bring back what a rollback left; "" if it does not.

    A version that serves on, as what was started beside it did not come up, may be returned to from a release that came later, and
    whichever version by who decides on the worker's machine what serves, see `may_turn_round`.
    """
    if choice.version is None or choice.kind not in {"abort", "redeploy"}:
        return ""
    stands = await rollback_under_way(phase, platform, position, environment) if choice.kind == "abort" else None
    if choice.kind == "abort" and (stands is None or await may_turn_round(phase, stands)):
        return ""
    here = await read_here(phase, platform, environment)
    present = position.get("configuration", "")
    found = await find_left(phase.plan.service, here=here, version=choice.version, present=present)
    if found is None:
        return ""
    by = f"the rollback {found.run}" if found.run else "a rollback"
    first = "let the rollback come to its end, then " if stands else ""
    fix = f"{first}release it, if it is a good one by now, or name an older version with `--to VERSION` (the field `version`)"
    if stands:
        serve = f"`shipway rollback --bad {position['canary']} --here` on the worker's machine"
        fix = f"{fix}; once no run of that rollback is open, {serve} lets {choice.version} serve all the same"
    files = await files_of_left(phase.plan.service, here=here, version=choice.version)
    undo = f". If that was a slip, who may write beside the approval key can remove {' and '.join(files)}, then ask again" if files else ""
    return f"{choice.version} was left by {by} in {environment}, so no rollback returns to it; {fix}{undo}"


async def fault_of_second_step(phase: Phase, platform: Platform, position: Position, choice: RollbackChoice, *, environment: str) -> str:
    """Say why a rollback that names no version takes no second step down; "" if it takes none. One that a release asks for is never asked.

    In an outage that no version caused an alarm would go down a version each hour.
    """
    found = await find_left(phase.plan.service, here=await read_here(phase, platform, environment))
    if found is None or not steps_down_again(position, choice, found):
        return ""
    serves = position["baseline"]
    since = str(found) if serves == found.serves else f"{serves} was brought back by a rollback"
    fix = f"`--bad {VersionName.of(serves or '').source}` (the field `bad`), or `--to {choice.version}` (the field `version`)"
    return f"{since} in {environment}, and no release was deployed since; it is left for {choice.version} only if one is named: {fix}"


async def remove_canary(phase: Phase, platform: Platform, environment: str, *, lease: Lease) -> None:
    """Abort a canary where no version can be returned to: its release was fenced out, so nothing else would take it from the traffic.

    What another rollback started beside the version that it leaves stays: without it that one would get all requests again.
    """
    position = await retried(read_position)(platform)
    if position["canary"] is not None and not await rollback_under_way(phase, platform, position, environment):
        await named(abort_canary, f"abort the canary in {environment}")(platform, lease=lease)


async def remove_canary_of_release(phase: Phase, platform: Platform, environment: str, *, lease: Lease, to: str, bad: str) -> None:
    """Abort a canary of the version to return to, unless it is kept that a rollback started it: that version is begun anew then.

    A release may have started it, and to go on with it would pass its steps, gates and windows. Whether the record of that release can be
    read does not count. A promotion that was begun goes on: it has passed them. This is done before the rollback chooses, so that what is
    there once it has chosen is its own.
    """
    if await phase.read("rollback", environment=environment, name="choice") is not None:
        return
    position = await with_previous(phase, platform, await retried(read_position)(platform), environment=environment)
    choice = await choice_for(phase, platform, position, environment=environment, to=to, bad=bad)
    canary = position["canary"]
    if choice.kind != "redeploy" or choice.version is None or canary is None or position.get("under_way") == PROMOTION:
        return
    if called({**position, "baseline": None}, choice.version) != canary or await rollback_under_way(phase, platform, position, environment):
        return
    what = f"The canary {canary} of {environment} is removed, and begun anew"
    why = "no rollback is known to have started it, so it may be a release's, of which steps and gates are not passed yet"
    await phase.append(what, kind="note", environment=environment, name="canary of a release", why=why)
    try:
        waits = not is_in_place(platform)  # in place the bad version would have to come up everywhere first
        await named(abort_canary, f"abort the canary in {environment}")(platform, lease=lease, waits=waits)
    except (Superseded, Refused, Temporary):
        raise
    except ShipwayError as error:  # as that the version that serves is not well, which is why one rolls back
        what = f"The canary {canary} of {environment} could not be removed; the rollback goes on"
        await phase.append(what, kind="note", environment=environment, name="canary stays", why=str(error_text(error)))


async def newer_rollback(phase: Phase, environments: Sequence[str]) -> str:
    """Give the run of another rollback that chose in one of these environments last; "" if none did."""
    opened = await read_entry(phase.owner, "opened")
    lefts = [one for one in (await last_left(phase, environments)).values() if one.run != phase.owner]
    return next((one.run for one in lefts if opened and one.at and one.at > moment(opened)), "")
