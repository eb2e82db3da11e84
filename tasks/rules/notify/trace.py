"""Trace of a release by its record: a span for the whole, one for each of its phases and each wait, by OpenTelemetry's conventions.

The names of attributes are those of its semantic conventions for CI/CD pipelines and deployments
(https://opentelemetry.io/docs/specs/semconv/cicd/cicd-spans/). The trace's id is the flow run's, so a trace that is sent twice is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Literal
from uuid import UUID

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.record.durations import Spent, spent_between
from tasks.rules.record.entries import Entry, ReleaseOutcome, moment, outcome_of
from tasks.rules.record.view import phase_of

Result = Literal["success", "failure", "cancellation", "skip"]
RESULTS: dict[ReleaseOutcome, Result] = {
    "deployed": "success",
    "cancelled": "cancellation",
    "skipped": "skip",
}
WAITS: dict[Spent, str] = {"people": "wait for people", "windows": "wait for a window", "lock": "wait for another release"}
BAD = frozenset({Outcome.FAILED, Outcome.ERROR})


@dataclass(frozen=True, slots=True)
class Span:
    """One span.

    Fields:
        name: What is shown of it.
        id: 16 hexadecimal digits, the same each time that it is made of the same record.
        parent: The id of the span that it is in; "" for the whole.
        begin: When it began.
        end: When it ended.
        attributes: By name; all are text.
        fault: Why it counts as failed; "" if it does not.
    """

    name: str
    id: str
    parent: str
    begin: datetime
    end: datetime
    attributes: dict[str, str] = field(default_factory=dict)
    fault: str = ""


def trace_id(run: str) -> str:
    """Give the id of a run's trace: 32 hexadecimal digits.

    Raises:
        ValueError: It is not the id of a flow run.
    """
    return UUID(run).hex


def spans_of(run: str, entries: Sequence[Entry]) -> list[Span]:
    """Make the spans of a closed record; the whole comes first.

    A phase lasts from what was written before its first entry until its last one: an entry is written once its work is done.

    Args:
        run: The flow run id.
        entries: The record in order.

    Returns:
        The spans; none for a record that is open or empty.
    """
    closed = next((entry for entry in entries if entry.kind == "closed"), None)
    if closed is None:
        return []
    whole = list(entries[: entries.index(closed) + 1])
    root = _root(run, whole, closed)
    return [root, *_phases(run, whole, root), *_waits(run, whole, root)]


def _root(run: str, entries: Sequence[Entry], closed: Entry) -> Span:
    opened, outcome = entries[0], outcome_of(list(entries))
    said = opened.evidence
    service = next((one for entry in entries if isinstance(one := entry.evidence.get("service"), str) and one), "")
    named = {"cicd.pipeline.name": said.get("flow"), "deployment.name": service, "deployment.version": said.get("version")}
    result = RESULTS.get(outcome, "failure")
    status = {"deployment.status": "succeeded" if result == "success" else "failed"} if result in {"success", "failure"} else {}
    attributes = {
        **{name: value for name, value in named.items() if isinstance(value, str) and value},
        **status,
        "cicd.pipeline.run.id": run,
        "deployment.id": run,
        "cicd.pipeline.result": result,
        "shipway.outcome": outcome,
    }
    words = (attributes.get(name, "") for name in ("cicd.pipeline.name", "deployment.name", "deployment.version"))
    fault = str(closed.why) if result == "failure" else ""
    return Span(" ".join(filter(None, words)), _id(run, "whole"), "", moment(opened), _end(entries, moment(opened)), attributes, fault)


def _phases(run: str, entries: Sequence[Entry], root: Span) -> list[Span]:
    found: dict[str, list[tuple[datetime, Entry]]] = {}
    for before, entry in pairwise(entries):
        if entry.kind != "closed":
            found.setdefault(phase_of(entry), []).append((moment(before), entry))
    return [_phase(run, name, some, root) for name, some in found.items() if name != "release"]


def _phase(run: str, name: str, entries: Sequence[tuple[datetime, Entry]], root: Span) -> Span:
    own = [entry for _, entry in entries]
    begin = max(root.begin, entries[0][0])
    last = {(entry.kind, entry.environment, entry.step, entry.name): entry for entry in own}
    bad = next((entry for entry in last.values() if entry.evidence.get("outcome") in BAD), None)
    attributes = {"cicd.pipeline.task.name": name, "cicd.pipeline.task.run.id": f"{run}/{name}"}
    attributes |= {"deployment.environment.name": own[0].environment} if own[0].environment else {}
    return Span(name, _id(run, name), root.id, begin, _end(own, begin), attributes, f"{bad.what}: {bad.why}" if bad else "")


def _waits(run: str, entries: Sequence[Entry], root: Span) -> list[Span]:
    spans: list[Span] = []
    for spent, group in groupby(spent_between(entries), key=itemgetter(0)):
        if spent in WAITS:
            times = list(group)
            begin = max(root.begin, times[0][1])
            spans.append(Span(WAITS[spent], _id(run, f"{spent} {len(spans)}"), root.id, begin, max(begin, times[-1][2])))
    return spans


def _end(entries: Sequence[Entry], begin: datetime) -> datetime:
    """Give the last moment; a clock that was set back ends nothing before it began."""
    return max(begin, *(moment(entry) for entry in entries))


def _id(run: str, name: str) -> str:
    return hashlib.sha256(f"{run} {name}".encode()).hexdigest()[:16]
