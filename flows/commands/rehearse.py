"""`shipway rehearse`: show in staging that a rollback works, and follow it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

HELP = "Rehearse a rollback in staging: a version takes production's steps there, is made to fail, and is rolled back."
SECONDS_BETWEEN = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("plan", type=Path, metavar="PLAN", help="the plan file")
    version = "the version that is made to fail (default: the one that ran in staging before)"
    parser.add_argument("--version", default="", metavar="VERSION", help=version)
    step = "the step that is made to fail, by its share in percent (default: the last one)"
    parser.add_argument("--fail-at", type=int, choices=range(1, 101), metavar="PERCENT", help=step)
    place = "whose steps are taken: production/NAME for a target (default: production, its first target)"
    _terminal.add_environment(parser, help=place)
    parser.add_argument("--reason", default="a rehearsal of the rollback", metavar="TEXT", help="why; goes into the record")
    _terminal.add_requester(parser, help="who requests it, for the record (default: you)")
    _output.add_json(parser)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check the plan, start the rehearsal, follow it.

    Args:
        arguments: What `configure` described.

    Returns:
        0 the rollback works, 2 bad plan or input, 3 it does not, or nothing was shown, 4 refused, as nothing can be rehearsed now.
    """
    return _terminal.with_plan(arguments, _rehearse)


async def _rehearse(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from flows.commands.release import start

    wanted = {
        "plan": str(arguments.plan.absolute()), "requester": arguments.requester, "reason": arguments.reason, "version": arguments.version,
        "environment": arguments.environment, "fail_at": arguments.fail_at,
    }  # fmt: skip
    found = await start(client, "rehearse/rehearse", wanted)
    if arguments.json:
        found = await _ended(client, found)
        _output.print_json(await _as_json(found))
    else:
        _terminal.show(f"rehearse {found.id}")
        found = await _terminal.follow_run(client, found.id)
        _terminal.show(_ending(found))
    return _terminal.EXIT.get(found.state.name or "" if found.state else "", _terminal.UNEXPECTED)


async def _ended(client: PrefectClient, found: FlowRun) -> FlowRun:
    """Wait for the end of a run, and print nothing meanwhile."""
    import asyncio

    from tasks.lifecycle.run_labels import has_ended

    while not has_ended(found):
        await asyncio.sleep(SECONDS_BETWEEN)
        found = await client.read_flow_run(found.id)
    return found


async def _as_json(found: FlowRun) -> dict[str, Any]:
    """Give the run, how it ended, and what it showed, which is null if that is nothing."""
    from flows.commands.status import entries_of
    from tasks.rules.record.entries import outcome_of, select

    entries = await entries_of(str(found.id))
    closed = select(entries, kind="closed")
    shown = closed[-1].evidence.get("rehearsal") if closed else None
    message = found.state.message if found.state else None
    return {"id": str(found.id), "outcome": outcome_of(entries), "why": message, "rehearsal": shown}


def _ending(found: FlowRun) -> str:
    return f"{found.state.name}: {found.state.message}" if found.state else "Unknown"
