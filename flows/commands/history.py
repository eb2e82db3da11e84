"""`shipway history`: past releases and how they ended: the API's labels find the runs, their records say what became of them."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _terminal

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from tasks.record.unlisted import Unlisted

HELP = "List past releases and rollbacks with their outcome and duration, and the success rate."
SHOWN = ("shipway:release", "shipway:rollback", "shipway:production", "shipway:staging")
NAME_WIDTH = 34
LISTED = 5
UNKNOWN = ("no record", "record broken")  # of these it is not known how they ended


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--service", metavar="NAME", help="only this service")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many runs (default: 20, at most 200)")
    _output.add_json(parser)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the newest runs.

    Args:
        arguments: What `configure` described.

    Returns:
        0, or 2 without a server.
    """
    return _terminal.on_server(arguments, _history)


async def _history(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
    from prefect.client.schemas.sorting import FlowRunSort

    wanted = {"all_": [f"service:{arguments.service}"]} if arguments.service else {}
    chosen = FlowRunFilter(tags=FlowRunFilterTags(any_=list(SHOWN), **wanted))
    limit = min(max(arguments.limit, 1), 200)
    runs = await client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.START_TIME_DESC, limit=limit)
    outcomes = dict(zip((found.id for found in runs), await asyncio.gather(*map(_outcome, runs)), strict=True))
    not_begun = {"open", "refused", "skipped", *UNKNOWN}
    ended = [found for found in runs if "shipway:release" in found.tags and outcomes[found.id] not in not_begun]
    unknown = sum(outcomes[found.id] in UNKNOWN for found in runs if "shipway:release" in found.tags)
    good = sum(outcomes[found.id] == "deployed" for found in ended)
    unlisted = await _unlisted(runs, service=arguments.service or "", is_all=len(runs) < limit)
    if arguments.json:
        _output.print_json(
            {
                "runs": [_facts(found, outcomes[found.id]) for found in runs],
                "releases": {"started": len(ended), "deployed": good, "unknown": unknown},
                "unlisted": [asdict(one) for one in unlisted],
            }
        )
        return _terminal.DONE
    _show(runs, outcomes, ended=len(ended), good=good, unknown=unknown)
    _show_unlisted(unlisted)
    return _terminal.DONE


def _show(runs: list[FlowRun], outcomes: dict[UUID, str], *, ended: int, good: int, unknown: int) -> None:
    _terminal.show(f"{'started (UTC)':<20} {'run':<9} {'name':<{NAME_WIDTH}} {'outcome':<15} {'took':>9} {'running':>10}")
    for found in runs:
        _terminal.show(_line(found, outcomes[found.id]))
    if ended:
        _terminal.show(
            f"{good} of {ended} releases that were not refused were deployed ({good / ended:.0%}). Details: `shipway report RUN`"
        )
    if unknown:
        _terminal.show(f"{unknown} releases whose record is missing or cannot be trusted are left out of that")


def _show_unlisted(unlisted: list[Unlisted]) -> None:
    if unlisted:
        named = ", ".join(f"{one.run} ({one.flow}: {one.outcome})" for one in unlisted[:LISTED]) + (" …" if len(unlisted) > LISTED else "")
        what = f"{len(unlisted)} runs ended that the server does not list: they were deleted, or lost their tags"
        _terminal.show(f"{what}. Find out by whom: {named}")


async def _unlisted(runs: list[FlowRun], *, service: str, is_all: bool) -> list[Unlisted]:
    """Find what ended in the time of this list and is not in it."""
    from tasks.record.storage import default_storage
    from tasks.record.unlisted import find_unlisted

    since = min((found.start_time for found in runs if found.start_time), default=None)
    listed = {str(found.id) for found in runs}
    return await find_unlisted(await default_storage(), listed=listed, since=None if is_all else since, service=service)


def _facts(found: FlowRun, outcome: str) -> dict[str, Any]:
    return {
        "id": str(found.id),
        "name": found.name,
        "outcome": outcome,
        "state": found.state_name,
        "started": found.start_time,
        "ended": found.end_time,
        "took_seconds": _took(found),
        "running_seconds": found.total_run_time.total_seconds(),
    }


def _took(found: FlowRun) -> float | None:
    return (found.end_time - found.start_time).total_seconds() if found.end_time and found.start_time else None


def _line(found: FlowRun, outcome: str) -> str:
    started = f"{found.start_time:%Y-%m-%d %H:%M:%S}" if found.start_time else "-"
    took = "-" if (seconds := _took(found)) is None else f"{seconds:.1f} s"
    name = _output.cut(found.name, width=NAME_WIDTH)
    running = f"{found.total_run_time.total_seconds():.1f} s"
    return f"{started:<20} {str(found.id)[:8]:<9} {name:<{NAME_WIDTH}} {outcome:<15} {took:>9} {running:>10}"


async def _outcome(found: FlowRun) -> str:
    """Read from its record how a run ended: whoever holds the API's password can write any tag on it."""
    from tasks.record.reading import read_record
    from tasks.record.storage import default_storage
    from tasks.rules.record.entries import outcome_of

    reading = await read_record(await default_storage(), str(found.id))
    if reading.faults:
        return "record broken"
    claimed = any(tag.startswith("outcome:") for tag in found.tags)
    return outcome_of(reading.entries) if reading.entries or not claimed else "no record"
