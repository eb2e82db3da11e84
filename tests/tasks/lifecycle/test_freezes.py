"""Freezes in their folder beside the key: set, found, lifted, and what becomes of files that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from blocks.errors import BadInput, Refused
from blocks.key_folder.freeze_files import freeze_folder
from blocks.key_folder.key_file import create_key, key_path
from tasks.lifecycle import freezes
from tasks.lifecycle.clock import now
from tasks.lifecycle.freezes import end_freeze, find_freeze, hold_now, load_freezes, set_freeze, what_holds
from tasks.rules.windows.freeze import KEPT, UNREADABLE, Lifted


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a key folder of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    return freeze_folder()


def lifted() -> Lifted:
    """Say who lifted it."""
    return Lifted(who="grace", at=now(), reason="over", proved="machine")


def test_a_freeze_of_one_service_holds_only_that(folder: Path) -> None:
    """And what holds the other has the same name as before."""
    before = what_holds("shop"), what_holds("other")
    freeze = set_freeze(who="ada", reason="incident", service="shop")
    assert hold_now("shop") is not None
    assert hold_now("other") is None
    assert (what_holds("shop") != before[0], what_holds("other")) == (True, before[1])
    assert hold_now("shop", {freeze.id}) is None
    end_freeze(freeze, lifted())
    assert (what_holds("shop"), what_holds("other")) == before
    assert (folder / f"{freeze.id}.json").stat().st_mode & 0o077 == 0


def test_lifted_twice_it_says_who_was_first() -> None:
    """Two people lift it at the same time."""
    ended = end_freeze(set_freeze(who="ada", reason="incident"), lifted())
    again = end_freeze(ended, lifted().model_copy(update={"who": "mallory"}))
    assert [one.lifted and one.lifted.who for one in load_freezes()] == ["grace"]
    assert again == ended


BROKEN: dict[str, Callable[[Path], object]] = {
    "torn": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "empty": lambda path: path.write_bytes(b""),
    "writable by others": lambda path: path.chmod(0o622),
    "another's file": lambda path: path.rename(path.with_name("0123456789ab.json")),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "another suffix": lambda path: path.rename(path.with_suffix(".bak")),
    "a link": lambda path: (path.rename(path.parent.parent / "elsewhere"), path.symlink_to(path.parent.parent / "elsewhere")),
    "the folder writable by others": lambda path: path.parent.chmod(0o777),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_freeze_that_cannot_be_read_holds_every_service_even_one_that_was_lifted(folder: Path, how: str) -> None:
    """With the file and the fix in its words; when it is put right, the name of what holds is another."""
    before = what_holds("other")
    freeze = set_freeze(who="ada", reason="incident", service="shop")
    end_freeze(freeze, lifted())
    BROKEN[how](folder / f"{freeze.id}.json")
    hold = hold_now("other")
    assert hold is not None
    assert (hold.by, hold.until) == ((UNREADABLE,), None)
    assert str(folder) in hold.why
    assert what_holds("other") != before
    with pytest.raises(Refused, match=str(folder)):
        find_freeze("")


def test_another_freeze_can_be_set_beside_one_that_cannot_be_read(folder: Path) -> None:
    """Nothing keeps a person from stopping things."""
    folder.mkdir(mode=0o700)
    (folder / "0123456789ab.json").write_bytes(b"torn")
    assert (folder / f"{set_freeze(who='ada', reason='incident').id}.json").exists()


def test_which_one_is_meant_must_be_clear() -> None:
    """By its id or the beginning of it; the only one needs none."""
    one = set_freeze(who="ada", reason="incident", service="shop")
    assert find_freeze("") == one
    other = set_freeze(who="ada", reason="stocktaking")
    assert find_freeze(other.id[:8]) == other
    assert find_freeze("", service="shop") == one
    with pytest.raises(BadInput, match=f"2 freezes are in force.*{one.id} .shop: incident.*{other.id} .all services: stocktaking"):
        find_freeze("")
    with pytest.raises(BadInput, match="0 freezes begin with 'zz'"):
        find_freeze("zz")


@pytest.mark.parametrize("service", ["../../etc", "Shop", "a b", "x" * 64])
def test_a_name_that_no_service_has_is_refused(service: str) -> None:
    """A freeze of it would stop nothing."""
    with pytest.raises(BadInput, match="is not the name of a service"):
        set_freeze(who="ada", reason="incident", service=service)


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-12:00", "2200-01-01T00:00:00+00:00", "0001-01-01T00:00:00+12:00"])
def test_an_end_that_cannot_be_written_is_refused_before_anything_is_kept(folder: Path, until: str) -> None:
    """In other zones it has no date: whoever asks what holds a release would fail."""
    with pytest.raises(BadInput, match="until"):
        set_freeze(who="ada", reason="incident", until=datetime.fromisoformat(until))
    assert not folder.exists()
    kept = set_freeze(who="ada", reason="incident")
    path = folder / f"{kept.id}.json"
    path.write_text(path.read_text().replace('"until": null', f'"until": "{until}"'))
    assert (hold := hold_now("other")) is not None
    assert hold.by == (UNREADABLE,)


def test_whatever_fails_while_freezes_are_read_holds_every_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each release would fail and be rolled back, and the keeper with it."""
    monkeypatch.setattr(freezes, "hold_of", lambda *_, **__: 1 / 0)
    assert (hold := hold_now("shop")) is not None
    assert (hold.by, "ZeroDivisionError" in hold.why) == ((UNREADABLE,), True)


def test_a_freeze_that_was_over_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before the records of what it held can say who lifted it."""
    ended = end_freeze(set_freeze(who="ada", reason="incident"), lifted())
    held = set_freeze(who="ada", reason="another")
    monkeypatch.setattr(freezes, "now", lambda: ended.at + KEPT + timedelta(minutes=1))
    newer = set_freeze(who="ada", reason="now")
    assert [one.id for one in load_freezes()] == [held.id, newer.id]


def test_a_machine_without_the_key_folder_knows_nothing(folder: Path) -> None:
    """The keeper does not wake anything because of that."""
    key_path().unlink()
    assert what_holds("shop") == ""
    assert not folder.exists()
