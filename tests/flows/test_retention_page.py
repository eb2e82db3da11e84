"""The flow that removes what is old: a dry run unless it is said otherwise, and its page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
import yaml

from flows import retention
from flows.commands import retention as command
from tasks.record import retention_run, storage
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
        return Kept((Item("run", "r1", AT, "release"),), {}, (), only_listed=dry_run)

    async def publish(markdown: str, **_: Any) -> None:
        pages.append(markdown)

    monkeypatch.setattr(retention, "keep_what_is_young", keep)
    monkeypatch.setattr(retention, "publish_markdown", publish)
    found = await retention.retention.fn(**said)
    assert (found.name, found.message, asked) == (state, words, [state == "DryRun"])
    assert pages[0].startswith("# Would be removed: 1" if state == "DryRun" else "# Removed: 1")


async def test_what_stops_retention_is_on_the_page_and_in_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was to remove something and could not is not one that is done."""
    pages, fault = list[str](), "Nothing is removed: keys/open cannot be listed."

    async def keep(**_: Any) -> Kept:
        return Kept((), {}, (), only_listed=True, faults=(fault,))

    async def publish(markdown: str, **_: Any) -> None:
        pages.append(markdown)

    monkeypatch.setattr(retention, "keep_what_is_young", keep)
    monkeypatch.setattr(retention, "publish_markdown", publish)
    found = await retention.retention.fn(dry_run=False)
    assert (found.type, found.name, found.message) == ("FAILED", "NothingRemoved", f"0 would be removed. {fault}")
    assert "keys/open cannot be listed" in pages[0]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(("remove", "faults", "code"), [(True, (), 0), (True, ("The clock says",), 4), (False, ("keys/open cannot",), 4)])
async def test_the_command_says_what_stops_it_and_ends_as_refused(
    faults: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, remove: bool, as_json: bool
) -> None:
    """Whoever asked for a removal must not take a list for one."""
    kept = Kept((Item("run", "r1", AT, "release"),), {}, (), only_listed=bool(faults), faults=faults)
    monkeypatch.setattr(retention_run, "carry_out", AsyncMock(return_value=kept))
    monkeypatch.setattr(storage, "default_storage", AsyncMock())
    arguments: Any = SimpleNamespace(remove=remove, json=as_json)
    assert await command._retention(AsyncMock(), arguments) == code
    said = "".join(capsys.readouterr())
    assert all(fault in said for fault in faults)
    assert ("would be removed" in said or '"dry_run": true' in said) is bool(faults)


def test_the_schedule_does_remove() -> None:
    """In both files of deployments."""
    for name in ("prefect.yaml", "prefect.kubernetes.yaml"):
        (one,) = [one for one in yaml.safe_load((ROOT / name).read_text())["deployments"] if one["name"] == "retention"]
        assert [schedule["parameters"] for schedule in one["schedules"]] == [{"dry_run": False}]


def test_no_word_of_others_acts_on_the_page() -> None:
    """Names of runs and artifacts are anyone's who has the API's password."""
    text = retention.page_of(Kept((Item("artifact", HOSTILE, AT, HOSTILE),), {("run", HOSTILE): 1}, (HOSTILE,), faults=(HOSTILE,)))
    assert not re.search(r"<img|https://|\]\(", text)
    rows = [line for line in text.splitlines() if line.startswith(("| artifact", "| run"))]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [5, 4]
