"""What is kept of runs that ended long ago is removed, and nothing that a rollback may still need."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from blocks.key_folder.heads import Head, forget_head, keep_head, read_head
from blocks.key_folder.kept_files import kept_names, kept_path, write_kept
from blocks.key_folder.key_file import key_path
from blocks.server import deployed
from tasks.lifecycle.kept_runs import count_start, keep_open
from tasks.record import kept_clock, retention
from tasks.record.kept_entries import keep_entry, kept_entries
from tasks.record.kept_index import keep_run, kept_runs_of
from tasks.record.reading import FACTS, OF_FACTS
from tasks.rules.record.entries import chain

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a key folder that no other test uses."""
    key = tmp_path / "keys" / "approvals.key"
    key.parent.mkdir()
    key.write_bytes(key_path().read_bytes())
    key.chmod(0o600)
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(key))
    monkeypatch.setattr(kept_clock, "uptime", lambda: ("", 0.0))
    write_kept(*kept_clock.KEPT, {"last": {"at": NOW.isoformat(), "boot": "", "up_seconds": 0}}, what="")
    return key.parent


def age(path: Path, days: float) -> None:
    """Let a path, and all in it, be so old."""
    at = (NOW - timedelta(days=days)).timestamp()
    for one in (*path.rglob("*"), path):
        os.utime(one, (at, at))


async def run(name: str, *, days: float, closed: bool = True) -> None:
    """Keep a run of so long ago."""
    await keep_entry(name, chain(None, at=NOW, kind="opened", who="rita", what="Asked"))
    await count_start(name)
    keep_head(name, Head(1, "a" * 64, closed=closed))
    age(kept_path(f"entries/{name}", "x").parent, days)
    age(kept_path("care", name), days)
    age(key_path().parent / "heads" / f"{name}.json", days)


@pytest.mark.parametrize(
    ("how", "days", "stays"),
    [
        ("closed", 91, False),
        ("closed", 89, True),
        ("open", 2_000, True),
        ("not closed", 2_000, True),
        ("deployed", 2_000, True),
        ("with a contract", 2_000, True),
    ],
)
async def test_only_what_ended_long_ago_and_is_not_needed_is_removed(how: str, days: float, *, stays: bool) -> None:
    """An open run, and what a rollback reads of earlier releases, stay for as long as it takes."""
    await run("r1", days=days, closed=how != "not closed")
    if how == "open":
        await keep_open("r1")
    if how == "deployed":
        await keep_run("deployed", "shop", run="r1", version="1")
    if how == "with a contract":
        await keep_run("contracts", "shop", run="r1")
    retention._remove_once_a_day(NOW)
    assert bool(await kept_entries("r1")) is stays
    assert (read_head("r1") is not None) is (stays or days < retention.HEADS_KEPT_FOR.days)


async def test_it_is_done_once_a_day_and_never_more_than_a_bound_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that was set back stops it for a day."""
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 2)
    for number in range(3):
        await run(f"r{number}", days=100)
    assert retention._remove_once_a_day(NOW) >= 2
    left = [one for number in range(3) if (one := await kept_entries(f"r{number}"))]
    assert len(left) == 1
    assert retention._remove_once_a_day(NOW + timedelta(hours=23)) == 0
    assert retention._remove_once_a_day(NOW + timedelta(hours=25)) >= 1
    assert retention._remove_once_a_day(NOW - timedelta(days=1)) == 0
    retention._remove_once_a_day(NOW)
    assert [await kept_entries(f"r{number}") for number in range(3)] == [[], [], []]


async def test_what_is_needed_hides_nothing_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is that of what is removed, not of what is looked at."""
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 2)
    for name in ("r1", "r2", "r3"):
        await run(name, days=500)
        await keep_run("deployed", "shop", run=name, version=name)
    await run("r9", days=500)
    retention._remove_once_a_day(NOW)
    assert (kept_names("care"), read_head("r9")) == (["r1", "r2", "r3"], None)


async def test_a_file_that_others_remove_meanwhile_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other runs are seen to all the same."""
    for name in ("r1", "r2"):
        await run(name, days=100)
    listed = Path.iterdir

    def vanish(folder: Path) -> Any:
        found = [*listed(folder)]
        if folder.name == "r1":
            found[0].unlink()
        return iter(found)

    monkeypatch.setattr(Path, "iterdir", vanish)
    retention._remove_once_a_day(NOW)
    assert await kept_entries("r2") == []


async def test_the_newest_runs_that_deployed_a_version_stay() -> None:
    """A version that is deployed each night has many."""
    for number in range(retention.MOST_OF_A_VERSION + 3):
        await keep_run("deployed", "shop", run=f"r{number}", version="1")
        newest = kept_names("deployed")
        age(kept_path("deployed", next(name for name in newest if name.endswith(f"-r{number}"))), 30 - number)
    await keep_run("deployed", "shop", run="other", version="2")
    retention._remove_once_a_day(NOW)
    left = await kept_runs_of("deployed", "shop", version="1")
    assert len(left) == retention.MOST_OF_A_VERSION
    assert {"r0", "r1", "r2"}.isdisjoint(left)
    assert await kept_runs_of("deployed", "shop", version="2") == ["other"]


async def test_which_runs_deployed_a_version_last_is_by_what_is_kept_of_them_and_not_by_times_of_files() -> None:
    """A backup may be put back without the times, in any order; what cannot be read goes by its file."""
    most = retention.MOST_OF_A_VERSION
    for number in range(most + 3):
        facts = {"at": (NOW - timedelta(days=100 - number)).isoformat()}
        await keep_run("deployed", "shop", run=f"r{number:02}", version="1", facts=facts)
        (path,) = (kept_path("deployed", name) for name in kept_names("deployed") if name.endswith(f"-r{number:02}"))
        age(path, number)
    path.write_bytes(b"spoiled")
    retention._remove_once_a_day(NOW)
    assert sorted(await kept_runs_of("deployed", "shop", version="1")) == [f"r{number:02}" for number in range(3, most + 3)]


async def test_what_is_kept_of_a_run_goes_also_if_its_record_was_removed_before() -> None:
    """Without a head what is kept of closed records says that it was one of those; without either it may be needed."""
    for name in ("r1", "r2"):
        await run(name, days=91)
        forget_head(name)
    write_kept(FACTS, "r1", {"head": "a" * 64, "facts": None}, what=OF_FACTS)
    retention._remove_once_a_day(NOW)
    assert not kept_path("entries/r1", "x").parent.exists()
    assert kept_path("entries/r2", "x").parent.exists()


async def test_links_are_not_followed(alone: Path, tmp_path: Path) -> None:
    """What they lead to is not ours."""
    (tmp_path / "other").mkdir()
    (alone / "entries").mkdir()
    (alone / "entries" / "r1").symlink_to(tmp_path / "other")
    keep_head("r1", Head(1, "a" * 64, closed=True))
    age(tmp_path / "other", 1_000)
    retention._remove_once_a_day(NOW)
    assert (tmp_path / "other").is_dir()


class Deployment(BaseModel):
    """A deployment as the server gives it."""

    id: str
    name: str


def test_of_a_deployment_that_is_deleted_again_and_again_the_newest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others stay as they are."""
    monkeypatch.setattr(deployed, "facts_of", lambda one: {"name": one.name})
    monkeypatch.setattr(deployed, "_read", lambda path: json.loads(path.read_text()) if path.exists() else {})
    made: list[Any] = [SimpleNamespace(id="release", name="release")]
    deployed.keep(made)
    for number in range(deployed.MOST_OF_A_NAME + 5):
        deployed.keep([SimpleNamespace(id=f"keeper-{number}", name="keeper")])
    assert len(deployed.known()) == deployed.MOST_OF_A_NAME + 2
    assert {"release", f"keeper-{deployed.MOST_OF_A_NAME + 4}"} <= {*deployed.known()}
