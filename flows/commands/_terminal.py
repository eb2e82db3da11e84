"""What the commands share: the house they talk to, and how a release is shown in a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

DONE, UNEXPECTED, BAD_INPUT, ROLLED_BACK, REFUSED, WAITING = 0, 1, 2, 3, 4, 5
EXIT = {"Deployed": DONE, "Passed": DONE, "Refused": REFUSED, "RolledBack": ROLLED_BACK, "Failed": ROLLED_BACK, "Cancelled": ROLLED_BACK}
EXIT["PartlyDeployed"] = ROLLED_BACK
SIGNS = {
    "opened": "▶",
    "checklist": "☑",
    "effect": "→",
    "verdict": "⚖",
    "gate": "⏸",
    "approval": "✓",
    "refused": "✗",
    "health": "✓",
    "smoke": "✓",
    "tests": "✓",
    "dependencies": "✓",
    "rollback": "↩",
    "closed": "■",
}
CLEAR = "\r\033[K"
WIDTH = 150


def add_home(parser: argparse.ArgumentParser) -> None:
    """Describe the option that names the house."""
    parser.add_argument(
        "--home", type=Path, metavar="FOLDER", help="Shipway's home on this machine (default: $SHIPWAY_HOME, or ~/.shipway)"
    )


def add_environment(parser: argparse.ArgumentParser, *, help: str) -> None:  # noqa: A002 - as argparse calls it
    """Describe the option that names an environment; the plan, which the flow reads, says which there are."""
    parser.add_argument("--environment", type=_environment, default="production", metavar="NAME", help=help)


def _environment(text: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from tasks.rules.plan.request import EnvironmentName

    try:
        return str(TypeAdapter(EnvironmentName).validate_python(text))
    except ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r} is none; write staging, production, or production/NAME for a target") from None


def in_house(arguments: argparse.Namespace, work: Callable[..., Coroutine[Any, Any, int]]) -> int:
    """Enter the house, reach its server, and do the work; our errors become a line and an exit code.

    Args:
        arguments: With `home`.
        work: Takes the client and the arguments, gives the exit code.
    """
    import asyncio

    enter(arguments)
    from blocks.errors import BadInput, Refused, ShipwayError
    from tasks.lifecycle.server import server

    async def reach() -> int:
        async with server() as client:
            return await work(client, arguments)

    try:
        return asyncio.run(reach())
    except (BadInput, Refused) as error:
        show(error, error=True)
        return BAD_INPUT if isinstance(error, BadInput) else REFUSED
    except ShipwayError as error:
        show(error, error=True)
        return UNEXPECTED


def with_plan(arguments: argparse.Namespace, work: Callable[..., Coroutine[Any, Any, int]]) -> int:
    """Do work in the house as `in_house` does, but first say what is wrong with the plan, where something is.

    Args:
        arguments: With `plan` and `home`.
        work: Takes the client and the arguments, gives the exit code.
    """
    from tasks.rules.plan.file import read_plan

    try:
        _, problems = read_plan(arguments.plan.read_bytes(), name=str(arguments.plan))
    except OSError as error:
        print(f"{arguments.plan} cannot be read: {error.strerror}. Give the path of a plan file.", file=sys.stderr)
        return BAD_INPUT
    if problems:
        print("\n".join(map(str, problems)), file=sys.stderr)
        return BAD_INPUT
    return in_house(arguments, work)


def enter(arguments: argparse.Namespace) -> bool:
    """Talk to the house that the arguments or the environment name, before Prefect is imported.

    Returns:
        Whether a server is configured now, by a house or by PREFECT_API_URL.
    """
    import os

    from blocks.server import layout, settings

    home = (arguments.home or layout.default_home()).expanduser().absolute()
    if (home / "home.json").exists():
        settings.enter(home)
    return bool(os.environ.get("PREFECT_API_URL"))


def show(text: object, *, error: bool = False) -> None:
    """Print what may quote the API, a record or a log: no escape sequence of theirs reaches the terminal.

    Args:
        text: In lines.
        error: To standard error.
    """
    from blocks.outside_text import outside

    print(outside(text, limit=100_000, lines=True), file=sys.stderr if error else sys.stdout, flush=True)


async def show_story(client: PrefectClient, run: UUID, *, since: datetime | None = None) -> FlowRun:
    """Print what a release tells until it waits or ends.

    Args:
        client: Of the server.
        run: Its flow run id.
        since: Leave out what was told before.

    Returns:
        The run as it is then.
    """
    from tasks.record.following import follow

    live = sys.stdout.isatty()
    began: datetime | None = None
    async for told in follow(client, run, since=since):
        began = began or told.at
        seconds = (told.at - began).total_seconds()
        if told.kind == "progress":
            if live:
                print(f"{CLEAR}{seconds:6.1f} s  … {_cut(told.what)}", end="", flush=True)
            continue
        why = "".join(f": {part}" for part in (told.outcome if told.kind != "closed" else "", told.why) if part)
        print(f"{CLEAR if live else ''}{seconds:6.1f} s  {SIGNS.get(told.kind, '·')} {_cut(told.what + why)}", flush=True)
    return await client.read_flow_run(run)


def _cut(text: str) -> str:
    line = "".join(character if character.isprintable() else "�" for character in " ".join(text.split()))
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
