"""The metrics of a selection as one JSON document, and as lines for people: the same figures. A missing one is null, or `no data`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from blocks.outside_text import outside
from tasks.rules.metrics.metrics import Metrics
from tasks.rules.metrics.numbers import Ratio, Spread
from tasks.rules.record.axis import duration, percent

NONE = "no data"


def document_of(metrics: Metrics) -> dict[str, Any]:
    """Write metrics as JSON values: ratios from 0 to 1, durations in seconds."""
    chosen, took, failures, later = metrics.selection, metrics.took, metrics.failures, metrics.afterwards
    lead = metrics.lead_time
    return {
        "service": chosen.service or None, "environment": chosen.environment, "since": chosen.since, "until": chosen.until,
        "records_begin": metrics.begin,
        "releases": sum(metrics.outcomes.values()) if metrics.is_known else None,
        "outcomes": metrics.outcomes, "left_out": _left_out(metrics),
        "success_rate": _ratio(metrics.success),
        "duration_seconds": {name: _spread(getattr(took, name)) for name in ("total", "work", "people", "windows", "lock")},
        "deployments": metrics.deployments if metrics.is_known else None, "days": metrics.days, "deployments_per_day": metrics.per_day,
        "change_fail_rate": {**_ratio(failures.rate), "in_release": failures.in_release},
        "recovery_seconds": {**_spread(failures.recovery), "not_recovered": failures.not_recovered},
        "lead_time_seconds": {
            **_spread(lead.changes), "without_log": lead.without_log, "cut_logs": lead.cut_logs, "in_future": lead.in_future,
        },
        "rework_rate": _ratio(metrics.rework),
        "health_after": {**_ratio(later.health), "unchecked": later.unchecked},
        "errors_after": {**_ratio(later.errors), "uncounted": later.uncounted},
        "alerts": metrics.alerts,
    }  # fmt: skip


def lines_of(metrics: Metrics) -> list[str]:
    """Write metrics in lines: first what they cover."""
    chosen = metrics.selection
    whose = outside(chosen.service) if chosen.service else "all services"
    head = f"{whose}, {chosen.environment}: {covers(metrics)}."
    return [head, *(f"{name:<22}{said}" for name, said in rows_of(metrics)), *not_counted(metrics)]


def rows_of(metrics: Metrics) -> list[tuple[str, str]]:
    """Name each metric, and say its value with its counts."""
    took, failures, later, lead = metrics.took, metrics.failures, metrics.afterwards, metrics.lead_time
    named = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in metrics.alerts.items())
    return [
        ("success rate", _of(metrics.success)),
        ("duration", _times(took.total)),
        *((f"  {name}", _times(found)) for name, found in _parts(metrics)),
        ("deployment frequency", _frequency(metrics)),
        ("change fail rate", _of(failures.rate, also=[(failures.in_release, "found by their own release")])),
        ("recovery time", _times(failures.recovery, also=[(failures.not_recovered, "not recovered")])),
        ("lead time", _times(lead.changes, noun="commits", also=_left_of(metrics))),
        ("rework rate", _of(metrics.rework)),
        ("health after", _of(later.health, noun="checks", also=[(later.unchecked, "environments without a check")])),
        ("errors after", _of(later.errors, noun="requests", also=[(later.uncounted, "environments without a count")])),
        ("alerts", named or NONE),
    ]


def covers(metrics: Metrics) -> str:
    """Say what the figures cover: how many releases, how they ended, the span, and since when there are records."""
    chosen, number = metrics.selection, sum(metrics.outcomes.values())
    if chosen.since is None:
        return f"no record of a release ended before {chosen.until:%Y-%m-%d %H:%M} UTC"
    how = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in metrics.outcomes.items())
    span = f"from {chosen.since:%Y-%m-%d %H:%M} to {chosen.until:%Y-%m-%d %H:%M} UTC"
    known = f"; the records begin {metrics.begin:%Y-%m-%d %H:%M}" if metrics.begin else "; there is not one record"
    return f"{number} releases ended {span}{f' ({how})' if how else ''}{known}"


def _parts(metrics: Metrics) -> list[tuple[str, Spread]]:
    took = metrics.took
    return [("work", took.work), ("wait for people", took.people), ("wait for windows", took.windows), ("wait for the lock", took.lock)]


def _frequency(metrics: Metrics) -> str:
    return NONE if metrics.per_day is None else f"{metrics.per_day:.3g} a day: {metrics.deployments} in {metrics.days:.3g} days"


def _left_of(metrics: Metrics) -> list[tuple[int, str]]:
    lead = metrics.lead_time
    return [
        (lead.without_log, "deployments without a change log"),
        (lead.cut_logs, "logs that were cut"),
        (lead.in_future, "commits from the future"),
    ]


def not_counted(metrics: Metrics) -> list[str]:
    """Say what is in no figure, in one line; none if there is nothing."""
    left = metrics.left_out
    told = [
        (left.open, "open"), (left.refused, "refused"), (left.skipped, "skipped"), (left.unnamed, "ended before they named a service"),
        (left.broken, "with a record that cannot be trusted"),
    ]  # fmt: skip
    said = ", ".join(f"{number} {what}" for number, what in told if number)
    return [f"In no figure: {said}."] if said else []


def _of(ratio: Ratio, *, noun: str = "", also: list[tuple[int, str]] | None = None) -> str:
    if ratio.value is None:
        return _with(NONE, also)
    return _with(f"{percent(ratio.value)} ({ratio.part:,.0f} of {ratio.whole:,.0f}{f' {noun}' if noun else ''})", also)


def _times(spread: Spread, *, noun: str = "", also: list[tuple[int, str]] | None = None) -> str:
    if spread.median_seconds is None or spread.p90_seconds is None:
        return _with(NONE, also)
    number = f"{spread.count:,} {noun}" if noun else f"{spread.count:,}"
    return _with(f"median {duration(spread.median_seconds)}, nine of ten within {duration(spread.p90_seconds)}, of {number}", also)


def _with(text: str, also: list[tuple[int, str]] | None) -> str:
    more = [f"{number:,} {what}" for number, what in also or () if number]
    return "; ".join([text, *more])


def _left_out(metrics: Metrics) -> dict[str, int | None]:
    """Count what is in no figure; of a service that no record names, nothing of its own is known."""
    own = {"open", "refused", "skipped"}
    return {name: number if metrics.is_known or name not in own else None for name, number in asdict(metrics.left_out).items()}


def _ratio(ratio: Ratio) -> dict[str, float | None]:
    return {"value": ratio.value, "part": ratio.part, "whole": ratio.whole}


def _spread(spread: Spread) -> dict[str, float | None]:
    return {"count": spread.count, "median": spread.median_seconds, "p90": spread.p90_seconds}
