"""`shipway unfreeze`: lift a freeze on the worker's machine; elsewhere the deployment `unfreeze` does, by a proved name."""

from __future__ import annotations

import argparse

from flows.commands import _terminal

HELP = "Lift a freeze; the releases that it holds go on by themselves."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("freeze", metavar="FREEZE", nargs="?", default="", help="its id or the beginning of it (default: the only one)")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="the reason, for the records of the releases that it held")
    parser.add_argument("--service", metavar="NAME", help="the freeze of this service")
    _terminal.add_requester(parser, help="who lifts it (default: you)")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Lift the freeze; it needs no server.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when it is lifted, 2 if it is not clear which, 4 if this person may not, or this is not the worker's machine.
    """
    _terminal.enter(arguments)
    import asyncio

    from blocks.errors import BadInput, Refused
    from tasks.approval.known_service import tell_server
    from tasks.approval.lifting import lift_here
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.freezes import find_freeze
    from tasks.rules.windows.freeze import lifted_in_words

    try:
        _expect_worker()
        freeze = find_freeze(arguments.freeze, service=arguments.service)
        lifted = lift_here(freeze, who=arguments.requester, reason=arguments.reason)
    except (BadInput, Refused) as error:
        _terminal.show(error, error=True)
        return _terminal.BAD_INPUT if isinstance(error, BadInput) else _terminal.REFUSED
    words = lifted_in_words(lifted, now())
    _terminal.show(f"{words[:1].upper()}{words[1:]}. What it held goes on by itself.")
    asyncio.run(tell_server(lifted, what=words))
    return _terminal.DONE


def _expect_worker() -> None:
    from blocks.errors import Refused
    from blocks.key_folder.key_file import key_path

    if not key_path().exists():
        raise Refused(f"this is not the worker's machine: there is no {key_path()}. Run the deployment `unfreeze` in the Prefect UI")
