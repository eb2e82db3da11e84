"""`shipway metrics`: deployment metrics, computed from the records of this machine's storage; it needs no server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands import _output, _terminal
from flows.commands._pages import lies_at, write_page

if TYPE_CHECKING:  # these cost time that `shipway --help` does not have
    from tasks.record.facts import Found
    from tasks.rules.metrics.metrics import Selection

HELP = "Show success rate, durations, failures, recovery, lead time and health after deployments, computed from the records."
LISTED = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    _terminal.add_service(parser, help="only this service (default: all together)")
    _terminal.add_environment(parser, help="production with its targets, production/NAME or staging (default: production)")
    _terminal.add_span(parser, what="what ended")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--prometheus", action="store_true", help="print them in Prometheus's text format, each service by itself")
    either.add_argument("--html", metavar="FILE", type=Path, help="write the report as a page: trend, distribution, what failed and why")
    _output.add_json(either)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the metrics.

    Args:
        arguments: What `configure` described.

    Returns:
        0, 1 if the storage does not answer, 2 if the span is wrong or no home directory is found, 4 if the storage cannot be used.
    """
    return _terminal.without_server(arguments, _metrics)


async def _metrics(arguments: argparse.Namespace) -> int:
    from tasks.lifecycle.clock import now
    from tasks.record.facts import all_facts
    from tasks.record.storage import default_storage
    from tasks.rules.metrics.document import document_of, lines_of
    from tasks.rules.metrics.each import measure_each
    from tasks.rules.metrics.metrics import Selection, measure
    from tasks.rules.metrics.span import read_span

    selection = Selection(arguments.service, arguments.environment, *read_span(arguments.since, arguments.until, now(), ended=True))
    if arguments.html:
        return await _page(selection, lies_at(arguments.html), service=arguments.service)
    found = await all_facts(await default_storage())
    if arguments.prometheus:
        from tasks.rules.metrics.exposition import exposition_of

        services = [name for name in _services(found) if arguments.service in {"", name}]
        measured = measure_each(found.facts, services, selection, broken=len(found.broken))
        _show_unknown(found, arguments.service, error=True)
        _output.show(exposition_of(measured, broken=len(found.broken)), end="")
        return _terminal.DONE
    metrics = measure(found.facts, selection, broken=len(found.broken))
    if arguments.json:
        _output.print_json({**document_of(metrics), "unchecked": found.unchecked, "broken": sorted(found.broken)})
        _show_unknown(found, arguments.service, error=True)
        return _terminal.DONE
    for line in lines_of(metrics):
        _terminal.show(line)
    _show_doubts(found)
    _show_unknown(found, arguments.service)
    return _terminal.DONE


async def _page(selection: Selection, output: Path, *, service: str) -> int:
    from tasks.lifecycle.clock import now
    from tasks.record.metrics_report import make_report
    from tasks.record.storage import default_storage

    made = await make_report(await default_storage(), selection, at=now())
    write_page(output, made.html, field="--html")
    _terminal.show(f"{output}: {made.covers}.")
    _show_doubts(made.found)
    _show_unknown(made.found, service)
    return _terminal.DONE


def _services(found: Found) -> list[str]:
    return sorted({one.service for one in found.facts if one.service})


def _show_doubts(found: Found) -> None:
    """Say what the figures rest on that is not sure."""
    if found.broken:
        named = ", ".join(sorted(found.broken)[:LISTED]) + (" …" if len(found.broken) > LISTED else "")
        _terminal.show(f"Find out who changed these records, with `shipway report RUN`: {named}")
    if found.unchecked:
        _terminal.show(f"{found.unchecked} records count although their seals could not be checked here.")


def _show_unknown(found: Found, service: str, *, error: bool = False) -> None:
    """Say that no record names the service: no figure of it is 0 then."""
    known = _services(found)
    if service and service not in known:
        named = ", ".join(known[:LISTED]) + (" …" if len(known) > LISTED else "")
        _terminal.show(f"No record names the service {service}; known are: {named or 'none'}", error=error)
