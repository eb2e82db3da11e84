"""`shipway history`: how releases went, from the run history."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

HELP = "List past releases and rollbacks with outcome and duration, and the success rate."
SHOWN = ("shipway:release", "shipway:rollback", "shipway:production", "shipway:staging")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--service", metavar="NAME", help="only this service")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many runs (default: 20, at most 200)")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the newest runs.

    Args:
        arguments: What `configure` described.

    Returns:
        0, or 2 without a server.
    """
    return _terminal.in_house(arguments, _history)


async def _history(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
    from prefect.client.schemas.sorting import FlowRunSort

    wanted = {"all_": [f"service:{arguments.service}"]} if arguments.service else {}
    chosen = FlowRunFilter(tags=FlowRunFilterTags(any_=list(SHOWN), **wanted))
    limit = min(max(arguments.limit, 1), 200)
    runs = await client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.START_TIME_DESC, limit=limit)
    print(f"{'started (UTC)':<20} {'run':<9} {'name':<34} {'outcome':<12} {'took':>9} {'of it work':>10}")
    for found in runs:
        print(_line(found))
    ended = [found for found in runs if "shipway:release" in found.tags and _outcome(found) not in {"open", "refused"}]
    good = sum(_outcome(found) == "deployed" for found in ended)
    if ended:
        print(
            f"{good} of {len(ended)} releases that went ahead were deployed ({good / len(ended):.0%}); `shipway report RUN` writes a record"
        )
    return _terminal.DONE


def _line(found: FlowRun) -> str:
    started = f"{found.start_time:%Y-%m-%d %H:%M:%S}" if found.start_time else "-"
    took = f"{(found.end_time - found.start_time).total_seconds():.1f} s" if found.end_time and found.start_time else "-"
    work = f"{found.total_run_time.total_seconds():.1f} s"
    return f"{started:<20} {str(found.id)[:8]:<9} {found.name[:34]:<34} {_outcome(found):<12} {took:>9} {work:>10}"


def _outcome(found: FlowRun) -> str:
    return next((tag.partition(":")[2] for tag in found.tags if tag.startswith("outcome:")), "open")
