"""`shipway status`: what is under way, and what waits for people."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from tasks.lifecycle.reconcile import Stray

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
        0 when nothing waits, 5 when something waits for people, 2 without a server, 1 when the keeper is missing.
    """
    return _terminal.in_house(arguments, _status)


async def _status(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from flows.commands.release import follow_to_end, last_answer
    from tasks.approval.answering import find_run
    from tasks.lifecycle.links import run_link
    from tasks.lifecycle.lock import OPEN, tagged
    from tasks.lifecycle.run_labels import is_unclosed

    if arguments.follow:
        return await follow_to_end(client, await find_run(client, arguments.follow), wait=False)
    runs = await tagged(client, OPEN)
    others = await _others(client)
    if not runs and not others:
        _terminal.show("Nothing is under way.")
    for found in runs:
        state = found.state
        since = f"{state.timestamp:%Y-%m-%d %H:%M:%S} UTC" if state else "?"
        where = await _where(str(found.id))
        _terminal.show(f"{str(found.id)[:8]}  {found.name:<32} {state.name if state else '?':<14} since {since}  {run_link(str(found.id))}")
        if is_unclosed(found):
            _terminal.show("          that is not its end: the keeper starts it again, or settles it")
        if where:
            _terminal.show(f"          {where}")
        if state and state.is_paused():
            _terminal.show(f"          answer it: shipway approve {str(found.id)[:8]}{last_answer(found)}")
    for stray in others:
        since = f"{stray.since:%Y-%m-%d %H:%M:%S} UTC"
        _terminal.show(f"{str(stray.run.id)[:8]}  {stray.name:<32} {stray.run.state_name or '?':<14} since {since}")
    if await _keeper_is_missing(client):
        return _terminal.UNEXPECTED
    return _terminal.WAITING if any(found.state and found.state.is_paused() for found in runs) else _terminal.DONE


async def _others(client: PrefectClient) -> list[Stray]:
    """List the runs that hold a process, or should, beside the open ones; not those of the keeper that are as they should be."""
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.reconcile import KEEPER, strays
    from tasks.rules.lifecycle.reconcile import LATE

    return [stray for stray in await strays(client) if stray.flow != KEEPER or now() - stray.since > LATE]


async def _keeper_is_missing(client: PrefectClient) -> bool:
    """Say when the keeper last did its work, and if that is too long ago."""
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.reconcile import last_work
    from tasks.rules.lifecycle.reconcile import is_late

    last, moment = await last_work(client), now()
    told = "has never done its work" if last is None else f"last did its work {(moment - last).total_seconds():.0f} s ago"
    if is_late(last, now=moment):
        print(f"The keeper {told}: runs that died or wait for a time go unattended. See `shipway doctor`.", file=sys.stderr)
        return True
    print(f"The keeper {told}.")
    return False


async def _where(run: str) -> str:
    """Say which targets a run has done, and where it is; nothing where its plan has one production, or its record is not here."""
    from blocks.errors import ShipwayError
    from tasks.record.journal import read_entries
    from tasks.rules.rollout.waves import progress_in_words

    try:
        return progress_in_words(await read_entries(run))
    except (ShipwayError, OSError):
        return ""
