"""What a report says in words: its figures, what failed and its notes, for the page and for Prefect's artifact alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from blocks.outside_text import outside
from tasks.rules.metrics.document import NONE, covers, not_counted, rows_of
from tasks.rules.metrics.metrics import Metrics
from tasks.rules.metrics.report import Failed, Report
from tasks.rules.metrics.report_charts import WHAT_FAILED, Picture, pictures_of
from tasks.rules.record.axis import duration, percent
from tasks.rules.record.markdown import embedded, plain
from tasks.rules.record.svg import Style

LONGEST_WHY = 300
MOST_BROKEN = 50
BAR = "|"
ALERTS = "alerts"
SERVICE_HEAD = ("Service", "Releases", "Success rate", "Change fail rate", "Work, median", "Nine of ten within", "Recovery, median")


class Row(NamedTuple):
    """A metric of the span, and of the span before; `before` is "" if that is not known."""

    name: str
    value: str
    before: str


class ServiceRow(NamedTuple):
    """A service among all, in words, as `SERVICE_HEAD` names it."""

    service: str
    releases: str
    success: str
    failed: str
    median: str
    most: str
    recovery: str


class FailedRow(NamedTuple):
    """What failed, in words."""

    at: str
    service: str
    version: str
    run: str
    outcome: str
    causes: str
    why: str


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A report in words and pictures; nothing in it is escaped.

    Fields:
        title: Of what.
        covers: What the figures cover.
        figures: The few that are read first.
        rows: All metrics.
        has_before: Whether the span before is known.
        pictures: In their order.
        failed: What failed.
        more_failed: How many are not listed.
        services: Each service, those of which most failed first; none in a report of one.
        more_services: How many are not listed.
        broken: The runs whose records cannot be trusted, the first of them.
        broken_in_all: How many there are.
        notes: What is in no figure.
        made: When.
    """

    title: str
    covers: str
    figures: tuple[Row, ...]
    rows: tuple[Row, ...]
    has_before: bool
    pictures: tuple[Picture, ...]
    failed: tuple[FailedRow, ...]
    more_failed: int
    services: tuple[ServiceRow, ...]
    more_services: int
    broken: tuple[str, ...]
    broken_in_all: int
    notes: tuple[str, ...]
    made: str


def page_of(report: Report, *, broken: Sequence[str], at: datetime, style: Style) -> ReportPage:
    """Write a report.

    Args:
        report: The report.
        broken: The runs whose records cannot be trusted.
        at: Now.
        style: Where its pictures will stand.
    """
    metrics, before = report.metrics, report.before
    whose = outside(metrics.selection.service) if metrics.selection.service else "all services"
    earlier = dict(rows_of(before)) if before else {}
    return ReportPage(
        title=f"Deployments of {whose} to {metrics.selection.environment}",
        covers=covers(metrics),
        figures=tuple(Row(name, value, _then(before, name)) for name, value in _figures(metrics).items()),
        rows=tuple(Row(name.strip(), value, earlier.get(name, "")) for name, value in rows_of(metrics)),
        has_before=before is not None,
        pictures=tuple(pictures_of(report, style=style)),
        failed=tuple(map(_failed, report.failed)),
        more_failed=report.failed_in_all - len(report.failed),
        services=tuple(map(_service, report.services)),
        more_services=report.services_in_all - len(report.services),
        broken=tuple(sorted(broken)[:MOST_BROKEN]),
        broken_in_all=len(broken),
        notes=tuple(not_counted(metrics)),
        made=f"{at:%Y-%m-%d %H:%M} UTC",
    )


def to_markdown(page: ReportPage) -> str:
    """Write it as Markdown whose pictures are data URIs and in which nothing that a record says can act.

    Prefect breaks no line in a table, so what is long stands in lists.
    """
    figures = [f"- {row.name}: **{plain(row.value)}**{f' ({row.before})' if row.before else ''}" for row in page.figures]
    parts = [f"# {plain(page.title)}", f"{plain(page.covers)}.", "\n".join(figures)]
    if page.broken:
        more = f" and {page.broken_in_all - len(page.broken)} more" if page.broken_in_all > len(page.broken) else ""
        named = f"{plain(', '.join(page.broken))}{more}"
        parts.append(f"**Records that cannot be trusted: {page.broken_in_all}.** They are in no figure: {named}.")
    for picture, shown in zip(page.pictures, embedded([(one.words, one.svg) for one in page.pictures]), strict=True):
        parts += [f"## {picture.heading}", shown]
        if picture.heading == WHAT_FAILED and page.failed:
            parts.append("\n".join(map(_line, page.failed)))
            parts += [f"{page.more_failed} more are not listed."] if page.more_failed else []
            parts += ["### By service", _table(SERVICE_HEAD, page.services)] if page.services else []
            parts += [f"{page.more_services} more are not listed."] if page.more_services else []
    head = ("Metric", "This span", "The span before")[: 3 if page.has_before else 2]
    rows = [row[: len(head)] for row in page.rows if row.name != ALERTS]
    alerts = [
        f"{name}, {ALERTS}: {plain(told)}."
        for row in page.rows
        if row.name == ALERTS
        for name, told in zip(head[1:], row[1:], strict=False)
    ]
    return "\n\n".join(
        [*parts, "## All metrics", _table(head, rows), *alerts, *map(plain, page.notes), f"Computed from the records at {page.made}."]
    ) + "\n"  # fmt: skip


def _line(row: FailedRow) -> str:
    at, release, outcome, causes, why, run = map(plain, (row.at, f"{row.service} {row.version}", row.outcome, row.causes, row.why, row.run))
    return f"- {at}: **{release}**, {outcome}, {causes}. {why} (run {run})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(map(plain, row))} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", BAR + "---|" * len(head), *lines])


def _failed(one: Failed) -> FailedRow:
    facts, causes = one.facts, "; ".join(one.causes)
    outcome = "deployed, then left" if facts.outcome == "deployed" else facts.outcome.replace("_", " ")
    service, version, why = outside(facts.service), outside(facts.version), outside(one.why, limit=LONGEST_WHY)
    return FailedRow(f"{one.at:%Y-%m-%d %H:%M}", service, version, facts.run, outcome, causes, why)


def _service(metrics: Metrics) -> ServiceRow:
    success, failures, work = metrics.success, metrics.failures, metrics.took.work
    rates, times = (
        map(_ratio, (success.value, failures.rate.value)),
        (work.median_seconds, work.p90_seconds, failures.recovery.median_seconds),
    )
    return ServiceRow(outside(metrics.selection.service), f"{success.whole:,}", *rates, *map(_long, times))


def _figures(metrics: Metrics) -> dict[str, str]:
    took, recovery = metrics.took.total.median_seconds, metrics.failures.recovery.median_seconds
    per_day, lead = metrics.per_day, metrics.lead_time.changes.median_seconds
    return {
        "success rate": _ratio(metrics.success.value),
        "change fail rate": _ratio(metrics.failures.rate.value),
        "deployments a day": NONE if per_day is None else f"{per_day:.3g}",
        "median duration": _long(took),
        "median recovery": _long(recovery),
        "median lead time": _long(lead),
    }


def _then(before: Metrics | None, name: str) -> str:
    return f"before: {_figures(before)[name]}" if before else ""


def _ratio(value: float | None) -> str:
    return NONE if value is None else percent(value)


def _long(seconds: float | None) -> str:
    return NONE if seconds is None else duration(seconds)
