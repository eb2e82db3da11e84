"""When the keeper writes the metrics for Prometheus: after a release has ended, each ten minutes, and nowhere but in its own home."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from blocks.key_folder.kept_files import write_kept
from blocks.server import layout
from tasks.lifecycle.kept_runs import OPEN
from tasks.record import exposition
from tasks.record.facts import FOLDER
from tests.rules.metrics.made import released

write = exposition.write_exposition.fn


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a home directory, with one release in its history, and one under way."""
    monkeypatch.delenv("SHIPWAY_KEY_FILE", raising=False)
    layout.make_home(tmp_path, port=None, auth=None)
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path))
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(layout.key_file(tmp_path)))
    facts = released("a", 0).model_copy(update={"ended": exposition.now(), "opened": exposition.now()})
    write_kept(FOLDER, "a", {"head": "of no record that is known", "facts": facts.dump()}, what="a test's")
    write_kept(OPEN, "b", {"service": "till", "blocks": []}, what="a test's")
    write_kept(OPEN, "c", {}, what="a test's")
    return tmp_path


def age(home: Path, seconds: float) -> None:
    """Let the file be that old, and the try that wrote it."""
    at = time.time() - seconds
    for path in (layout.metrics_file(home), home / "run" / exposition.TRIED):
        os.utime(path, (at, at))


async def test_the_figures_of_each_service_and_environment_are_written(home: Path) -> None:
    """Readable by this user alone, whole or not at all."""
    assert await write()
    text = layout.metrics_file(home).read_text()
    assert 'shipway_deployments{environment="production",service="shop"} 1.0' in text
    assert 'shipway_deployments{environment="staging",service="shop"} 0.0' in text
    assert 'shipway_last_release_timestamp_seconds{environment="production",outcome="deployed",service="shop"}' in text
    assert 'shipway_releases_open{environment="production",service="till"} 1.0' in text
    assert 'shipway_open_since_timestamp_seconds{environment="production",service="till"}' in text
    assert "broken" not in text, "which only who reads each record knows"
    assert layout.metrics_file(home).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("seconds", "closed", "due"),
    [
        (90, "before", False),
        (90, "after", True),
        (45, "after", False),
        (599, "before", False),
        (601, "before", True),
        (-900, "before", True),
    ],
)
async def test_they_are_computed_again_only_when_due(home: Path, seconds: float, closed: str, due: object) -> None:
    """After a record was closed, but not at each of the keeper's turns; after ten minutes; and if the clock was set back."""
    await write()
    write_kept(FOLDER, "b", {"head": "another", "facts": None}, what="a test's")
    age(home, seconds)
    if closed == "before":
        at = time.time() - 5_000
        os.utime(home / "keys" / FOLDER, (at, at))
    assert await write() is due


@pytest.mark.parametrize(("seconds", "due"), [(5, False), (599, False), (601, True)])
async def test_a_try_that_did_not_end_is_not_repeated_for_ten_minutes(
    home: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, due: object
) -> None:
    """Whatever they cost: each turn of the keeper would pay for it."""

    def fail(*_: object, **__: object) -> str:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(exposition, "exposition_of", fail)
        with pytest.raises(MemoryError):
            await write()
    at = time.time() - seconds
    os.utime(home / "run" / exposition.TRIED, (at, at))
    assert await write() is due


async def test_the_newest_records_count_whatever_is_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history without end does not make a turn of the keeper longer; nor do services without end."""
    monkeypatch.setattr(exposition, "MOST_RECORDS", 2)
    monkeypatch.setattr(exposition, "MOST_SERVICES", 2)
    (home / "keys" / OPEN / "b.kept").unlink()
    for number, service in enumerate(("old", "newer", "newest")):
        facts = released(service, 0, service=service).model_copy(update={"ended": exposition.now(), "opened": exposition.now()})
        write_kept(FOLDER, service, {"head": service, "facts": facts.dump()}, what="a test's")
        os.utime(home / "keys" / FOLDER / f"{service}.kept", (time.time() + number, time.time() + number))
    await write()
    text = layout.metrics_file(home).read_text()
    assert {name for name in ("shop", "old", "newer", "newest") if f'"{name}"' in text} == {"newer", "newest"}


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
