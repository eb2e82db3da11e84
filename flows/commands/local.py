"""`shipway local`: list, inspect and stop the environments of the local platform on this machine."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from flows.commands import _output

HELP = "List, inspect or stop the services that the local platform runs on this machine."
FINE, BAD_INPUT = 0, 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "action", choices=["list", "status", "stop"], help="what to do; stop drains the connections, then stops the agent and the processes"
    )
    parser.add_argument("--home", type=Path, metavar="FOLDER", help="Shipway's home directory (default: $SHIPWAY_HOME, or ~/.shipway)")
    parser.add_argument("folder", nargs="?", type=Path, help="the folder of one environment (default: all in the home directory)")
    _output.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Act on one environment, or on all.

    Returns:
        0, or 2 if the folder does not hold an environment.
    """
    from blocks.own_place import home

    if arguments.json and arguments.action == "stop":
        _output.show("--json does not belong to `stop`, which reads nothing. Leave it out.", error=True)
        return BAD_INPUT
    root = (arguments.home.expanduser().absolute() if arguments.home else home()) / "local"
    folders = [arguments.folder.absolute()] if arguments.folder else sorted(root.iterdir()) if root.is_dir() else []
    found: list[dict[str, Any]] = []
    codes = [_act(arguments, folder, found) for folder in folders]
    if arguments.json:
        _output.print_json({"environments": found})
    elif not folders:
        _output.show(f"There are no environments in {root}.")
    return max(codes, default=FINE)


def _act(arguments: argparse.Namespace, folder: Path, found: list[dict[str, Any]]) -> int:
    """Act on one folder; what is read for a program is added to `found`."""
    from blocks.local.client import LocalClient
    from blocks.local.state.file import STOPPED, load_state

    state = load_state(folder)
    if state is None:
        _output.show(f"{folder} is not an environment of Shipway's local platform", error=True)
        return BAD_INPUT if arguments.folder else FINE
    client = LocalClient(folder, service=state["service"], port=state["port"])
    if arguments.action == "stop":
        asyncio.run(client.stop())
        _output.show(f"{state['service']} in {folder} is stopped")
        return FINE
    facts = {
        "service": state["service"],
        "running": not (folder / STOPPED).exists(),
        "address": f"http://127.0.0.1:{state['port']}",
        "folder": folder,
    }
    if arguments.action == "status":
        facts["view"] = asyncio.run(client.view())
    if not arguments.json:
        _print(facts)
    found.append(facts)
    return FINE


def _print(facts: dict[str, Any]) -> None:
    from blocks.local.state.view import in_words

    if "view" in facts:
        _output.show("\n".join(in_words(facts["view"])))
    else:
        _output.show(f"{facts['service']}  {'running' if facts['running'] else 'stopped'}  {facts['address']}  {facts['folder']}")
