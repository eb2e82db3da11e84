"""When the keeper writes the metrics for Prometheus: after a release has ended, each ten minutes, and nowhere but in its own home."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from blocks.key_folder.kept_files import write_kept
from blocks.server import layout
from tasks.record import exposition
from tasks.record.facts import FOLDER, Found
from tests.rules.metrics.made import released

write = exposition.write_exposition.fn


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a home directory, with one release in its history."""
    monkeypatch.delenv("SHIPWAY_KEY_FILE", raising=False)
    layout.make_home(tmp_path, port=None, auth=None)
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path))
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(layout.key_file(tmp_path)))
    facts = released("a", 0).model_copy(update={"ended": exposition.now(), "opened": exposition.now()})

    async def storage() -> Path:
        return tmp_path / "storage"

    async def all_facts(_storage: object) -> Found:
        return Found(facts=[facts], broken={"b": "it is broken"})

    monkeypatch.setattr(exposition, "default_storage", storage)
    monkeypatch.setattr(exposition, "all_facts", all_facts)
    return tmp_path


def age(home: Path, seconds: float) -> None:
    """Let the file be that old."""
    at = time.time() - seconds
    os.utime(layout.metrics_file(home), (at, at))


async def test_the_figures_of_each_service_and_environment_are_written(home: Path) -> None:
    """Readable by this user alone, whole or not at all."""
    assert await write()
    text = layout.metrics_file(home).read_text()
    assert 'shipway_deployments{environment="production",service="shop"} 1.0' in text
    assert 'shipway_deployments{environment="staging",service="shop"} 0.0' in text
    assert 'shipway_last_release_timestamp_seconds{environment="production",outcome="deployed",service="shop"}' in text
    assert "shipway_records_broken 1.0" in text
    assert layout.metrics_file(home).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("seconds", "closed", "due"),
    [
        (30, "before", False),
        (30, "after", True),
        (5, "after", False),
        (599, "before", False),
        (601, "before", True),
        (-900, "before", True),
    ],
)
async def test_they_are_computed_again_only_when_due(home: Path, seconds: float, closed: str, due: object) -> None:
    """After a record was closed, but not at each of the keeper's turns; after ten minutes; and if the clock was set back."""
    await write()
    write_kept(FOLDER, "a", {"facts": None}, what="a test's")
    age(home, seconds)
    if closed == "before":
        at = time.time() - 5_000
        os.utime(home / "keys" / FOLDER, (at, at))
    assert await write() is due


async def test_where_no_server_stack_lies_nothing_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A worker on another machine serves nothing."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("SHIPWAY_HOME", str(elsewhere))
    assert not await write()
    monkeypatch.delenv("SHIPWAY_HOME")
    assert not await write()
    assert list(elsewhere.iterdir()) == []
    assert not layout.metrics_file(home).exists()
