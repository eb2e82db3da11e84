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
                "releases": _counts(past.rows, wanted.environment),
                "more": past.more,
                "verified": past.verified,
                "unchecked": past.unchecked,
                "broken": past.broken,
            }
        )
    elif arguments.csv:
        _output.print_csv(_facts(row) for row in past.rows)
    else:
        _show(past, wanted, limit=limit)
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


def _counts(rows: list[Row], environment: str) -> dict[str, int]:
    """Count what the success rate is made of, as `shipway metrics` does: releases that were to change the environment, and finished.

    How a release without a record that can be trusted ended is not known.
    """
    from tasks.rules.metrics.facts import aims_at
    from tasks.rules.metrics.metrics import FINISHED

    where = environment or "production"
    known = [row.outcome for row in rows if row.facts and row.facts.is_release and aims_at(row.facts, where)]
    unknown = sum(row.facts is None and row.outcome != "open" and row.flow in {"release", where.partition("/")[0]} for row in rows)
    return {"started": sum(one in FINISHED for one in known), "deployed": known.count("deployed"), "unknown": unknown}


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


def _show(past: Past, wanted: Wanted, *, limit: int) -> None:
    rows, counts = past.rows, _counts(past.rows, wanted.environment)
    _terminal.show(f"{'asked for (UTC)':<17} {'run':<9} {'flow':<11} {'what':<{NAME_WIDTH}} {'outcome':<15} {'took':>12} {'work':>12}  who")
    for row in rows:
        _terminal.show(_line(row))
    good, started = counts["deployed"], counts["started"]
    if started and not wanted.outcome:
        rate = f"{good} of {started} releases to {wanted.environment or 'production'} that finished were deployed ({good / started:.0%})"
        _terminal.show(f"{rate}. Details: `shipway why RUN`, `shipway report RUN`")
    if counts["unknown"]:
        _terminal.show(f"{counts['unknown']} releases whose record is missing or cannot be trusted are left out of that")
    if past.broken:
        _terminal.show(f"{len(past.broken)} more records cannot be trusted. Find out who changed them: {_named(past.broken)}")
    if past.unchecked:
        _terminal.show(f"{past.unchecked} records count although their seals could not be checked here.")
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
