"""Whether a rollback is under way in an environment, or ended half-way: the next one goes on with it, unless a person decides else."""

from __future__ import annotations

from blocks.platform import Platform, Position
from flows.lifecycle.context import Phase
from flows.lifecycle.here import is_asked_here
from flows.rollout.migrations import read_here
from tasks.lifecycle.kept_runs import RUN
from tasks.record.journal import read_entry
from tasks.record.left import find_last
from tasks.rules.rollout.left import Left, as_before, is_under_way

DECISION = "bad version"  # the entry in which a rollback on demand says what it is about, who owned what, and where it was asked for
HERE = "here"


async def rollback_under_way(phase: Phase, platform: Platform, position: Position, environment: str) -> Left | None:
    """Give what the rollback left that is under way in an environment, or ended half-way there; None if none is."""
    here = await read_here(phase, platform, environment)
    found = await find_last(phase.plan.service, here=here, baseline=position["baseline"])
    if found is None:
        return None
    decided = await phase.read("rollback", name=DECISION)
    owners = decided.evidence.get("owners", {}) if decided else {}
    before = as_before(position.copy(), found, by=phase.owner, owners=owners, environment=environment)
    if before["owner"] not in {found.run, None} and await _is_rollback(str(before["owner"])):
        before["owner"] = found.run  # it took over from that one, and has not chosen yet
    return found if is_under_way(before, found) else None


async def _is_rollback(run: str) -> bool:
    """Say whether a run is a rollback on demand, by its own record."""
    opened = await read_entry(run, "opened") if RUN.fullmatch(run) else None
    return opened is not None and opened.evidence.get("flow") == "rollback"


async def may_turn_round(phase: Phase, left: Left) -> bool:
    """Say whether a rollback may let the version serve that another one left: a person says so, on the worker's machine.

    Who has the API's password cannot undo a rollback with a rollback. While a run of it is open, that one may yet come to its end.
    """
    decided = await phase.read("rollback", name=DECISION)
    is_here = bool(decided.evidence.get(HERE)) if decided else is_asked_here()
    return is_here and (not left.is_open or left.run == phase.owner)
