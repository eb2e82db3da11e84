"""`shipway rollback`: take an environment back, now."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

HELP = "Take an environment back to the version before, verified and watched; a release under way is told and ends."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("plan", type=Path, metavar="PLAN", help="the plan file")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="what is wrong, for the record")
    _terminal.add_environment(parser, help="where (default: production, which means each of the plan's targets)")
    parser.add_argument("--to", default="", metavar="VERSION", help="the version to return to (default: the one before)")
    told = "a contract migration whose effect you have undone by hand; once for each that the rollback would cross"
    parser.add_argument("--restored", action="append", default=[], metavar="NAME", help=told)
    parser.add_argument("--bad", default="", metavar="VERSION", help="the version to get away from (default: the newest there)")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Start the rollback and follow it.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when the service is back and well, 2 bad input, 3 when it is not.
    """
    return _terminal.in_house(arguments, _rollback)


async def _rollback(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from flows.commands.release import start

    wanted = {
        "plan": str(arguments.plan.absolute()), "reason": arguments.reason, "environment": arguments.environment, "version": arguments.to,
        "restored": arguments.restored, "bad": arguments.bad,
    }  # fmt: skip
    found = await start(client, "rollback/rollback", wanted)
    _terminal.show(f"rollback {found.id}")
    found = await _terminal.show_story(client, found.id)
    state = found.state
    _terminal.show(f"{state.name if state else 'Unknown'}: {state.message if state else ''}")
    return _terminal.DONE if state and state.is_completed() else _terminal.ROLLED_BACK
