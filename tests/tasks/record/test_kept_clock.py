"""What the clock said is kept, and a jump removes nothing until a second day says the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from blocks.key_folder.kept_files import kept_names, kept_path
from blocks.key_folder.key_file import key_path
from tasks.record import kept_clock, retention
from tasks.record.kept_clock import uptime
from tasks.record.retention_run import Kept, carry_out
from tests.tasks.record.test_facts import ended
from tests.tasks.record.test_retention_run import NOW, Server, alone

UP = {"seconds": 0.0}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)
    monkeypatch.setattr(kept_clock, "uptime", lambda: ("boot", UP["seconds"]))


async def at(storage: Path, now: datetime, *, up: timedelta, dry_run: bool = False) -> Kept:
    """Carry it out by a clock, when the machine was up for so long."""
    UP["seconds"] = up.total_seconds()
    server = Server()
    return await carry_out(server, storage, now=now, dry_run=dry_run)  # type: ignore[arg-type]


DAY, JUMPED = timedelta(days=1), NOW + timedelta(days=401)


async def test_after_a_jump_of_the_clock_retention_only_lists_until_a_second_day_says_the_same(tmp_path: Path) -> None:
    """A year ahead for one night makes all old; late runs that start at once are not a second day."""
    await ended(tmp_path, "r1")
    assert (await at(tmp_path, NOW, up=DAY)).faults == ()
    for _ in range(3):
        kept = await at(tmp_path, JUMPED, up=DAY)
        assert (len(kept.removed), kept.only_listed, (tmp_path / "records" / "r1").exists()) == (1, True, True)
        assert kept.faults[0].startswith("The clock says ")
    assert (await at(tmp_path, NOW + DAY, up=2 * DAY)).faults == (), "it was set right"
    assert (await at(tmp_path, JUMPED, up=2 * DAY)).only_listed
    assert not (await at(tmp_path, JUMPED + DAY, up=3 * DAY)).only_listed
    assert not (tmp_path / "records" / "r1").exists()


async def test_the_keeper_removes_nothing_either(caplog: pytest.LogCaptureFixture) -> None:
    """It looks once a day, at the same clock."""
    assert retention._remove_once_a_day(NOW) == 0
    assert "The clock was not looked at before" in caplog.text
    assert retention._remove_once_a_day(JUMPED) == 0
    assert "The clock says" not in caplog.text, "what it said first is not what it said before"
    assert retention.MARK[1] in kept_names("keeper")


async def test_a_dry_run_says_it_and_keeps_nothing(tmp_path: Path) -> None:
    """And is as it should be."""
    await ended(tmp_path, "r1")
    kept = await at(tmp_path, JUMPED, up=DAY, dry_run=True)
    assert (len(kept.removed), kept.faults, len(kept.notes)) == (1, (), 1)
    assert kept_names("keeper") == []


async def test_what_is_kept_and_cannot_be_used_is_a_doubt(tmp_path: Path) -> None:
    """One that others can write is refused; one that was cut short says nothing."""
    await at(tmp_path, NOW, up=DAY)
    path = kept_path(*kept_clock.KEPT)
    path.chmod(0o666)
    assert "is not known what the clock said" in kept_clock.doubt_of_clock(NOW, keeps=True)
    path.chmod(0o600)
    path.write_text("x")
    assert "was not looked at before" in kept_clock.doubt_of_clock(NOW, keeps=True)
    assert key_path().parent.is_dir()


def test_the_machine_says_how_long_it_is_up() -> None:
    """By a clock that cannot be set."""
    boot, seconds = uptime()
    assert len(boot) == 36
    assert seconds > 0
