"""The record as markdown for Prefect's pages: the summary first, then the checks, the pictures and the timeline."""

from __future__ import annotations

import base64
import html
import re

from blocks.outside_text import outside, unlinked
from tasks.rules.record.entries import Entry
from tasks.rules.record.picture import in_words, picture
from tasks.rules.record.series import series_of
from tasks.rules.record.view import Row, Summary, checks_of, rows_of, summary_of

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~-])")
LONGEST_CELL = 400
MAX_ROWS = 500
TURNS = {"opened", "gate", "approval", "tick", "refused", "verdict", "rollback", "closed"}
"""The kinds of entries that a short timeline has: where the release turned."""


def to_markdown(entries: list[Entry], *, problems: list[str], place: str = "") -> str:
    """Write a record as markdown.

    Args:
        entries: The record in order.
        problems: What `verify_chain` found; said on top.
        place: The record's folder, where the pages lie to which checks refer; without it they are not named.

    Returns:
        Markdown whose only pictures are data URIs and in which nothing that the record quotes can act.
    """
    checks = checks_of(entries)
    parts = [_head(summary_of(entries)), _problems(problems), _checks(checks), _docs(checks, place=place), _pictures(entries)]
    parts.append(_timeline([row for row in rows_of(entries) if row.entry.kind in TURNS]))
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """Make a text harmless in markdown and in a table's cell: one line, no HTML, no link, no format; cut when long."""
    line = outside(text, limit=2 * LONGEST_CELL)
    cut = line if len(line) <= LONGEST_CELL else line[:LONGEST_CELL] + " …"
    return html.escape(SPECIAL.sub(r"\\\1", unlinked(cut)), quote=False)


def _head(summary: Summary) -> str:
    change = f"{plain(summary.baseline)} → {plain(summary.version)}" if summary.baseline else plain(summary.version)
    lines = [
        ("Asked for by", plain(summary.requester)), ("Reason", plain(summary.reason)),
        ("Answers", plain("; ".join(summary.answers) or ", ".join(summary.approvers)) or "none"),
        ("Opened", summary.opened_at), ("Closed", summary.closed_at or "not yet"),
        ("Duration", f"{summary.total} ({summary.work} of work, {summary.wait} of waiting)"),
    ]  # fmt: skip
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in lines if value)]
    why = [f"- {plain(reason)}" for reason in summary.why]
    return "\n".join([f"# {plain(summary.service)} {change}: {summary.outcome_words}", "", *why, *([""] if why else []), *table])


def _problems(problems: list[str]) -> str:
    return "\n".join(["**The chain of this record is broken:**", "", *(f"- {plain(problem)}" for problem in problems)]) if problems else ""


def _checks(rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = [f"| {plain(row.phase)} | {plain(row.entry.what)} | {plain(row.result)} | {plain(row.entry.why)} |" for row in rows[:MAX_ROWS]]
    return "\n".join(["## Checks", "", "| Phase | Check | Result | Why |", "|---|---|---|---|", *lines])


def _docs(rows: list[Row], *, place: str) -> str:
    """Name the pages; a link from Prefect's page to a file would be blocked by every browser."""
    found = [f"| {plain(row.phase)} | {plain(row.entry.what)} | {plain(f'{place}/data/{row.docs}')} |" for row in rows if row.docs]
    return "\n".join(["## Data Docs", "", "| Phase | Check | Page |", "|---|---|---|", *found]) if found and place else ""


def _pictures(entries: list[Entry]) -> str:
    shown = []
    for index, series in enumerate(series_of(entries)):
        image = base64.b64encode(picture(series, name=f"picture-{index}", style="card").encode()).decode()
        shown.append(f"![{plain(in_words(series))}](data:image/svg+xml;base64,{image})")
    return "\n\n".join(["## What was watched", *shown]) if shown else ""


def _timeline(rows: list[Row]) -> str:
    lines = [
        f"| {row.after} | {plain(row.phase)} | {plain(row.entry.who)} | {plain(row.entry.what)} | {plain(row.entry.why)} |"
        for row in rows[:MAX_ROWS]
    ]
    rest = [f"{len(rows) - MAX_ROWS} more entries are in the record itself."] if len(rows) > MAX_ROWS else []
    return "\n".join(
        ["## Timeline", "", "| After | Phase | Who | What | Why |", "|---|---|---|---|---|", *lines, *(["", *rest] if rest else [])]
    )
