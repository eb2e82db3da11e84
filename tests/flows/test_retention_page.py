"""The flow that removes what is old: a dry run unless it is said otherwise, and its page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import retention
from tasks.record.retention_run import Kept
from tasks.rules.lifecycle.retention import Item

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = "<img src=x> [here](https://evil.example) | \n| x"


@pytest.mark.parametrize(("said", "state", "words"), [({}, "DryRun", "1 would be removed."), ({"dry_run": False}, "Removed", "1 removed.")])
async def test_whoever_starts_it_by_hand_removes_nothing_by_mistake(
    said: dict[str, Any], state: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says which it was."""
    pages, asked = list[str](), list[bool]()

    async def keep(*, dry_run: bool, **_: Any) -> Kept:
        asked.append(dry_run)
        return Kept((Item("run", "r1", AT, "release"),), {}, ())

    async def publish(markdown: str, **_: Any) -> None:
        pages.append(markdown)

    monkeypatch.setattr(retention, "keep_what_is_young", keep)
    monkeypatch.setattr(retention, "publish_markdown", publish)
    found = await retention.retention.fn(**said)
    assert (found.name, found.message, asked) == (state, words, [state == "DryRun"])
    assert pages[0].startswith("# Would be removed: 1" if state == "DryRun" else "# Removed: 1")


def test_the_schedule_does_remove() -> None:
    """In both files of deployments."""
    for name in ("prefect.yaml", "prefect.kubernetes.yaml"):
        (one,) = [one for one in yaml.safe_load((ROOT / name).read_text())["deployments"] if one["name"] == "retention"]
        assert [schedule["parameters"] for schedule in one["schedules"]] == [{"dry_run": False}]


def test_no_word_of_others_acts_on_the_page() -> None:
    """Names of runs and artifacts are anyone's who has the API's password."""
    text = retention.page_of(Kept((Item("artifact", HOSTILE, AT, HOSTILE),), {("run", HOSTILE): 1}, ()), dry_run=True)
    assert not re.search(r"<img|https://|\]\(", text)
    rows = [line for line in text.splitlines() if line.startswith(("| artifact", "| run"))]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [5, 4]
