"""`shipway`: the command line. Each command is a module in flows/commands; nothing heavy is imported before one runs."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from types import ModuleType
from typing import Any

from blocks.errors import Refused
from flows.commands import _output
from flows.commands._encoding import use_utf8

COMMANDS = (
    "init", "demo", "up", "down", "check", "windows", "calendar", "release", "schedule", "run", "approve", "check-off", "code", "cancel",
    "rollback", "rehearse", "freeze", "unfreeze", "override", "status", "history", "metrics", "why", "logs", "report", "export",
    "retention", "approvers", "blocks", "credential", "policy", "local", "doctor", "completion",
)  # fmt: skip
UNWRITABLE = (errno.EROFS, errno.ENOSPC, errno.EDQUOT)
BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended


def main(words: list[str] | None = None) -> int:
    """Run one command.

    Args:
        words: The command line without the program's name; the process's own if None.

    Returns:
        0 done or deployed, 1 unexpected, 2 bad plan or input, 3 rolled back, 4 refused, 5 waiting, 141 if nothing reads the output.
    """
    if words is None:
        use_utf8()
    parser, commands = build_parser()
    try:
        try:
            arguments = parser.parse_args(words)
            code: int = commands[arguments.command].run(arguments)
        finally:
            sys.stdout.flush()  # here a closed pipe is still an exception, which the branch below takes
        return code  # noqa: TRY300 - the branches below are for what ends a command early
    except Refused as error:  # found before a command's own work begins, such as a user without a home directory
        _output.show(error, error=True)
        return 4
    except KeyboardInterrupt:
        _output.show("\nStopped following. Whatever runs on the server continues.", error=True)
        return 130
    except BrokenPipeError:  # as `shipway history | head -n 1` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes at its end
        return BROKEN_PIPE
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        message = f"{error.filename or 'A file'} cannot be written: {error.strerror}. Free some space, or make it writable."
        _output.show(message, error=True)
        return 1


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, ModuleType]]:
    """Build the parser of all commands, and give the commands by name."""
    parser = argparse.ArgumentParser(
        prog="shipway",
        description="Carry out deployments: staging, approval, a watched canary in production, and a rollback if anything fails.",
        epilog="Exit codes: 0 done or deployed, 1 error, 2 bad plan or input, 3 rolled back or failed, 4 refused, 5 waiting for people.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands: dict[str, ModuleType] = {}
    for name in COMMANDS:
        command = importlib.import_module(f"flows.commands.{name.replace('-', '_')}")
        command.configure(subparsers.add_parser(name, help=command.HELP, description=command.HELP))
        commands[name] = command
    return parser, commands


class _Version(argparse.Action):
    """Print the version; it is looked up only when asked for, which takes longer than `--help` may."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - see above

        _output.show(f"shipway {version('shipway')}")
        parser.exit()
