"""Traces: of each record that is closed a note is kept beside the key, and the keeper sends its trace to the collector, for a day."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from blocks.errors import BadInput, Refused, ShipwayError, Temporary
from blocks.key_folder.heads import KeyFolderFault
from blocks.key_folder.kept_files import kept_names, read_kept, remove_kept
from blocks.otlp.collector import Collector
from blocks.outside_text import error_text
from tasks.lifecycle.clock import now
from tasks.lifecycle.kept_runs import write
from tasks.record.journal import read_entries, say
from tasks.rollout.platforms import load_block
from tasks.rules.notify.outbox import lasts
from tasks.rules.notify.trace import Span, spans_of, trace_id

FOLDER, WHAT = "traces", "which says that a trace is still to be sent"
BLOCK = "otlp/shipway"
AGAIN = timedelta(minutes=5)
TRIED_FOR = timedelta(days=1)
AT_ONCE = 20  # traces of one turn of the keeper


async def note_trace(run: str) -> None:
    """Note that the trace of a closed record is to be sent; without the key's folder none is.

    Args:
        run: Its flow run id.
    """
    await _note(run, since=now())


async def send_traces() -> None:
    """Send the traces that are due, if there is a collector; what it does not take is sent again, for a day, one of them in a turn."""
    due = await asyncio.to_thread(_due, now())
    if not due:
        return
    try:
        collector: Any = await load_block(BLOCK, field="otlp")
    except BadInput:  # there is none
        await asyncio.to_thread(_forget, list(due))
        return
    for run, since in due.items():
        await _note(
            run, since=since, after=now() + AGAIN
        )  # before it is sent: whatever becomes of this turn, the next ones have more to do
        try:
            await _send(collector, run)
        except Temporary as error:
            if now() - since < TRIED_FOR:
                break  # the others would each wait as long
            say(f"the trace of {run} is not sent any more: {error_text(error)}")
        except (ShipwayError, OSError, ValueError) as error:
            say(f"the trace of {run} is not sent: {error_text(error)}")
        await asyncio.to_thread(_forget, [run])


async def _note(run: str, *, since: datetime, after: datetime | None = None) -> None:
    """Note since when a trace is to be sent, and when it is tried next; None is at once."""
    with suppress(KeyFolderFault, OSError):
        await write(FOLDER, run, {"since": since.isoformat(), "after": after.isoformat() if after else ""}, what=WHAT)


async def _send(collector: Collector, run: str) -> None:
    spans = spans_of(run, await read_entries(run))
    if spans:
        await collector.export(trace_id(run), [_as_json(span) for span in spans])


def _as_json(span: Span) -> dict[str, object]:
    begin, end = (round(at.timestamp() * 1_000) * 1_000_000 for at in (span.begin, span.end))
    return {**asdict(span), "begin": begin, "end": end}


def _due(at: datetime) -> dict[str, datetime]:
    """List the runs whose traces are due, with when they were noted; a note that cannot be read is removed."""
    found: dict[str, datetime] = {}
    for run in kept_names(FOLDER):
        try:
            note = read_kept(FOLDER, run, what=WHAT) or {}
            since, after = (datetime.fromisoformat(said) if said else None for said in (note["since"], note["after"]))
            if since and not lasts(after, at=at, most=AGAIN):
                found[run] = since
        except (Refused, KeyError, TypeError, ValueError):
            _forget([run])
        if len(found) == AT_ONCE:
            break
    return found


def _forget(runs: list[str]) -> None:
    for run in runs:
        with suppress(OSError):
            remove_kept(FOLDER, run)
