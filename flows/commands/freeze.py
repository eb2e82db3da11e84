"""`shipway freeze`: stop every step forward of one service, or of all, at once. Rollbacks are not affected."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:
    from datetime import datetime

    from prefect.client.orchestration import PrefectClient

HELP = "Stop every step forward of a service, or of all, until it is lifted. Rollbacks are not affected."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--reason", required=True, metavar="TEXT", help="the reason; everybody who waits reads it")
    parser.add_argument("--service", default="", metavar="NAME", help="only this service (default: all)")
    parser.add_argument(
        "--until", default="", metavar="WHEN", help="when it ends by itself: 2h, 3d, or 2026-12-01T08:00+01:00 (default: never)"
    )
    _terminal.add_requester(parser, help="who sets it (default: you)")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Set the freeze: on the worker's machine without the server, else through it.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when it holds, or was requested, 1 if the server does not answer, 2 on bad input, 4 if it cannot be kept.
    """
    _terminal.enter(arguments)
    from blocks.errors import BadInput, Refused
    from blocks.key_folder.key_file import key_path

    try:
        arguments.moment = _moment(arguments.until)
        if key_path().exists():
            return _set_here(arguments)
    except (BadInput, Refused) as error:
        _terminal.show(error, error=True)
        return _terminal.BAD_INPUT if isinstance(error, BadInput) else _terminal.REFUSED
    return _terminal.on_server(arguments, _request)


def _moment(text: str) -> datetime | None:
    from blocks.errors import BadInput
    from tasks.lifecycle.clock import now
    from tasks.rules.windows.freeze import read_until

    found = read_until(text, now()) if text else None
    if isinstance(found, str):
        raise BadInput(found, field="--until", fix="Write 30m, 2h, 3d, or a moment with its zone, as 2026-12-01T08:00+01:00.")
    return found


def _set_here(arguments: argparse.Namespace) -> int:
    import asyncio

    from blocks.key_folder.freeze_files import freeze_folder
    from tasks.approval.known_service import tell_server
    from tasks.lifecycle.freezes import set_freeze
    from tasks.rules.windows.freeze import freeze_in_words

    found = set_freeze(who=arguments.requester, reason=arguments.reason, service=arguments.service, until=arguments.moment)
    words = freeze_in_words(found)
    _terminal.show(f"Frozen: {words}.")
    _terminal.show(f"It holds for the workers that use {freeze_folder()}, and for no other.")
    _terminal.show(f"Rollbacks are not affected. Lift it with: shipway unfreeze {found.id} --reason TEXT")
    _terminal.show("In the Prefect UI the deployment `unfreeze` does; with a reason and without a code it says the challenge for one.")
    if warning := asyncio.run(tell_server(found, what=words)):
        _terminal.show(warning, error=True)
    return _terminal.DONE


async def _request(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from flows.commands.release import link, start

    wanted = {"reason": arguments.reason, "requester": arguments.requester, "service": arguments.service}
    until = {"until": arguments.moment.isoformat()} if arguments.moment else {}
    found = await start(client, "freeze/freeze", wanted | until)
    _terminal.show("This is not the worker's machine, so the freeze is set by a run. It does not hold before that run has ended as Frozen:")
    _terminal.show(link(found))
    return _terminal.DONE
