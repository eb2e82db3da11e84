"""`shipway approvers`: enrol, remove and list the people who may approve."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _terminal

if TYPE_CHECKING:  # these cost time that `shipway --help` does not have
    from prefect.client.orchestration import PrefectClient
    from pydantic import SecretStr

    from blocks.approvers.approvers import Approvers

HELP = "Enrol, remove and list the people who may approve releases."
FINE, BAD_INPUT, REFUSED = 0, 2, 4
SLUG = "approvers"
THEIRS = "~/.config/shipway/approver"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--block", metavar="NAME", default="shipway", help="the Prefect block that holds the approvers (default: shipway)")
    _terminal.add_home(parser)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="enrol a person: with an SSH key, or with a secret for `shipway code`")
    add.add_argument("name", metavar="NAME", help="lower-case name, as plans list it")
    add.add_argument("--ssh-key", type=Path, metavar="FILE", help="let the person sign with this SSH public key; makes no secret")
    add.add_argument("--write", type=Path, metavar="FILE", help="write the secret into a new file that only you can read")
    add.add_argument("--replace", action="store_true", help="give an enrolled person a new secret; the old one stops working everywhere")
    remove = actions.add_parser("remove", help="remove a person; the secret and the SSH keys stop working for good")
    remove.add_argument("name", metavar="NAME", help="the enrolled name")
    _output.add_json(actions.add_parser("list", help="list who is enrolled, and whether this machine's key can read their secrets"))


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
    from blocks.approvers.approvers import revoke
    from blocks.errors import BadInput, Refused
    from blocks.key_folder.key_file import write_once
    from tasks.lifecycle.server import server

    if arguments.ssh_key:
        return await asyncio.to_thread(_add_key, arguments)
    if not (sys.stdout.isatty() or arguments.write):
        fix = "Run it on a terminal, or add --write FILE."
        raise BadInput("the secret would be written to a file or a pipe that others may read", field="output", fix=fix)
    if arguments.write:
        await asyncio.to_thread(_expect_new, arguments.write)
    if arguments.replace and await asyncio.to_thread(revoke, arguments.name):
        _terminal.show(f"The secret that {arguments.name} had does not count any more.")
    async with server() as client:
        block = await _load(client, arguments.block)
        secret = block.enrol(arguments.name, replace=arguments.replace).get_secret_value()
        await _save(block, arguments.block)
        block = await _load(client, arguments.block)
        block.secret(arguments.name)
    _terminal.show(f"{arguments.name} is enrolled in {SLUG}/{arguments.block}.")
    if arguments.write:
        if not await asyncio.to_thread(write_once, arguments.write, f"{secret}\n".encode()):
            again = f"`shipway approvers add {arguments.name} --replace --write FILE` with a new file"
            raise Refused(f"{arguments.write} was made meanwhile, so the secret is nowhere; make another one: {again}")
        _terminal.show(f"The secret is in {arguments.write}; on the person's machine `shipway code` reads it from {THEIRS}.")
    else:
        _output.show_secret(f"The secret, which is not shown again, goes into {THEIRS} on the person's machine:\n\n{secret}\n")
    return FINE


def _expect_new(path: Path) -> None:
    from blocks.errors import BadInput

    if os.path.lexists(path):  # a link that leads nowhere, too
        raise BadInput(f"{path} exists", field="--write", fix="Name a new file.")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def _add_key(arguments: argparse.Namespace) -> int:
    from blocks.approvers.signers import add_signer, signers_path
    from tasks.rules.approval.statement import NAMESPACE

    add_signer(arguments.name, arguments.ssh_key.expanduser(), namespace=NAMESPACE)
    _terminal.show(f"{arguments.name} can approve with this SSH key, see {signers_path()}: `shipway approve RUN --key FILE`.")
    return FINE


async def _remove(arguments: argparse.Namespace) -> int:
    from blocks.approvers.approvers import revoke
    from blocks.approvers.signers import remove_signer
    from blocks.errors import Refused
    from blocks.outside_text import error_text

    name, block, fault = arguments.name, f"{SLUG}/{arguments.block}", ""
    revoked = await asyncio.to_thread(revoke, name)  # before anything that others can refuse is asked
    try:
        keys = await asyncio.to_thread(remove_signer, name)
    except Refused:
        if revoked:
            _terminal.show(f"The secret for codes that {name} had does not count any more, but an SSH key still does.", error=True)
        raise
    try:
        is_as_kept = await _take_out(name, arguments.block, revoked=revoked, has_key=keys > 0)
    except Exception as error:
        if not (revoked or keys):
            raise
        is_as_kept, fault = True, error_text(error)
    _terminal.show(f"{name} is removed. Approvals of theirs that were not used yet no longer count.")
    if not is_as_kept:
        _terminal.show(f"{block} did not have the entry that counted for {name}: it was changed. None counts for {name} now.")
    if fault:
        _terminal.show(f"{block} may still show an entry of {name}, which does not count: {fault}")
    return FINE


async def _take_out(name: str, block_name: str, *, revoked: str, has_key: bool) -> bool:
    """Take a name out of the block; says whether the block showed the entry that counted."""
    from tasks.lifecycle.server import server

    async with server() as client:
        block = await _load(client, block_name)
        if has_key and not revoked and name not in block.enrolled:
            return True
        is_as_kept = block.remove(name, revoked=revoked)
        await _save(block, block_name)
    return is_as_kept


async def _list(arguments: argparse.Namespace) -> int:
    from blocks.approvers.signers import signers
    from tasks.lifecycle.server import server

    async with server() as client:
        block = await _load(client, arguments.block)
    with_key = await asyncio.to_thread(signers)
    people = [_facts(block, name, has_key=name in with_key) for name in sorted({*block.names(), *with_key})]
    if arguments.json:
        _output.print_json({"block": f"{SLUG}/{arguments.block}", "approvers": people})
    else:
        _print(people, f"{SLUG}/{arguments.block}")
    return REFUSED if any(one["fault"] for one in people) else FINE


def _facts(block: Approvers, name: str, *, has_key: bool) -> dict[str, Any]:
    """Say by which means a person can approve, and what is wrong with the secret."""
    from blocks.errors import Refused

    is_enrolled, fault = name in block.enrolled, ""
    if is_enrolled:
        try:
            block.secret(name)
        except Refused as error:
            fault = str(error)
    return {"name": name, "code": is_enrolled and not fault, "ssh_key": has_key, "fault": fault}


def _print(people: list[dict[str, Any]], block: str) -> None:
    for one in people:
        means = ["code"] if one["code"] else [f"code UNUSABLE: {one['fault']}"] if one["fault"] else []
        _terminal.show(f"{one['name']}  {', '.join([*means, *(['SSH key'] if one['ssh_key'] else [])])}")
    if not people:
        _terminal.show(f"No approver is enrolled in {block}; add one with `shipway approvers add NAME`")


async def _load(client: PrefectClient, name: str) -> Approvers:
    """Load the block, or make an empty one if the server has none; any other error is raised, and nothing is overwritten.

    What others put in the place of an entry, or of all of them, is left out: it keeps no one from being removed, or enrolled anew.
    """
    from prefect.exceptions import ObjectNotFound

    from blocks.approvers.approvers import Approvers

    try:
        document = await client.read_block_document_by_name(name, SLUG, include_secrets=True)
    except ObjectNotFound:
        return Approvers()
    return Approvers(enrolled=_entries(document.data))


def _entries(data: dict[str, Any]) -> dict[str, SecretStr]:
    from pydantic import ValidationError

    from blocks.approvers.approvers import Approvers

    found: dict[str, SecretStr] = {}
    shown = data.get("enrolled")
    for name, entry in shown.items() if isinstance(shown, dict) else ():
        with contextlib.suppress(ValidationError):
            found |= Approvers.model_validate({"enrolled": {name: entry}}).enrolled
    return found


async def _save(block: Approvers, name: str) -> None:
    await block.asave(name, overwrite=True)
