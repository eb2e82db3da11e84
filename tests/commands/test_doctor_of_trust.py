"""What the doctor finds in the key folder; each finding has its fix."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from blocks.server import layout
from flows.commands import _trust
from tasks.lifecycle import kept_runs
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


async def test_open_runs_of_another_server_are_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keeper cares for them, and this one leaves them alone."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(home / "keys" / "approvals.key"))
    await kept_runs.write(kept_runs.OPEN, "r1", {"server": kept_runs.name_server(f"{layout.api_url(home)}/")})
    assert (await asyncio.to_thread(found, home))["open runs"][0] == "ok"
    await kept_runs.write(kept_runs.OPEN, "r2", {"server": "http://shop:4200/api"})
    level, text = (await asyncio.to_thread(found, home))["open runs"]
    assert (level, "r1" in text, "r2 of http://shop:4200/api" in text, "settle/settle" in text) == ("warn", False, True, True)
