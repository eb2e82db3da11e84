"""Whether a rollback is under way in an environment, or ended half-way: the next one goes on with it, unless a person decides else."""

from __future__ import annotations

from collections.abc import Mapping

from blocks.platform import Platform, Position
from flows.lifecycle.context import Phase
from flows.lifecycle.here import is_asked_here
from flows.rollout.migrations import read_here
from tasks.lifecycle.kept_runs import RUN
from tasks.record.journal import flow_of, read_entries, read_entry
from tasks.record.left import find_last
from tasks.rules.record.entries import moment, select
from tasks.rules.rollout.left import Left, as_before, is_under_way

DECISION = "bad version"  # the entry in which a rollback on demand says what it is about, who owned what, and where it was asked for
HERE = "here"
GOES_ON = "goes on"


async def rollback_under_way(phase: Phase, platform: Platform, position: Position, environment: str) -> Left | None:
    """Give what the rollback left that is under way in an environment, or ended half-way there; None if none is."""
    here = await read_here(phase, platform, environment)
    found = await find_last(phase.plan.service, here=here, baseline=position["baseline"])
    if found is None:
        return None
    owners = await _owners_before(phase, found, environment)
    before = as_before(position.copy(), found, by=phase.owner, owners=owners, environment=environment)
    if before["owner"] not in {found.run, None} and not found.is_released and await is_rollback(str(before["owner"])):
        before["owner"] = found.run  # it took over from that one, and has not chosen yet
    return found if is_under_way(await without_idle_release(before, environment), found) else None


async def _owners_before(phase: Phase, left: Left, environment: str) -> Mapping[str, str | None]:
    """Say who owned what before this rollback; nothing if another rollback chose here since it was asked for, which had it then."""
    decided = await phase.read("rollback", name=DECISION)
    if decided is None or await phase.read("rollback", environment=environment, name=GOES_ON) is not None:
        return {}
    asked = await read_entry(phase.owner, "opened") or decided
    if left.run != phase.owner and left.at is not None and left.at > moment(asked):
        return {}
    owners: Mapping[str, str | None] = decided.evidence.get("owners", {})
    return owners


async def note_that_it_goes_on(phase: Phase, left: Left, environment: str) -> None:
    """Note that a rollback goes on with what another one started, before its own choice covers what is kept of that one."""
    if left.run != phase.owner:
        what = f"The rollback goes on in {environment} with what {left.run or 'another one'} started there"
        await phase.append(what, kind="rollback", environment=environment, name=GOES_ON, evidence={"run": left.run})


async def without_idle_release(position: Position, environment: str) -> Position:
    """Give a position without its owner if that is a release that has changed nothing there yet: what stands is not its own.

    It may migrate first, or wait for hours until nothing holds it any more.
    """
    owner = position["owner"]
    if owner is None or not RUN.fullmatch(owner):
        return position
    entries = await read_entries(owner)
    opened = next(iter(select(entries, kind="opened")), None)
    if opened is None or opened.evidence.get("flow") == "rollback" or select(entries, kind="effect", environment=environment):
        return position
    return {**position, "owner": None}


async def is_rollback(run: str) -> bool:
    """Say whether a run is a rollback on demand, by its own record."""
    return RUN.fullmatch(run) is not None and await flow_of(run) == "rollback"


async def may_turn_round(phase: Phase, left: Left) -> bool:
    """Say whether a rollback may let the version serve that another one left: a person says so, on the worker's machine.

    Who has the API's password cannot undo a rollback with a rollback. While a run of it is open, that one may yet come to its end.
    """
    decided = await phase.read("rollback", name=DECISION)
    is_here = bool(decided.evidence.get(HERE)) if decided else is_asked_here()
    return is_here and (not left.is_open or left.run == phase.owner)
