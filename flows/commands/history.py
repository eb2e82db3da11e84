"""`shipway history`: past releases and rollbacks by their records, with filters, for people, programs and spreadsheets."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from tasks.record.past import Past, Row
    from tasks.rules.metrics.wanted import Wanted

HELP = "List past releases and rollbacks with their outcome and duration, and the success rate."
OUTCOMES = (
    "deployed", "partly_deployed", "rolled_back", "refused", "failed", "cancelled", "skipped", "open", "no_record", "record_broken",
)  # fmt: skip
NOT_COUNTED = {"open", "refused", "skipped", "no_record", "record_broken"}
MOST, NAME_WIDTH, LISTED = 10_000, 34, 5
SECONDS = ("total_seconds", "work_seconds", "people_seconds", "window_seconds", "lock_seconds")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    _terminal.add_service(parser, help="only this service")
    _terminal.add_environment(parser, help="only what was to change it: production, production/NAME or staging", default=None)
    parser.add_argument("--outcome", choices=OUTCOMES, default="", help="only what ended so")
    parser.add_argument("--kind", choices=("planned", "fix"), help="only releases that were asked for as that")
    parser.add_argument("--who", default="", metavar="NAME", help="only what this person asked for")
    _terminal.add_span(parser, what="what was asked for")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help=f"how many runs (default: 20, at most {MOST:,})")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--csv", action="store_true", help="print CSV, for spreadsheets")
    _output.add_json(either)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the newest runs.

    Args:
        arguments: What `configure` described.

    Returns:
        0, 1 if the storage does not answer, 2 without a server or if the span is wrong, 4 if the storage cannot be used.
    """
    return _terminal.on_server(arguments, _history)


async def _history(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from tasks.record.past import past_of
    from tasks.record.storage import default_storage

    wanted, limit = _wanted(arguments), min(max(arguments.limit, 1), MOST)
    past = await past_of(client, await default_storage(), wanted, limit=limit)
    if arguments.json:
        _output.print_json(
            {
                "runs": [_facts(row) for row in past.rows],
                "releases": _counts(past.rows),
                "more": past.more,
                "verified": past.verified,
                "broken": past.broken,
            }
        )
    elif arguments.csv:
        _output.print_csv(_facts(row) for row in past.rows)
    else:
        _show(past, limit=limit, with_rate=not wanted.outcome)
    return _terminal.DONE


def _wanted(arguments: argparse.Namespace) -> Wanted:
    from tasks.lifecycle.clock import now
    from tasks.rules.metrics.span import read_span
    from tasks.rules.metrics.wanted import Wanted

    since, until = read_span(arguments.since, arguments.until, now())
    return Wanted(
        service=arguments.service, environment=arguments.environment or "", outcome=arguments.outcome, kind=arguments.kind,
        who=arguments.who, since=since, until=until if arguments.until else None,
    )  # fmt: skip


def _counts(rows: list[Row]) -> dict[str, int]:
    """Count what the success rate is made of; how a release without a record that can be trusted ended is not known."""
    outcomes = [row.outcome for row in rows if row.flow == "release"]
    unknown = sum(one in {"no_record", "record_broken"} for one in outcomes)
    return {"started": sum(one not in NOT_COUNTED for one in outcomes), "deployed": outcomes.count("deployed"), "unknown": unknown}


def _facts(row: Row) -> dict[str, Any]:
    facts, took = row.facts, row.facts.took if row.facts else None
    return {
        "id": row.run, "flow": row.flow, "service": row.service, "version": row.version, "outcome": row.outcome,
        "requester": facts.requester if facts else None, "kind": facts.kind if facts and facts.is_release else None,
        "because_of": (facts.because_of or None) if facts else None,
        "opened": row.opened, "ended": facts.ended if facts else None,
        **{name: getattr(took, name) if took else None for name in SECONDS},
        "environments": [place.name for place in facts.places] if facts else [],
        "listed": row.listed, "why": facts.why if facts else None,
    }  # fmt: skip


def _show(past: Past, *, limit: int, with_rate: bool) -> None:
    rows, counts = past.rows, _counts(past.rows)
    _terminal.show(f"{'asked for (UTC)':<17} {'run':<9} {'flow':<11} {'what':<{NAME_WIDTH}} {'outcome':<15} {'took':>12} {'work':>12}  who")
    for row in rows:
        _terminal.show(_line(row))
    good, started = counts["deployed"], counts["started"]
    if started and with_rate:
        rate = f"{good} of {started} releases that were not refused were deployed ({good / started:.0%})"
        _terminal.show(f"{rate}. Details: `shipway why RUN`, `shipway report RUN`")
    if counts["unknown"]:
        _terminal.show(f"{counts['unknown']} releases whose record is missing or cannot be trusted are left out of that")
    if past.broken:
        _terminal.show(f"{len(past.broken)} more records cannot be trusted. Find out who changed them: {_named(past.broken)}")
    gone = [f"{row.run} ({row.flow}: {row.outcome})" for row in rows if not row.listed]
    if gone:
        _terminal.show(
            f"The server does not list {len(gone)} of these: they were deleted, or lost their tags. Find out by whom: {_named(gone)}"
        )
    if past.more:
        _terminal.show(f"There are older ones than these {limit}: --limit N, --since and --until")


def _named(found: list[str]) -> str:
    return ", ".join(found[:LISTED]) + (" …" if len(found) > LISTED else "")


def _line(row: Row) -> str:
    from tasks.rules.record.axis import duration

    took = row.facts.took if row.facts else None
    asked = f"{row.opened:%Y-%m-%d %H:%M}" if row.opened else "-"
    total, work = (duration(seconds) if seconds is not None and row.outcome != "open" else "-" for seconds in _seconds(took))
    what = _output.cut(f"{row.service} {row.version}".strip() or "-", width=NAME_WIDTH)
    who = row.facts.requester if row.facts else "-"
    outcome = row.outcome.replace("_", " ")
    return f"{asked:<17} {row.run[:8]:<9} {row.flow:<11} {what:<{NAME_WIDTH}} {outcome:<15} {total:>12} {work:>12}  {who}"


def _seconds(took: Any) -> tuple[float | None, float | None]:
    return (took.total_seconds, took.work_seconds) if took else (None, None)
