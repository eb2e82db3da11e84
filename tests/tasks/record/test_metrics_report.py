"""The report as a page in the storage and as an artifact."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.report import report
from tasks.lifecycle.clock import now
from tasks.record import metrics_report
from tasks.record.metrics_report import key_of, make_report, publish_report
from tasks.rules.metrics.metrics import Selection
from tests.tasks.record.test_facts import ended


def selection(service: str = "shop", environment: str = "production") -> Selection:
    """Choose the last month."""
    return Selection(service, environment, now() - timedelta(days=30), now() + timedelta(seconds=1))


async def test_the_page_needs_nothing_from_outside_and_says_what_cannot_be_trusted(tmp_path: Path) -> None:
    """Light and dark, without a script; the only addresses are those of namespaces."""
    await ended(tmp_path, "r1")
    await ended(tmp_path, "r2", closed=False)
    (tmp_path / "records" / "r2" / "00002.json").write_bytes(b"{}")
    html = (await make_report(tmp_path, selection(), at=now())).html
    assert "Deployments of shop to production" in html
    assert "Records that cannot be trusted: 1." in html
    assert "prefers-color-scheme:dark" in html
    assert not re.search(r"<script|<link|src=|href=|https?://", html)
    assert html.count("<svg") == 4


async def test_it_is_published_in_both_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again on the same day replaces the page; the artifact's versions are Prefect's."""
    made: list[dict[str, Any]] = []

    async def publish(markdown: str, **more: Any) -> None:
        made.append({"markdown": markdown, **more})

    monkeypatch.setattr(metrics_report, "publish_markdown", publish)
    await ended(tmp_path, "r1")
    for _ in range(2):
        said = await publish_report.fn(selection(), at=now(), storage=tmp_path)
    (page,) = (tmp_path / "reports").iterdir()
    assert page.name == f"shop-production-{now():%Y-%m-%d}.html"
    assert str(page) in said
    assert "1 releases ended" in said
    assert [one["key"] for one in made] == ["report-shop-production"] * 2
    assert "data:image/svg+xml;base64," in made[0]["markdown"]


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        (selection("", "production"), "all-production"), (selection("shop", "production/eu"), "shop-production-eu"),
        (selection("shop", "staging"), "shop-staging"),
    ],
)  # fmt: skip
def test_a_report_is_named_by_what_it_is_of(chosen: Selection, name: str) -> None:
    """As Prefect takes keys of artifacts."""
    assert key_of(chosen) == f"report-{name}"


async def test_the_flow_reports_the_days_up_to_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """All services in production if nothing is said."""
    asked: list[Selection] = []

    async def publish(chosen: Selection, **_: Any) -> str:
        asked.append(chosen)
        return "there"

    monkeypatch.setattr("flows.report.publish_report", publish)
    state = await report.fn(days=7)
    assert (state.name, state.message) == ("Reported", "there")
    (chosen,) = asked
    assert chosen.since
    assert (chosen.service, chosen.environment, chosen.until - chosen.since) == ("", "production", timedelta(days=7))
