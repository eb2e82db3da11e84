"""`shipway approvers`: enrol, remove and list the people who may approve."""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
from typing import TYPE_CHECKING

from flows.commands import _output, _terminal

if TYPE_CHECKING:  # these cost time that `shipway --help` does not have
    from prefect.client.orchestration import PrefectClient

    from blocks.approvers.approvers import Approvers

HELP = "Enrol, remove and list the people who may approve releases."
FINE, BAD_INPUT, REFUSED = 0, 2, 4
SLUG = "approvers"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--block", metavar="NAME", default="shipway", help="the Prefect block that holds the approvers (default: shipway)")
    _terminal.add_home(parser)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="enrol a person; shows a QR code for an authenticator app")
    add.add_argument("name", metavar="NAME", help="lower-case name, as plans list it")
    add.add_argument("--show-uri", action="store_true", help="print the secret's URI, for apps that cannot scan")
    add.add_argument("--replace", action="store_true", help="give an enrolled person a new secret; the old one stops working")
    remove = actions.add_parser("remove", help="remove a person; the secret stops working for good")
    remove.add_argument("name", metavar="NAME", help="the enrolled name")
    actions.add_parser("list", help="list who is enrolled, and whether this machine's key can read their secrets")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when done, 2 on bad input, 4 when refused.
    """
    _terminal.enter(arguments)
    return asyncio.run(manage(arguments))


async def manage(arguments: argparse.Namespace) -> int:
    """Do the work of `run` in a running event loop."""
    from blocks.errors import BadInput, Refused

    actions = {"add": _add, "remove": _remove, "list": _list}
    try:
        return await actions[arguments.action](arguments)
    except (BadInput, Refused) as error:
        _terminal.show(error, error=True)
        return BAD_INPUT if isinstance(error, BadInput) else REFUSED


async def _add(arguments: argparse.Namespace) -> int:
    from blocks.errors import BadInput
    from tasks.lifecycle.server import server

    if not (sys.stdout.isatty() or arguments.show_uri):
        fix = "Run it on a terminal, or add --show-uri to have the secret printed."
        raise BadInput("the QR code contains the secret and would be written to a file or a pipe", field="output", fix=fix)
    async with server() as client:
        block = await _load(client, arguments.block)
        uri = block.enrol(arguments.name, replace=arguments.replace).get_secret_value()
        await _save(block, arguments.block)
        block = await _load(client, arguments.block)
        block.secret(arguments.name)
    if sys.stdout.isatty():
        _output.show(f"Scan this with {arguments.name}'s authenticator app. It is not shown again.\n")
        _output.show_drawing(_qr(uri))
    if arguments.show_uri:
        _output.show_secret(uri)
    _terminal.show(f"{arguments.name} is enrolled in {SLUG}/{arguments.block}.")
    return FINE


async def _remove(arguments: argparse.Namespace) -> int:
    from tasks.lifecycle.server import server

    async with server() as client:
        block = await _load(client, arguments.block)
        block.remove(arguments.name)
        await _save(block, arguments.block)
    _terminal.show(
        f"{arguments.name} is removed from {SLUG}/{arguments.block}. Approvals of theirs that were not used yet no longer count."
    )
    return FINE


async def _list(arguments: argparse.Namespace) -> int:
    from blocks.errors import Refused
    from tasks.lifecycle.server import server

    async with server() as client:
        block = await _load(client, arguments.block)
    faults = 0
    for name in block.names():
        try:
            block.secret(name)
            _terminal.show(name)
        except Refused as error:
            faults += 1
            _terminal.show(f"{name}  UNUSABLE: {error}")
    if not block.names():
        _terminal.show(f"No approver is enrolled in {SLUG}/{arguments.block}; add one with `shipway approvers add NAME`")
    return REFUSED if faults else FINE


async def _load(client: PrefectClient, name: str) -> Approvers:
    """Load the block, or make an empty one if the server has none; any other error is raised, and nothing is overwritten."""
    from prefect.exceptions import ObjectNotFound

    from blocks.approvers.approvers import Approvers

    try:
        await client.read_block_document_by_name(name, SLUG)
    except ObjectNotFound:
        return Approvers()
    return await Approvers.aload(name, client=client)


async def _save(block: Approvers, name: str) -> None:
    await block.asave(name, overwrite=True)


def _qr(text: str) -> str:
    """Draw a compact QR code with its own colours, so that cameras read it on dark and on light terminals."""
    import segno

    drawing = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(drawing, border=2, compact=True)
    # The drawing's blocks are the light modules: pure white on pure black of the fixed 256-colour palette.
    return "".join(f"\x1b[38;5;231;48;5;16m{line}\x1b[0m\n" for line in drawing.getvalue().splitlines())
