"""`shipway local`: list, inspect and stop the environments of the local platform on this machine."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from flows.commands import _output

HELP = "List, inspect or stop the services that the local platform runs on this machine."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "action", choices=["list", "status", "stop"], help="what to do; stop drains the connections, then stops the agent and the processes"
    )
    parser.add_argument("--home", type=Path, metavar="FOLDER", help="Shipway's home directory (default: $SHIPWAY_HOME, or ~/.shipway)")
    parser.add_argument("folder", nargs="?", type=Path, help="the folder of one environment (default: all in the home directory)")


def run(arguments: argparse.Namespace) -> int:
    """Act on one environment, or on all.

    Returns:
        0, or 2 if the folder does not hold an environment.
    """
    from blocks.own_place import home

    root = (arguments.home.expanduser().absolute() if arguments.home else home()) / "local"
    folders = [arguments.folder.absolute()] if arguments.folder else sorted(root.iterdir()) if root.is_dir() else []
    codes = [_act(arguments.action, folder, named=arguments.folder is not None) for folder in folders]
    if not folders:
        _output.show(f"There are no environments in {root}.")
    return max(codes, default=0)


def _act(action: str, folder: Path, *, named: bool) -> int:
    from blocks.local.client import LocalClient
    from blocks.local.state.file import STOPPED, load_state
    from blocks.local.state.view import in_words

    state = load_state(folder)
    if state is None:
        _output.show(f"{folder} is not an environment of Shipway's local platform")
        return 2 if named else 0
    client = LocalClient(folder, service=state["service"], port=state["port"])
    if action == "stop":
        asyncio.run(client.stop())
        _output.show(f"{state['service']} in {folder} is stopped")
    elif action == "list":
        _output.show(
            f"{state['service']}  {'stopped' if (folder / STOPPED).exists() else 'running'}  http://127.0.0.1:{state['port']}  {folder}"
        )
    else:
        _output.show("\n".join(in_words(asyncio.run(client.view()))))
    return 0
