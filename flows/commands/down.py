"""`shipway down`: stop what `shipway up` started; data are kept."""

from __future__ import annotations

import argparse
from pathlib import Path

from flows.commands import _output

HELP = "Stop the workers, the server and the database on this machine; data are kept."
FINE, REFUSED = 0, 4


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "--home", type=Path, metavar="FOLDER", help="the home directory given to `shipway up` (default: $SHIPWAY_HOME, or ~/.shipway)"
    )
    parser.add_argument(
        "--now",
        action="store_true",
        help="stop even while a release holds a process; the keeper starts it again after the next `shipway up`",
    )


def run(arguments: argparse.Namespace) -> int:
    """Stop the server stack.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when nothing runs any more, 4 when runs hold a process or the folder is not ours.
    """
    from blocks.errors import Refused
    from blocks.server import layout, lifecycle
    from flows.commands import _demo

    home = (arguments.home or layout.default_home()).expanduser().absolute()
    try:
        lifecycle.stop(home, now=arguments.now)
        _demo.end_companions(home)
    except Refused as error:
        _output.show(error, error=True)
        return REFUSED
    _output.show(f"Stopped. The data are in {home}; `shipway up --home {home}` starts it again.")
    return FINE
