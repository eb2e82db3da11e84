"""`shipway status`: what is under way, and what waits for people."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

HELP = "Show what is under way, and what waits for people."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--follow", metavar="RUN", help="tell the story of one run until it waits or ends")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the open runs.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when nothing waits, 5 when something waits for people, 2 without a server.
    """
    return _terminal.in_house(arguments, _status)


async def _status(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from flows.commands.release import follow_to_end, last_answer
    from tasks.approval.answering import find_run
    from tasks.lifecycle.links import run_link
    from tasks.lifecycle.lock import OPEN, tagged

    if arguments.follow:
        return await follow_to_end(client, await find_run(client, arguments.follow), wait=False)
    runs = await tagged(client, OPEN)
    if not runs:
        _terminal.show("Nothing is under way.")
        return _terminal.DONE
    for found in runs:
        state = found.state
        since = f"{state.timestamp:%Y-%m-%d %H:%M:%S} UTC" if state else "?"
        where = await _where(str(found.id))
        _terminal.show(f"{str(found.id)[:8]}  {found.name:<32} {state.name if state else '?':<14} since {since}  {run_link(str(found.id))}")
        if where:
            _terminal.show(f"          {where}")
        if state and state.is_paused():
            _terminal.show(f"          answer it: shipway approve {str(found.id)[:8]}{last_answer(found)}")
    return _terminal.WAITING if any(found.state and found.state.is_paused() for found in runs) else _terminal.DONE


async def _where(run: str) -> str:
    """Say which targets a run has done, and where it is; nothing where its plan has one production, or its record is not here."""
    from blocks.errors import ShipwayError
    from tasks.record.journal import read_entries
    from tasks.rules.rollout.waves import progress_in_words

    try:
        return progress_in_words(await read_entries(run))
    except (ShipwayError, OSError):
        return ""
