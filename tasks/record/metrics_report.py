"""The report of the metrics: a self-contained HTML page in the storage, and an artifact that Prefect shows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Template
from prefect import task

from tasks.lifecycle.retries import OBSERVE
from tasks.record.artifacts import artifact_key, publish_markdown
from tasks.record.facts import Found, all_facts
from tasks.record.html import pages
from tasks.record.kept_times import all_times
from tasks.record.objects import objects_of
from tasks.record.storage import default_storage
from tasks.rules.metrics.metrics import Selection
from tasks.rules.metrics.report import report_of
from tasks.rules.metrics.report_charts import WHAT_FAILED
from tasks.rules.metrics.report_page import SERVICE_HEAD, page_of, to_markdown

FOLDER = "reports"


@dataclass(frozen=True)
class Made:
    """A report.

    Fields:
        html: The whole page.
        markdown: The artifact.
        covers: What its figures cover, in words.
        found: What is known of the runs.
    """

    html: str
    markdown: str
    covers: str
    found: Found


async def make_report(storage: Any, selection: Selection, *, at: datetime) -> Made:
    """Make a report of what the records say.

    Args:
        storage: Where the records are.
        selection: What it is of.
        at: Now.
    """
    found = await all_facts(storage)
    times = await asyncio.to_thread(all_times)
    report = await asyncio.to_thread(report_of, found.facts, times, selection, broken=len(found.broken))
    page, card = (page_of(report, broken=[*found.broken], at=at, style=style) for style in ("page", "card"))
    return Made(_template().render(page=page, what_failed=WHAT_FAILED, service_head=SERVICE_HEAD), to_markdown(card), page.covers, found)


@task(name="publish report", task_run_name="publish the report", **OBSERVE)
async def publish_report(selection: Selection, *, at: datetime, storage: Any = None) -> str:
    """Write the page into the storage, and the artifact; again on the same day writes the same page anew.

    Args:
        selection: What it is of.
        at: Now.
        storage: As `publish_record` takes it.

    Returns:
        Where the page is, and what it covers, in words.
    """
    objects = objects_of(storage or await default_storage())
    made = await make_report(objects, selection, at=at)
    key = key_of(selection)
    path = f"{FOLDER}/{key.removeprefix('report-')}-{at:%Y-%m-%d}.html"
    await objects.replace(path, made.html.encode())
    await publish_markdown(made.markdown, key=key, description=f"Deployments: {made.covers}")
    return f"{objects.name}/{path}: {made.covers}"


def key_of(selection: Selection) -> str:
    """Name the artifact of a report by what it is of."""
    return artifact_key("report", f"{selection.service or 'all'}-{selection.environment or 'everywhere'}")


@cache
def _template() -> Template:
    return pages().get_template("metrics.html.j2")
