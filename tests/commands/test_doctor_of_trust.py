"""What the doctor finds in the key folder; each finding has its fix."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.server import api, layout
from flows.commands import _trust
from tasks.lifecycle import kept_runs, servers
from tasks.lifecycle.quietest import keep_quietest
from tests.rules.analysis.test_quietest import SCRAPED, asking
from tests.rules.rollout.test_steps import plan_of
from tests.tasks.lifecycle.test_quietest import kept_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a home directory that never ran."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SHIPWAY_", "PREFECT_"))}
    monkeypatch.setattr(os, "environ", environment)
    layout.make_home(tmp_path / "home", port=None, auth=None)
    return tmp_path / "home"


def found(home: Path) -> dict[str, tuple[str, str]]:
    """Give level and whole text of each finding."""
    return {one.subject: (one.level, f"{one.text} → {one.fix}") for one in _trust.examine(home)}


def test_a_good_key_folder_is_found_well(home: Path) -> None:
    """Also without any policy, which it says."""
    seen = found(home)
    assert {level for level, _ in seen.values()} == {"ok"}
    assert "none" in seen["policies"][1]


@pytest.mark.parametrize(
    ("name", "content", "mode", "says"),
    [
        ("shop.yaml", "name: shop\nsurprise: 1\n", 0o600, "surprise"),
        ("shop.yaml", "name: shop\n", 0o622, "chmod go-w"),
        ("shop.txt", "name: shop\n", 0o600, "is not a policy file"),
    ],
    ids=["schema", "writable by others", "name"],
)
def test_a_policy_that_refuses_every_release_is_found_with_its_fix(home: Path, name: str, content: str, mode: int, says: str) -> None:
    """Before a release meets it."""
    (home / "keys" / "policies").mkdir(mode=0o700)
    file = home / "keys" / "policies" / name
    file.write_text(content)
    file.chmod(mode)
    level, text = found(home)["policies"]
    assert level == "fail"
    assert says in text
    assert "shipway policy apply" in text


def test_an_owner_and_a_key_that_others_may_change_are_found(home: Path) -> None:
    """Without the key nothing beside it is looked at."""
    (home / "keys" / "owners").mkdir(mode=0o700)
    (home / "keys" / "owners" / "local_shop.json").write_text("{}")
    assert "cannot be read" in found(home)["owners"][1]
    (home / "keys" / "approvals.key").chmod(0o644)
    seen = found(home)
    assert list(seen) == ["key"]
    assert "chmod 600" in seen["key"][1]


def test_a_quietest_window_that_is_not_measured_any_more_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is too old and production is closed; and one that cannot be read, which closes it at once."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(home / "keys" / "approvals.key"))
    plan = asking(plan_of(), SCRAPED)
    for days, fault, level in ((1, "", "ok"), (9, "", "warn"), (7.5, "Prometheus does not answer", "warn")):
        keep_quietest("shop", kept_of(plan, days_ago=days, fault=fault))
        seen = found(home)["quietest windows"]
        assert seen[0] == level
        assert fault in seen[1]
    (home / "keys" / "quietest" / "shop.kept").write_bytes(b"x")
    assert found(home)["quietest windows"][0] == "fail"


OWN, OTHER, GONE = "own", "other", "gone"


@pytest.mark.parametrize(
    ("runs", "answer", "level", "says"),
    [
        ({}, OSError("connection refused"), "ok", ""),
        ({"r1": OWN}, OWN, "ok", "each is one of this server's"),
        ({"r1": OWN, "r2": OTHER}, OWN, "warn", "r2 of other"),
        ({"r1": OWN, "r2": OTHER, "r3": GONE}, OWN, "fail", "no keeper cares for r3 of gone"),
        ({"r1": ""}, OWN, "fail", "no keeper cares for r1 of a server that is not known"),
        ({"r1": OWN}, GONE, "fail", "no keeper cares for r1 of own"),
        ({"r1": OWN}, OSError("connection refused"), "fail", "connection refused"),
    ],
    ids=["none", "own", "another with a keeper", "another without", "not known", "the id is another one", "the id cannot be read"],
)
async def test_open_runs_that_the_keeper_leaves_alone_are_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, runs: dict[str, str], answer: str | OSError, level: str, says: str
) -> None:
    """The keeper of another server cares for its runs; what has no keeper needs people."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(home / "keys" / "approvals.key"))

    def server_id(_: Path) -> str:
        if isinstance(answer, str):
            return answer
        raise answer

    monkeypatch.setattr(api, "server_id", server_id)
    for run, server in runs.items():
        await kept_runs.write(kept_runs.OPEN, run, {"server": server})
    for server, minutes in ((OTHER, 9), (GONE, 11)):
        noted = {"at": (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()}
        await kept_runs.write(servers.FOLDER, server, noted, what=servers.WHAT)
    seen = (await asyncio.to_thread(found, home))["open runs"]
    assert (seen[0], says in seen[1], "settle/settle" in seen[1]) == (level, True, level == "fail" and isinstance(answer, str))
