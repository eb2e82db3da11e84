"""Retention fails closed: links, what cannot be listed, and what others made up on the server remove nothing that is needed."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from blocks.errors import Tampered
from blocks.key_folder.heads import read_head
from blocks.key_folder.kept_files import kept_path, write_kept
from blocks.key_folder.key_file import key_path
from blocks.key_folder.retention_file import retention_path
from tasks.lifecycle.kept_runs import keep_open
from tasks.record import old_records, old_runs, removal, retention, retention_run
from tasks.record.kept_index import keep_run, name_of
from tests.tasks.record.test_facts import ended
from tests.tasks.record.test_retention_run import LATER, NOW, Server, alone, carried

OLD = "notes-2020-01-01.html"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Give a folder of others with names that are due."""
    folder = tmp_path / "elsewhere"
    (folder / "r1").mkdir(parents=True)
    (folder / "r1" / "precious").write_text("x")
    for name in (OLD, "notes-2020-01-02.html"):
        (folder / name).write_text("x")
    return folder


def all_in(folder: Path) -> list[str]:
    """List all that is in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("place", ["removed", "records", "reports"])
@pytest.mark.parametrize("how", ["link", "dangling link", "file"])
async def test_what_lies_behind_a_link_in_the_storage_is_never_removed_and_the_page_names_it(
    place: str, how: str, tmp_path: Path, elsewhere: Path
) -> None:
    """Nor behind anything else that is not a folder; nothing else is removed then, either."""
    server, storage, before = Server(), tmp_path / "storage", all_in(elsewhere)
    server.add(days=300)
    await ended(storage, "r1")
    if place == "records":
        (storage / place).rename(storage / "away")
    if how == "file":
        (storage / place).write_text("x")
    else:
        (storage / place).symlink_to(elsewhere if how == "link" else tmp_path / "nowhere")
    kept = await carried(storage, server, now=LATER)
    assert (kept.removed, len(server.runs), all_in(elsewhere)) == ((), 1, before)
    assert str(storage / place) in kept.faults[0]
    assert "Find out who put it there" in kept.faults[0]
    assert read_head("r1") is not None


@pytest.mark.parametrize("place", ["removed", "records", "reports", "records/r1"])
async def test_a_link_that_is_put_there_while_it_removes_is_not_followed(place: str, tmp_path: Path, elsewhere: Path) -> None:
    """The record then stays as it is, with its head."""
    storage, before = tmp_path / "storage", all_in(elsewhere)
    await ended(storage, "r1")
    if place.startswith("records"):
        (storage / place).rename(storage / "away")
    (storage / place).symlink_to(elsewhere)
    with pytest.raises(Tampered, match=r"which was not made here|is not a folder that was made here"):
        await (old_records.remove_page(storage, OLD) if place == "reports" else old_records.remove_record(storage, "r1"))
    assert all_in(elsewhere) == before
    assert read_head("r1") is not None


async def test_only_what_retention_set_aside_is_removed(tmp_path: Path, elsewhere: Path) -> None:
    """Of what a process left there that died, too; other names, and links by ours, stay."""
    await ended(tmp_path, "r1")
    aside, before = tmp_path / "removed", all_in(elsewhere)
    for name in (f"r0-{'a' * 32}", "r0", f"r0-{'a' * 31}", "notes"):
        (aside / name).mkdir(parents=True)
    (aside / f"r0-{'b' * 32}").symlink_to(elsewhere)
    (aside / f"r0-{'a' * 32}" / "00001.json").write_text("x")
    assert [one.name for one in (await carried(tmp_path, now=LATER)).removed] == ["r1"]
    assert all_in(aside) == sorted(["r0", f"r0-{'a' * 31}", f"r0-{'b' * 32}", "notes"])
    assert all_in(elsewhere) == before


async def test_a_link_in_the_place_of_a_record_stays(tmp_path: Path, elsewhere: Path) -> None:
    """And the others are removed."""
    for run in ("r1", "r2"):
        await ended(tmp_path, run)
    (tmp_path / "records" / "r1").rename(tmp_path / "away")
    (tmp_path / "records" / "r1").symlink_to(elsewhere / "r1")
    kept = await carried(tmp_path, now=LATER)
    assert [one.name for one in kept.removed] == ["r2"]
    assert ("record", "it is not a folder that was made here") in kept.stays
    assert (elsewhere / "r1" / "precious").exists()


@pytest.mark.parametrize("folder", ["deployed", "contracts", "open", "heads", "left"])
@pytest.mark.parametrize("how", ["fault", "link"])
async def test_if_a_folder_beside_the_key_cannot_be_listed_retention_removes_nothing_and_names_it(
    folder: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be listed is not nothing: a rollback would cross a contract, an open run would be gone."""
    server, storage, place = Server(), tmp_path / "storage", key_path().parent / folder
    server.add(days=200)
    await ended(storage, "r1")
    await keep_run("contracts", "shop", run="r1")
    if how == "link":
        moved = tmp_path / "moved"
        place.rename(moved) if place.exists() else moved.mkdir()
        place.symlink_to(moved)
    else:
        place.mkdir(exist_ok=True)
        opened = os.open

        def refuse(path: Any, *more: Any, **named: Any) -> int:
            if path == place:
                raise OSError(5, "Input/output error")
            return opened(path, *more, **named)

        monkeypatch.setattr(os, "open", refuse)
    kept = await carried(storage, server, now=LATER)
    assert (kept.removed, kept.stays, len(server.runs), (storage / "records" / "r1").exists()) == ((), {}, 1, True)
    assert f"{place} cannot be listed" in kept.faults[0]
    if folder != "left":
        with pytest.raises(Exception, match=f"{place} cannot be listed"):
            [*retention._remove(LATER)]


async def test_a_key_folder_that_goes_away_meanwhile_removes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is mounted: what it held of open runs was empty then."""
    server = Server()
    server.add(days=200)

    async def go(*_: Any) -> None:
        retention_path().unlink()

    monkeypatch.setattr(retention_run, "oldest_open", go)
    kept = await carried(tmp_path, server)
    assert (kept.removed, len(server.runs)) == ((), 1)
    assert "is not there any more" in kept.faults[0]


async def test_what_a_rollback_brought_back_and_its_run_stay(tmp_path: Path) -> None:
    """A rollback is not a deployment: what it left does not count among those that stay, and what it brought back does."""
    server = Server()
    runs = [str(server.add(days=300)) for _ in range(6)]
    for number, run in enumerate(runs):
        await ended(tmp_path, run)
        await keep_run("deployed", "shop", run=run, version=f"1.{number}", place="p", facts={"at": f"2026-01-0{number + 1}"})
    assert {one.name for one in (await carried(tmp_path, now=LATER, dry_run=True)).removed} == {*runs[:4]}
    for version in ("", "1.5", "1.4", "1.3"):
        write_kept("left", name_of("shop", version, "p"), {"version": "1.5", "serves": "1.0", "run": "b"}, what="")
    removed = (await carried(tmp_path, server, now=LATER)).removed
    assert {(one.kind, one.name) for one in removed} == {("record", runs[3]), ("run", runs[3])}
    kept_path("left", name_of("shop", "", "p")).write_text("x")
    await ended(tmp_path, runs[3])
    assert (await carried(tmp_path, server, now=LATER)).removed == (), "what cannot be read may name any"


async def test_a_run_that_is_open_beside_the_key_stays_whatever_the_server_says_of_it(tmp_path: Path) -> None:
    """Whoever has the API's password takes its tag, and sets when it ended."""
    server = Server()
    run = server.add(days=100, key="release-shop")
    server.runs[run].end_time = NOW - timedelta(days=300)
    await keep_open(str(run))
    kept = await carried(tmp_path, server)
    assert kept.removed == ()
    assert ("run", "its run is open") in kept.stays


@pytest.mark.parametrize("how", ["itself", "two", "deep"])
async def test_a_circle_of_runs_stays_and_the_rest_is_removed(how: str, tmp_path: Path) -> None:
    """Which run another one is below is a field that anyone with the API's password can set."""
    server = Server()
    other, *circle = [server.add(days=200) for _ in range(2 if how == "itself" else 3 if how == "two" else 20)]
    for above, below in zip(circle, circle[1:] + ([] if how == "deep" else circle[:1]), strict=how != "deep"):
        server.runs[below].above = above

    async def ended_runs(*_: Any, **__: Any) -> Any:
        yield [server.runs[one] for one in (circle[0], other)]

    real, old_runs._ended = old_runs._ended, ended_runs  # type: ignore[assignment]
    try:
        kept = await carried(tmp_path, server)
    finally:
        old_runs._ended = real
    assert [UUID(one.name) for one in kept.removed] == [other]
    assert any(why.startswith("by the server it is below itself") for _, why in kept.stays)


async def test_what_cannot_be_removed_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are removed all the same."""
    for run in ("r1", "r2"):
        await ended(tmp_path, run)
    real = removal.remove_folder

    def fail(base: Path, run: str, **named: Any) -> None:
        if run == "r1":
            raise OSError(30, "Read-only file system")
        real(base, run, **named)

    monkeypatch.setattr(old_records, "remove_folder", fail)
    kept = await carried(tmp_path, now=LATER)
    assert [one.name for one in kept.removed] == ["r2"]
    assert kept.notes == ("1 could not be removed; the log says why.",)
