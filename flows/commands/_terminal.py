"""What the commands share: the home directory and the server they use, exit codes, and how a run is followed."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _output

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

show = _output.show
DONE, UNEXPECTED, BAD_INPUT, ROLLED_BACK, REFUSED, WAITING = 0, 1, 2, 3, 4, 5
EXIT = {"Deployed": DONE, "Passed": DONE, "Refused": REFUSED, "RolledBack": ROLLED_BACK, "Failed": ROLLED_BACK, "Cancelled": ROLLED_BACK}
EXIT["PartlyDeployed"] = EXIT["CancelledAndBack"] = ROLLED_BACK
EXIT["Skipped"], EXIT["Rehearsed"] = REFUSED, DONE


def add_home(parser: argparse.ArgumentParser) -> None:
    """Describe the option that names the home directory."""
    parser.add_argument("--home", type=Path, metavar="FOLDER", help="Shipway's home directory (default: $SHIPWAY_HOME, or ~/.shipway)")


def add_requester(parser: argparse.ArgumentParser, *, help: str) -> None:  # noqa: A002 - as argparse calls it
    """Describe the option that names the person who asks."""
    parser.add_argument("--as", dest="requester", default=getpass.getuser(), metavar="NAME", help=help)


def add_environment(parser: argparse.ArgumentParser, *, help: str, default: str | None = "production") -> None:  # noqa: A002 - as argparse calls it
    """Describe the option that names an environment; the plan, which the flow reads, says which there are."""
    parser.add_argument("--environment", type=_environment, default=default, metavar="NAME", help=help)


def add_service(parser: argparse.ArgumentParser, *, help: str) -> None:  # noqa: A002 - as argparse calls it
    """Describe the option that names a service of the past; "" for all."""
    parser.add_argument("--service", type=_service, default="", metavar="NAME", help=help)


def add_span(parser: argparse.ArgumentParser, *, what: str) -> None:
    """Describe the options that name a span of time in the past."""
    when = "`30d`, `12h` or `4w` ago, a day or an ISO time (UTC)"
    parser.add_argument("--since", metavar="WHEN", help=f"only {what} from then on: {when}")
    parser.add_argument("--until", metavar="WHEN", help=f"only {what} before: likewise (default: now)")


def _service(text: str) -> str:
    import re

    from tasks.rules.plan.types import NAME, PATTERN_WORDS

    if text and not re.fullmatch(NAME, text):
        raise argparse.ArgumentTypeError(f"{text[:60]!a} is not the name of a service. {PATTERN_WORDS[NAME]}")
    return text


def _environment(text: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from tasks.rules.plan.request import EnvironmentName

    try:
        return str(TypeAdapter(EnvironmentName).validate_python(text))
    except ValidationError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an environment; use staging, production, or production/NAME for a target"
        ) from None


def on_server(arguments: argparse.Namespace, work: Callable[..., Coroutine[Any, Any, int]]) -> int:
    """Connect to the server and do the work; our errors become a line and an exit code.

    Args:
        arguments: With `home`.
        work: Takes the client and the arguments, gives the exit code.
    """
    enter(arguments)
    from tasks.lifecycle.server import server

    async def reach() -> int:
        async with server() as client:
            return await work(client, arguments)

    return _ending(reach)


def without_server(arguments: argparse.Namespace, work: Callable[..., Coroutine[Any, Any, int]]) -> int:
    """Do work on the storage of records, which needs no server to run; our errors become a line and an exit code.

    Args:
        arguments: With `home`.
        work: Takes the arguments, gives the exit code.
    """
    from blocks.errors import BadInput

    is_known = enter(arguments)

    async def reach() -> int:
        if not is_known:
            fix = "Name it with --home, start a server with `shipway up`, or set PREFECT_API_URL to yours."
            raise BadInput("there is no home directory, and no server is configured", field="--home", fix=fix)
        return await work(arguments)

    return _ending(reach)


def _ending(reach: Callable[[], Coroutine[Any, Any, int]]) -> int:
    import asyncio

    from blocks.errors import BadInput, Refused, ShipwayError

    try:
        return asyncio.run(reach())
    except (BadInput, Refused) as error:
        show(error, error=True)
        return BAD_INPUT if isinstance(error, BadInput) else REFUSED
    except ShipwayError as error:
        show(error, error=True)
        return UNEXPECTED


def with_plan(arguments: argparse.Namespace, work: Callable[..., Coroutine[Any, Any, int]]) -> int:
    """Do the work as `on_server` does, but first check the plan; its problems end the command.

    Args:
        arguments: With `plan` and `home`.
        work: Takes the client and the arguments, gives the exit code.
    """
    from tasks.rules.plan.file import read_plan

    try:
        _, problems = read_plan(arguments.plan.read_bytes(), name=str(arguments.plan))
    except OSError as error:
        show(f"{arguments.plan} cannot be read: {error.strerror}. Give the path of a plan file.", error=True)
        return BAD_INPUT
    if problems:
        show("\n".join(map(str, problems)), error=True)
        return BAD_INPUT
    return on_server(arguments, work)


def enter(arguments: argparse.Namespace) -> bool:
    """Use the server of the home directory that the arguments or the environment name; call it before Prefect is imported.

    Returns:
        Whether a server is configured now, by a home directory or by PREFECT_API_URL.
    """
    import os

    from blocks.server import layout, settings

    home = (arguments.home or layout.default_home()).expanduser().absolute()
    if (home / "home.json").exists():
        settings.enter(home)
    return bool(os.environ.get("PREFECT_API_URL"))


async def follow_run(client: PrefectClient, run: UUID, *, since: datetime | None = None) -> FlowRun:
    """Print the entries of a run's record as they are written, until it waits for people or ends.

    Args:
        client: Of the server.
        run: Its flow run id.
        since: Leave out earlier entries.

    Returns:
        The run as it is then.
    """
    from tasks.record.following import follow

    began: datetime | None = None
    async for entry in follow(client, run, since=since):
        began = began or entry.at
        seconds = (entry.at - began).total_seconds()
        if entry.kind == "progress":
            _output.progress(seconds, entry.what)
            continue
        outcome = entry.outcome.replace("_", " ") if entry.kind != "closed" else ""
        text = ": ".join(part for part in (entry.what, outcome, entry.why) if part)
        _output.entry_line(seconds, kind=entry.kind, outcome=entry.outcome, text=text)
    return await client.read_flow_run(run)
