"""`shipway credential`: save a secret that plans may name, with the services, hosts and platforms that it is for."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from blocks.credential import Credential

HELP = "Save a secret that plans may name, and say where it may go."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("name", metavar="NAME", help="its name; plans say `credential/NAME`")
    services, hosts = (
        "a service whose plans may name it; repeat it for more",
        "a host that may get it, as `accounts.example.org`; repeat it",
    )
    parser.add_argument("--service", action="append", default=[], required=True, metavar="NAME", help=services)
    parser.add_argument("--host", action="append", default=[], metavar="HOST", help=hosts)
    platforms = "a platform block whose versions may get it, or whose database it is, as `local/shop-staging`; repeat it"
    parser.add_argument("--platform", action="append", default=[], metavar="BLOCK", help=platforms)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask for the value without echo, or read it from standard input, and save the block in the place of one that is there.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when it is saved, 2 on bad input.
    """
    _terminal.enter(arguments)
    value = getpass.getpass("value: ") if sys.stdin.isatty() else sys.stdin.read()

    async def save(_client: PrefectClient, arguments: argparse.Namespace) -> int:
        from blocks.server import saving

        block = _block(arguments, value.strip())
        await saving.register(type(block))
        await saving.save(block, arguments.name)
        where = ", ".join([*block.hosts, *(f"versions on {one}" for one in block.platforms)])
        _terminal.show(f"credential/{arguments.name} is saved, for {', '.join(block.services)}: it may go to {where}.")
        return _terminal.DONE

    return _terminal.on_server(arguments, save)


def _block(arguments: argparse.Namespace, value: str) -> Credential:
    """Make the block.

    Raises:
        BadInput: An option cannot be read, or there is no value.
    """
    import re

    from pydantic import SecretStr, ValidationError

    from blocks.credential import Credential
    from blocks.errors import BadInput
    from tasks.rules.plan.types import CREDENTIAL, PATTERN_WORDS

    if not re.fullmatch(CREDENTIAL, f"credential/{arguments.name}"):
        raise BadInput(f"{arguments.name!r} cannot be its name", field="NAME", fix="Write lower-case letters, digits and dashes.")
    if not value:
        raise BadInput(
            "its value is missing", field="value", fix="Type it in, or give it by standard input: `shipway credential … < FILE`."
        )
    try:
        return Credential(value=SecretStr(value), services=arguments.service, hosts=arguments.host, platforms=arguments.platform)
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False, include_input=False)
        option = f"--{str(first['loc'][0]).removesuffix('s')}" if first["loc"] else "--host, --platform"
        words = PATTERN_WORDS.get(str(first.get("ctx", {}).get("pattern")), "Name a host or a platform that may get it.")
        raise BadInput(str(first["msg"]).removeprefix("Value error, "), field=option, fix=words) from None
