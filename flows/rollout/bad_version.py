"""What a rollback on demand is about: the bad version, and whether the one to return to was ever a good one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from blocks.errors import Refused, Temporary
from blocks.outside_text import error_text
from blocks.platform import Position
from flows.lifecycle.context import Phase, expect_own_environments, platform_of
from tasks.lifecycle.policy import retried
from tasks.record.journal import find_deployed, read_entries, read_entry
from tasks.rollout.rollout import read_position
from tasks.rules.record.entries import select
from tasks.rules.rollout.waves import version_to_leave

NAME = "bad version"
PREVIOUS = "previous"


async def version_under_release(run: str, environments: Sequence[str]) -> str:
    """Name the version that a stopped release had rolled out here: that one is meant, even if it is gone by now."""
    stopped = await read_entry(run, "rollback", name="stop requested")
    for release in stopped.evidence["releases"] if stopped else []:
        entries = await read_entries(release)
        if any(select(entries, kind="effect", environment=environment) for environment in environments):
            return str(entries[0].evidence.get("version", ""))
    return ""


async def common_version_to_leave(phase: Phase, environments: Sequence[str], *, to: str) -> str:
    """Decide once which version is bad for several targets: after a restart half-way they run other ones.

    Args:
        phase: The rollback.
        environments: The targets.
        to: The version to return to; "" for the one before.

    Returns:
        The version; "" where all run the same, or there is one environment, which knows by itself.

    Raises:
        Refused: They run different versions, and which is the newest cannot be known.
        Temporary: None of them answers, or one does not and the others run nothing.
    """
    if len(environments) == 1:
        return ""
    decided = await phase.read("rollback", name=NAME)
    if decided is None:
        positions = await _positions(phase, environments)
        silent = [name for name in environments if name not in positions]
        bad = version_to_leave(positions, to=to or "previous", silent=silent)
        runs = ", ".join(f"{name} {one['canary'] or one['baseline'] or 'nothing'}" for name, one in positions.items())
        runs += "".join(f", {name} does not answer" for name in silent)
        if bad is None and silent and not any(one["canary"] or one["baseline"] for one in positions.values()):
            raise Temporary(f"the bad version is not known: {runs}")
        if bad is None:
            raise Refused(f"the targets run different versions ({runs}); name the bad one with `bad`, or roll back one target")
        what = f"{bad} is the bad version" if bad else "What each target runs is the bad version"
        decided = await phase.append(what, kind="rollback", name=NAME, why=runs, evidence={"bad": bad})
    return str(decided.evidence["bad"])


async def expect_known(phase: Phase, environments: Sequence[str], *, version: str) -> Phase:
    """Let a rollback return only to a version that was a good release of this service here: it must not bypass the gate.

    Args:
        phase: The rollback.
        environments: What is rolled back.
        version: The version that was asked for; "" for the plan's.

    Returns:
        The phase; without the plan's `rollback.to` if that version is not known, since the plan is whichever file was named.

    Raises:
        Refused: The version that was asked for is not known.
    """
    wanted = version or phase.plan.rollback.to
    if wanted == PREVIOUS or not (fault := await _unknown(phase, environments, wanted)):
        return phase
    if version:
        raise Refused(fault)
    await phase.append(f"`rollback.to: {wanted}` of the plan does not count", kind="note", name="unknown version", why=fault)
    rollback = phase.plan.rollback.model_copy(update={"to": PREVIOUS})
    return replace(phase, plan=phase.plan.model_copy(update={"rollback": rollback}))


async def _unknown(phase: Phase, environments: Sequence[str], version: str) -> str:
    """Say why a version does not count as a good release of this service here; "" if it does."""
    positions = await _positions(phase, environments)
    if version in {found for position in positions.values() for found in (position["baseline"], position["previous"])}:
        return ""
    try:
        await expect_own_environments(phase)  # a record of another service says nothing about what may run here
    except Refused as error:
        return f"{version} never ran here, and {error_text(error)}"
    known, unchecked = await find_deployed(phase.plan.service, version=version)
    if unchecked:
        what = f"{version} was deployed once, says a record whose seals could not be checked"
        await phase.append(what, kind="note", name="unchecked record", why=unchecked)
    if known:
        return ""
    before = " or ".join(dict.fromkeys(str(position["previous"]) for position in positions.values()))
    return f"no record says that {version} was ever deployed; leave the version empty for {before}, or release it"


async def _positions(phase: Phase, environments: Sequence[str]) -> dict[str, Position]:
    """Read what each environment runs; one that does not answer is left out, so that it keeps no other from its rollback."""

    async def read(environment: str) -> Position:
        platform = await platform_of(phase.plan, environment)
        return await (platform.current() if len(environments) > 1 else retried(read_position)(platform))  # of several, none waits for one

    answers = await asyncio.gather(*map(read, environments), return_exceptions=True)
    found = {name: one for name, one in zip(environments, answers, strict=True) if not isinstance(one, BaseException)}
    for error in answers:
        if isinstance(error, BaseException) and (not found or not isinstance(error, Temporary)):
            raise error
    return found
