"""What a rollback on demand is about: the bad version, and whether the one to return to was ever a good one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from prefect.context import FlowRunContext

from blocks.errors import Refused, Temporary, WorldMoved
from blocks.outside_text import error_text
from blocks.platform import Position
from flows.lifecycle.context import Phase, platform_of
from flows.lifecycle.here import is_asked_here
from flows.rollout.choice import choice_for
from flows.rollout.known import is_known, unknown_in
from flows.rollout.left import fault_of_left, fault_of_second_step, last_left, since_in_words, with_previous
from flows.rollout.migrations import expect_no_contract
from flows.rollout.others import faults_of_others
from flows.rollout.under_release import Under, unreached_by, what_is_under_way
from flows.rollout.under_way import DECISION, HERE, without_idle_release
from tasks.lifecycle.clock import now
from tasks.lifecycle.kept_runs import times_started
from tasks.lifecycle.retries import retried
from tasks.record.journal import say
from tasks.rollout.rollout import read_position
from tasks.rules.record.entries import Entry, moment
from tasks.rules.rollout.bad_name import BadName, name_if_silent, names_found, names_given, serves_on, stays_beside
from tasks.rules.rollout.left import PREVIOUS, Left, all_as_meant
from tasks.rules.rollout.replaced import as_replaced, fault_of_replaced
from tasks.rules.rollout.rollback import RollbackChoice, version_meant
from tasks.rules.rollout.unread import answers_of
from tasks.rules.rollout.version_name import names_of
from tasks.rules.rollout.waves import version_to_leave

NAME = DECISION


async def version_to_leave_by(phase: Phase, environments: Sequence[str], *, to: str, bad: str, restored: Sequence[str]) -> str:
    """Decide once which version is bad, before anything is stopped or taken over: by then a choice would be made by what this rollback did.

    It is kept beside the key; a rollback that began before and does not find it chooses nothing.

    Args:
        phase: The rollback.
        environments: What is rolled back.
        to: The version to return to; "" for the one before.
        bad: The version that was named; "" if none was.
        restored: Contract migrations whose effect was undone by hand.

    Returns:
        The version; "" if they run nothing.

    Raises:
        Refused: The targets run different versions and the newest cannot be known, nothing could be done or would be done, or a block
            through which no release acted points to what is another's: what is under way goes on.
        WorldMoved: This rollback acted already, and what it was about is lost.
        Temporary: None of them answers, or one does not and the others run nothing.
        ShipwayError: None of them can be read.
    """
    decided = await phase.read("rollback", name=NAME)
    if decided is not None:
        return str(decided.evidence["bad"])
    others = await faults_of_others(phase, environments)
    if len(others) == len(environments):
        raise Refused("; ".join(others.values()))
    own = [name for name in environments if name not in others]
    positions = {name: as_replaced(one, to=to, bad=bad) for name, one in (await _positions(phase, own)).items()}
    has_acted = any(one["owner"] == phase.owner for one in positions.values())
    if not bad and has_acted and await _began_before(phase):
        raise WorldMoved("which version this rollback leaves is in no record any more, and it has acted; ask again, and name it with `bad`")
    under = await what_is_under_way(phase, own, positions)
    runs, lefts = _in_words(positions, own), await last_left(phase, list(positions), positions)
    stand = {name: await without_idle_release(one, name) for name, one in positions.items()}
    wanted, names = await _wanted(stand, own, lefts, to=to or PREVIOUS, bad=bad, under=under)
    is_under = wanted == under.version != ""
    named = bool(bad or to) or is_under
    way: dict[str, Any] = {"to": to or PREVIOUS, "bad": wanted, "names": names, "under": under.version}
    moves = await _expect_way(phase, positions, **way, restored=restored, named=named)
    moves = moves or has_acted or is_under
    if not moves and len(positions) == len(own):
        raise Refused(_nothing_to_do(runs, bad=wanted, since=since_in_words(positions, lefts)))
    what = f"{wanted} is the bad version" if wanted else "What each target runs is the bad version"
    evidence = {
        "bad": wanted,
        "moves": moves,
        "under": is_under,
        "named": named,
        "names": {name: one._asdict() for name, one in names.items()},
        HERE: is_asked_here(),
        "owners": {name: one["owner"] for name, one in positions.items()},
    }
    decided = await phase.append(what, kind="rollback", name=NAME, why=runs, evidence=evidence)
    return str(decided.evidence["bad"])


async def expect_moved(phase: Phase, environments: Sequence[str]) -> None:
    """Look whether a rollback did anything, whatever was read when it was decided: what serves on may be what is bad.

    If the bad version was under release, by what is kept of that release, it may have rolled itself back meanwhile; so may another
    rollback from it have come to its end.

    Raises:
        Refused: It left each environment as it was.
        WorldMoved: It left the version in one environment, and in another one it serves on by the name of another configuration.
    """
    decided = await phase.read("rollback", name=NAME)
    if decided is None or decided.evidence["under"]:
        return
    chosen = [await phase.read("rollback", environment=environment, name="choice") for environment in environments]
    kinds = {one.evidence["choice"]["kind"] if one else "" for one in chosen}
    if kinds <= ({"nothing"} if decided.evidence["moves"] else {"nothing", ""}):  # what could not be chosen has failed
        if await _was_done_meanwhile(phase, environments, decided):
            return
        positions = {name: one.evidence["position"] for name, one in zip(environments, chosen, strict=True) if one}
        raise Refused(_nothing_to_do(_in_words(positions, environments), bad=str(decided.evidence["bad"])))
    found = {
        name: (RollbackChoice(**one.evidence["choice"]), one.evidence["position"]["baseline"])
        for name, one in zip(environments, chosen, strict=True)
        if one
    }
    if serving := serves_on(found, bad=str(decided.evidence["bad"])):
        where = ", ".join(f"{version} serves on in {name}" for name, version in serving.items())
        fix = f"If it is bad as well, name it so: `--bad {min(serving.values())}`"
        raise WorldMoved(f"{where}, since a rollback brought that configuration. {fix}")


async def _was_done_meanwhile(phase: Phase, environments: Sequence[str], decided: Entry) -> bool:
    """Say if another rollback from the same version, asked for in the same minute, was over after this one was decided."""
    lefts, bad = await last_left(phase, environments), str(decided.evidence["bad"])
    others = [one for one in lefts.values() if one.run != phase.owner and bad in names_of(one.version)]
    return any(one.over is not None and one.over >= moment(decided) for one in others)


def _nothing_to_do(runs: str, *, bad: str, since: str = "") -> str:
    what = f"nothing to roll back from {bad} was found" if bad else "nothing to roll back was found"
    fix = "If that is bad, name its version as it is called there: `--bad VERSION` (the field `bad`)"
    either = ", or the one to return to: `--to VERSION`" if since else ""
    return f"{what}; what runs is {runs}, and it was left as it is{since and f': {since}'}. {fix}{either}"


def _in_words(positions: Mapping[str, Position], environments: Sequence[str]) -> str:
    """Say what runs: `production/eu 1.1, production/us does not answer`."""
    said = [f"{name} {one['canary'] or one['baseline'] or 'nothing'}" for name, one in positions.items()]
    return ", ".join(said + [f"{name} does not answer" for name in environments if name not in positions])


async def _began_before(phase: Phase) -> bool:
    """Say if an attempt came before this one: by the server's count, which others can hold back, or by the one beside the key."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return run is None or str(run.id) != phase.owner or run.run_count > 1 or await times_started(phase.owner) > 1


async def _wanted(
    positions: Mapping[str, Position], environments: Sequence[str], lefts: Mapping[str, Left], *, to: str, bad: str, under: Under
) -> tuple[str, dict[str, BadName]]:
    """Give the bad version, and by which name each environment knows it."""
    silent = [name for name in environments if name not in positions]
    if given := bad or under.version:
        is_under = given == under.version
        beside = {lefts[name].run for name, one in positions.items() if stays_beside(one, lefts.get(name), bad=given, at=now())}
        release = under.release if is_under else beside.pop() if len(beside) == 1 else ""
        unreached = await unreached_by(release, environments, version=given)
        found = names_given(positions, lefts, bad=given, at=now(), unreached=unreached, silent=silent)
        return given, found | {name: BadName(**one) for name, one in under.names.items() if is_under and name in environments}
    meant = all_as_meant(positions, lefts, to=to, at=now(), silent=silent)
    common = version_to_leave(meant, to=to, silent=silent)
    found = names_found(positions, meant, lefts, common=common or "", to=to)
    if (unseen := name_if_silent(common or "", meant)) is not None:
        found |= dict.fromkeys(silent, unseen)
    return _common_version(meant, environments, common, to=to, runs=_in_words(positions, environments)), found


def _common_version(positions: Mapping[str, Position], environments: Sequence[str], bad: str | None, *, to: str, runs: str) -> str:
    """Name the version that all leave, see `version_to_leave`; "" if they run nothing."""
    silent = [name for name in environments if name not in positions]
    if bad is None and silent and not any(one["canary"] or one["baseline"] for one in positions.values()):
        raise Temporary(f"the bad version is not known: {runs}")
    if bad is None:
        raise Refused(f"the targets run different versions ({runs}); name the bad one with `bad`, or roll back one target")
    meant = {version_meant(baseline=one["baseline"], canary=one["canary"], to=to) for one in positions.values()} - {None}
    return bad or (str(meant.pop()) if len(meant) == 1 and not silent else "")


async def _expect_way(
    phase: Phase, positions: Mapping[str, Position], *, to: str, bad: str, names: Mapping[str, BadName], under: str,
    restored: Sequence[str], named: bool,
) -> bool:  # fmt: skip
    """Look for a version to return to before anything is stopped: a rollback that can do nothing must not end the one of a release.

    Returns:
        Whether it would change anything where they answer.

    Raises:
        Refused: No environment has one, or it would leave the version under release where it is.
    """
    faults, moves = list[str](), False
    for name, position in positions.items():
        platform = await platform_of(phase.plan, name)
        choice = await choice_for(phase, platform, position, environment=name, to=to, bad=bad, names=names)
        fault = choice.reason if choice.kind == "impossible" else ""
        if under and choice.version == under:
            why = f"{under} is being released or rolled back now, and this rollback would leave it serving in {name}"
            fault = f"{why}; leave `bad` and `version` empty"
        fault = fault or await fault_of_left(phase, platform, position, choice, environment=name)
        if not named:
            fault = fault or fault_of_replaced(position, environment=name)
            fault = fault or await fault_of_second_step(phase, platform, position, choice, environment=name)
        try:
            await expect_no_contract(phase, choice, environment=name, restored=restored, looks=True)
        except Refused as error:
            fault = fault or str(error)
        faults += [fault] if fault else []
        moves = moves or choice.kind != "nothing"
    if faults and len(faults) == len(positions):
        raise Refused("; ".join(dict.fromkeys(faults)))
    return moves


async def expect_known(phase: Phase, environments: Sequence[str], *, version: str) -> Phase:
    """Let a rollback return only to a version that was a good release of this service here: it must not bypass the gate.

    What was asked for is looked at once: what this rollback did since does not end it half-way.

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
    if version and await phase.read("rollback", name=NAME) is not None:
        return phase
    if wanted == PREVIOUS or not (fault := await _unknown(phase, environments, wanted)):
        return phase
    if version:
        raise Refused(fault)
    await phase.append(f"`rollback.to: {wanted}` of the plan does not count", kind="note", name="unknown version", why=fault)
    rollback = phase.plan.rollback.model_copy(update={"to": PREVIOUS})
    return replace(phase, plan=phase.plan.model_copy(update={"rollback": rollback}))


async def _unknown(phase: Phase, environments: Sequence[str], version: str) -> str:
    """Say where a version is not known, of what answers and may be rolled back; "" if it is. Others are asked in their turn."""
    others = await faults_of_others(phase, environments)
    positions = await _positions(phase, [name for name in environments if name not in others] or environments)

    async def look(name: str) -> bool:
        return await is_known(phase, await platform_of(phase.plan, name), positions[name], version, environment=name)

    async def left(name: str) -> str:
        position, choice = positions[name], RollbackChoice("redeploy", version, "")
        if version == position["baseline"]:
            return ""
        return await fault_of_left(phase, await platform_of(phase.plan, name), position, choice, environment=name)

    if faults := [fault for fault in await asyncio.gather(*map(left, positions)) if fault]:
        return "; ".join(faults)
    known = await asyncio.gather(*map(look, positions))
    unknown = [name for name, yes in zip(positions, known, strict=True) if not yes]
    before = " or ".join(dict.fromkeys(str(previous) for name in unknown if (previous := positions[name]["previous"])))
    alone = "" if len(unknown) == len(environments) else "roll the others back alone, "
    return unknown_in(unknown, version, before=before, others=alone) if unknown else ""


async def _positions(phase: Phase, environments: Sequence[str]) -> dict[str, Position]:
    """Read what each environment runs; one that cannot be read is left out, so that it keeps no other from its rollback."""

    async def read(environment: str) -> Position:
        platform = await platform_of(phase.plan, environment)
        found = await (platform.current() if len(environments) > 1 else retried(read_position)(platform))  # of several, none waits for one
        return await with_previous(phase, platform, found, environment=environment)

    answers = await asyncio.gather(*map(read, environments), return_exceptions=True)
    found, fault = answers_of(dict(zip(environments, answers, strict=True)))
    if fault is not None:
        raise fault
    for name, error in zip(environments, answers, strict=True):
        if isinstance(error, BaseException):
            say(f"what {name} runs cannot be read, so the others are rolled back without: {error_text(error)}")
    return found
