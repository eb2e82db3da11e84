"""`shipway`: the command line. Each command is a module in flows/commands; nothing heavy is imported before one runs."""

from __future__ import annotations

import argparse
import importlib
import sys
from types import ModuleType

from blocks.errors import Refused
from flows.commands._encoding import use_utf8

COMMANDS = (
    "demo", "up", "down", "check", "release", "run", "approve", "cancel", "rollback", "status", "history", "report", "approvers",
    "local", "doctor",
)  # fmt: skip


def main(words: list[str] | None = None) -> int:
    """Run one command.

    Args:
        words: The command line without the program's name; the process's own where None.

    Returns:
        0 done or deployed, 1 unexpected, 2 bad plan or input, 3 rolled back, 4 refused, 5 waiting.
    """
    if words is None:
        use_utf8()
    parser, commands = build_parser()
    arguments = parser.parse_args(words)
    try:
        code: int = commands[arguments.command].run(arguments)
        return code  # noqa: TRY300 - the branch below is for Ctrl-C alone
    except Refused as error:  # what stands before a command's own work, such as a user without a home directory
        print(error, file=sys.stderr)  # noqa: T201 - a command line prints
        return 4
    except KeyboardInterrupt:
        print("\nStopped looking; what runs on the server goes on.", file=sys.stderr)  # noqa: T201 - a command line prints
        return 130


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, ModuleType]]:
    """Build the parser of all commands, and give the commands by name."""
    parser = argparse.ArgumentParser(
        prog="shipway",
        description="Take one release of a service from a reviewed plan to a verified production deployment, or safely back.",
        epilog="Exit codes: 0 done or deployed, 2 bad plan or input, 3 rolled back, 4 refused, 5 waiting for people.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands: dict[str, ModuleType] = {}
    for name in COMMANDS:
        command = importlib.import_module(f"flows.commands.{name}")
        command.configure(subparsers.add_parser(name, help=command.HELP, description=command.HELP))
        commands[name] = command
    return parser, commands
