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

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$-])")
LIQUID = re.compile(r"(?<=\{)%|^%")
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
    parts = [_head(summary_of(entries)), faults_of_chain(problems), _under("Checks", table_of_checks(checks))]
    parts += [_docs(checks, place=place), _under("What was watched", "\n\n".join(embedded(pictures_of(entries))))]
    parts.append(_under("Timeline", table_of_turns(rows_of(entries))))
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """Make a text harmless in markdown and in a table's cell: one line, no HTML, no link, no format; cut when long.

    Nor is it a tag of Liquid, which Jekyll looks for in each page of a repository, escaped or not.
    """
    line = outside(text, limit=2 * LONGEST_CELL)
    cut = line if len(line) <= LONGEST_CELL else line[:LONGEST_CELL] + " …"
    safe = html.escape(SPECIAL.sub(r"\\\1", unlinked(cut)), quote=False)
    return LIQUID.sub("&#37;", f"{safe[:-2]}&#123;" if safe.endswith("\\{") else safe)


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


def faults_of_chain(problems: list[str]) -> str:
    """Say that the chain is broken, and how; "" if it is intact."""
    return "\n".join(["**The chain of this record is broken:**", "", *(f"- {plain(problem)}" for problem in problems)]) if problems else ""


def table_of_checks(rows: list[Row]) -> str:
    """Write the entries that checked something as a table; "" if there is none."""
    lines = [f"| {plain(row.phase)} | {plain(row.entry.what)} | {plain(row.result)} | {plain(row.entry.why)} |" for row in rows[:MAX_ROWS]]
    return "\n".join(["| Phase | Check | Result | Why |", "|---|---|---|---|", *lines, *_rest(rows)]) if rows else ""


def table_of_turns(rows: list[Row]) -> str:
    """Write where the release turned, in the order of time, as a table."""
    found = [row for row in rows if row.entry.kind in TURNS]
    lines = [
        f"| {row.after} | {plain(row.phase)} | {plain(row.entry.who)} | {plain(row.entry.what)} | {plain(row.entry.why)} |"
        for row in found[:MAX_ROWS]
    ]
    return "\n".join(["| After | Phase | Who | What | Why |", "|---|---|---|---|---|", *lines, *_rest(found)])


def _rest(rows: list[Row]) -> list[str]:
    return ["", f"{len(rows) - MAX_ROWS} more entries are in the record itself."] if len(rows) > MAX_ROWS else []


def _docs(rows: list[Row], *, place: str) -> str:
    """Name the pages; a link from Prefect's page to a file would be blocked by every browser."""
    found = [f"| {plain(row.phase)} | {plain(row.entry.what)} | {plain(f'{place}/data/{row.docs}')} |" for row in rows if row.docs]
    return "\n".join(["## Data Docs", "", "| Phase | Check | Page |", "|---|---|---|", *found]) if found and place else ""


def pictures_of(entries: list[Entry]) -> list[tuple[str, str]]:
    """Draw what was watched: each picture in words, and as SVG."""
    return [(in_words(one), picture(one, name=f"picture-{index}", style="card")) for index, one in enumerate(series_of(entries))]


def embedded(pictures: list[tuple[str, str]]) -> list[str]:
    """Write pictures as Markdown that carries them."""
    return [f"![{plain(words)}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})" for words, svg in pictures]


def _under(heading: str, text: str) -> str:
    return f"## {heading}\n\n{text}" if text else ""
