"""`shipway rollback`: roll an environment back to an earlier version, now."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands import _here, _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

HELP = "Roll an environment back to the previous version, then verify and watch it. A running release is asked to end."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("plan", type=Path, metavar="PLAN", help="the plan file")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="what is wrong; goes into the record")
    _terminal.add_requester(parser, help="who requests it, for the record (default: you)")
    _terminal.add_environment(parser, help="which environment (default: production, which means all of the plan's targets)")
    parser.add_argument("--to", default="", metavar="VERSION", help="the version to roll back to (default: the previous one)")
    restored = "a contract migration whose effect you have undone by hand; repeat it for each one that the rollback crosses"
    parser.add_argument("--restored", action="append", default=[], metavar="NAME", help=restored)
    parser.add_argument("--bad", default="", metavar="VERSION", help="the version to roll back from (default: the newest one there)")
    as_it_is = "go by the plan file although it names another block or service than releases acted by"
    parser.add_argument("--plan-as-it-is", action="store_true", help=as_it_is)
    here = "roll back in this process, on the worker's machine: it needs neither a deployment nor a worker, only the server"
    parser.add_argument("--here", action="store_true", help=here)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Start the rollback and follow it.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when the service is rolled back and healthy, 2 bad input, 3 when it is not, 4 when it was refused or never began.
    """
    if arguments.here:
        _here.be_quiet()
    return _terminal.on_server(arguments, _rollback)


async def _rollback(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from flows.commands.release import start

    wanted = {
        "plan": str(arguments.plan.absolute()), "reason": arguments.reason, "requester": arguments.requester,
        "environment": arguments.environment, "version": arguments.to, "restored": arguments.restored, "bad": arguments.bad,
        "plan_as_it_is": arguments.plan_as_it_is,
    }  # fmt: skip
    if arguments.here:
        found = await _here.roll_back(client, wanted, home=arguments.home)
    else:
        found = await _here.named(start(client, "rollback/rollback", wanted))
        _terminal.show(f"rollback {found.id}")
        found = await _here.picked_up(client, found)
        if not _here.has_begun(found):
            _terminal.show(f"{_ending(found)}. It never began. {_here.HINT}", error=True)
            return _terminal.REFUSED
        found = await _terminal.follow_run(client, found.id)
    _terminal.show(_ending(found))
    state = found.state
    if state and state.is_paused():
        _terminal.show(f"A rollback waits for nothing, so others suspended it: a person, or an automation. {_here.HINT}", error=True)
    if state and state.is_completed():
        return _terminal.DONE
    return _terminal.REFUSED if state and state.name == "Refused" else _terminal.ROLLED_BACK


def _ending(found: FlowRun) -> str:
    return f"{found.state.name}: {found.state.message}" if found.state else "Unknown"
