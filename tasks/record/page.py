"""The record as one self-contained HTML page: no script, nothing loaded from elsewhere, light and dark, fit to print."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jinja2 import Template

from blocks.outside_text import outside
from tasks.record.html import pages
from tasks.rules.record.axis import percent
from tasks.rules.record.entries import FIRST, Entry
from tasks.rules.record.masking import bounded
from tasks.rules.record.picture import picture
from tasks.rules.record.series import Series, Stream, WatchedStep, series_of
from tasks.rules.record.view import checks_of, rows_of, summary_of

LONGEST_EVIDENCE_CHARACTERS = 20_000


def render_page(entries: list[Entry], *, problems: list[str], docs: str = "data") -> str:
    """Write a record as an HTML page.

    Args:
        entries: The record in order.
        problems: What is wrong with the chain; said on top of the page.
        docs: The folder of the pages that the record links, from where this page will lie.

    Returns:
        A whole HTML document, the same for the same arguments.
    """
    return _template().render(
        summary=summary_of(entries), rows=rows_of(entries), checks=checks_of(entries), problems=problems, docs=docs,
        head=entries[-1].hash if entries else FIRST,
        views=[_view(series, name=f"picture-{index}") for index, series in enumerate(series_of(entries))],
    )  # fmt: skip


def _view(series: Series, *, name: str) -> dict[str, Any]:
    return {"series": series, "svg": picture(series, name=name, style="page"), "steps": [_step_row(step) for step in series.steps]}


def _step_row(step: WatchedStep) -> dict[str, str]:
    share = "all" if step.percent is None else f"{step.percent} %"
    if not step.points:
        return {"share": share, "canary": "no data", "baseline": "no data", "outcome": "no data", "reason": "No reading was taken."}
    last = step.points[-1]
    outcome = last.outcome.replace("_", " ")
    return {"share": share, "canary": _counted(last.canary), "baseline": _counted(last.baseline), "outcome": outcome, "reason": last.reason}


def _counted(stream: Stream) -> str:
    if stream.ratio is None:
        return "no requests"
    known = f" ({percent(max(0.0, stream.low))} to {percent(stream.high)})" if stream.low is not None and stream.high is not None else ""
    return f"{stream.bad:,.0f} of {stream.total:,.0f} = {percent(stream.ratio)}{known}"


def _evidence(entry: Entry) -> str:
    """Write evidence for reading; long ones are cut, since the whole stands in the record itself."""
    value: Any = entry.evidence
    if entry.kind == "samples":
        points, rows = (len(value[name]) if isinstance(value.get(name), list) else 0 for name in ("points", "samples"))
        value = {
            **value,
            "points": f"{points} readings; drawn above, whole in record.json",
            "samples": f"{rows} rows, whole in record.json",
        }
    text = json.dumps(bounded(value), ensure_ascii=False, indent=2)
    text = outside(text, limit=len(text), lines=True)
    if len(text) <= LONGEST_EVIDENCE_CHARACTERS:
        return text
    return text[:LONGEST_EVIDENCE_CHARACTERS] + f"\n… cut here: {len(text):,} characters in all, whole in record.json"


@cache
def _template() -> Template:
    environment = pages()
    environment.filters["evidence"] = _evidence
    return environment.get_template("record.html.j2")
