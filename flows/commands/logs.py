"""`shipway logs`: what a run and its phases logged, in the order of time."""

from __future__ import annotations

import argparse
import asyncio
import logging
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _terminal

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun, Log

HELP = "Show what a run and its phases logged."
LOOKS_SECONDS = 1.0
LOOKS_AFTER = 2
LATE = timedelta(seconds=30)  # lines reach the server in batches, each phase's on its own
COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("run", metavar="RUN", help="the run: its id or the beginning of it, its name, or its service")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--follow", action="store_true", help="go on until the run waits for people or ends")
    _output.add_json(either)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the lines.

    Args:
        arguments: What `configure` described.

    Returns:
        0, or 2 without such a run or a server.
    """
    return _terminal.on_server(arguments, _logs)


async def _logs(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from tasks.lifecycle.find_run import find_run
    from tasks.lifecycle.run_logs import family_of, read_lines

    found = await find_run(client, arguments.run)
    names = await family_of(client, found)
    lines = [line async for line in read_lines(client, names)]
    if arguments.json:
        _output.print_json({"run": str(found.id), "lines": [_facts(line, names) for line in lines]})
        return _terminal.DONE
    for line in lines:
        _show(line, names)
    if not lines:
        _terminal.show(f"{found.name} ({str(found.id)[:8]}) has not logged anything.", error=True)
    if arguments.follow:
        await _follow(client, found, shown={line.id for line in lines}, last=lines[-1] if lines else None)
    return _terminal.DONE


async def _follow(client: PrefectClient, found: FlowRun, *, shown: set[UUID | None], last: Log | None) -> None:
    """Print what comes, and what reached the server late; twice after the run has ended, whose last lines come behind its state."""
    from tasks.lifecycle.run_logs import family_of, read_lines

    looks_after = 0
    while looks_after < LOOKS_AFTER:
        await asyncio.sleep(LOOKS_SECONDS)
        state = (await client.read_flow_run(found.id)).state
        looks_after += state is not None and (state.is_final() or state.is_paused())
        names = await family_of(client, found)
        async for line in read_lines(client, names, since=last.timestamp - LATE if last else None):
            if line.id not in shown:
                _show(line, names)
                shown.add(line.id)
                last = line


def _show(line: Log, names: dict[UUID, str]) -> None:
    level = logging.getLevelName(line.level)
    place = names.get(line.flow_run_id, "") if line.flow_run_id else ""
    at = f"{line.timestamp.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    _output.show_marked(f"{level:<8}", COLOURS.get(level, ""), f"{at} {place}: {line.message}")


def _facts(line: Log, names: dict[UUID, str]) -> dict[str, Any]:
    return {
        "at": line.timestamp,
        "level": logging.getLevelName(line.level),
        "run": str(line.flow_run_id),
        "name": names.get(line.flow_run_id) if line.flow_run_id else None,
        "message": line.message,
    }
