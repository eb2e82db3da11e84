"""`shipway cancel`: order a run to go back and end."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

HELP = "Cancel a run: what it moved goes back, and it ends."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's id, its beginning, its name, or the service whose release waits")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Give the order; the run's own way back follows, and the keeper sees to a run that has no process.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when the order was taken, 2 when no run fits, 4 when the run has ended.
    """
    return _terminal.in_house(arguments, _cancel)


async def _cancel(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from prefect.states import Cancelling

    from blocks.errors import Refused
    from tasks.approval.answering import find_run
    from tasks.lifecycle.reconcile import cancel_stray
    from tasks.lifecycle.run_labels import is_unclosed

    found = await find_run(client, arguments.run)
    if found.state is not None and found.state.is_crashed() and is_unclosed(found):
        await client.set_flow_run_state(found.id, Cancelling(message="cancelled in the terminal"), force=True)
        print(f"{found.name} had died; the keeper rolls back what it moved; follow it with: shipway status --follow {str(found.id)[:8]}")
        return _terminal.DONE
    if found.state is not None and is_unclosed(found):
        raise Refused(f"{found.name} is {found.state.name}, but not closed: the keeper settles it; see `shipway status`")
    if found.state is None or found.state.is_final():
        raise Refused(f"{found.name} has ended: {found.state.name if found.state else 'no state'}; `shipway rollback` takes a version back")
    if name := await cancel_stray(client, found):
        print(f"{name} is cancelled; it had not begun")
        return _terminal.DONE
    await client.set_flow_run_state(found.id, Cancelling(message="cancelled in the terminal"))
    print(f"{found.name} is told to go back; follow it with: shipway status --follow {str(found.id)[:8]}")
    return _terminal.DONE
