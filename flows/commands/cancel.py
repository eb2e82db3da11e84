"""`shipway cancel`: roll back what a run changed, and end it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

HELP = "Cancel a run: roll back what it changed, and end it."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's id or the beginning of it, its name, or the service whose release waits")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Request the cancellation; the run rolls back itself, or the keeper does it if the run has no process.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when the request was accepted, 1 when the server did not take it, 2 when no run fits, 4 when the run has ended.
    """
    return _terminal.on_server(arguments, _cancel)


async def _cancel(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from prefect.states import Cancelling

    from blocks.errors import Refused
    from tasks.lifecycle.find_run import find_run
    from tasks.lifecycle.lock import is_still_to_come
    from tasks.lifecycle.run_labels import is_unclosed
    from tasks.lifecycle.strays import cancel_stray

    found = await find_run(client, arguments.run)
    follow = f"Follow it with: shipway status --follow {str(found.id)[:8]}"
    if found.state is not None and found.state.is_crashed() and is_unclosed(found):
        await client.set_flow_run_state(found.id, Cancelling(message="cancelled in the terminal"), force=True)
        _terminal.show(f"The process of {found.name} had died; the keeper rolls back what it changed. {follow}")
        return _terminal.DONE
    if found.state is not None and is_unclosed(found):
        raise Refused(f"{found.name} is {found.state.name}, but not finalized yet: the keeper settles it; see `shipway status`")
    if found.state is None or found.state.is_final():
        raise Refused(_ended(found))
    if name := await cancel_stray(client, found):
        _terminal.show(f"{name} is cancelled; it had not started")
        return _terminal.DONE
    was_to_come = is_still_to_come(found)
    await client.set_flow_run_state(found.id, Cancelling(message="cancelled in the terminal"))
    found = await client.read_flow_run(found.id)  # it may have ended between the reading and the request, which then changes nothing
    if found.state is None or (found.state.is_final() and not found.state.is_cancelled()):
        raise Refused(_ended(found))
    if found.state.is_cancelled() and was_to_come:
        _terminal.show(f"{found.name} is cancelled; it had not begun")
    elif found.state.is_cancelled():
        _terminal.show(f"{found.name} is cancelled. If it had changed anything, the keeper rolls that back. {follow}")
    elif found.state.is_cancelling():
        _terminal.show(f"{found.name} is being rolled back. {follow}")
    else:
        _terminal.show(f"{found.name} is {found.state.name}, as the server did not take the request; try again. {follow}", error=True)
        return _terminal.UNEXPECTED
    return _terminal.DONE


def _ended(found: FlowRun) -> str:
    return f"{found.name} has ended: {found.state.name if found.state else 'no state'}. To undo a deployed version, use `shipway rollback`"
