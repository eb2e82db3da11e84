"""`shipway report`."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import pytest

from flows.commands import report
from tasks.record import store
from tasks.record.store import store_entry
from tasks.rules.record.document import to_json
from tests.record_entries import load_entries


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a home with one finished release in its storage."""
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path))
    place = tmp_path / "storage"
    asyncio.run(_fill(place))
    store._tails.clear()
    return place


async def _fill(place: Path) -> None:
    for kind, evidence in (("opened", {"service": "guestbook", "version": "1.2.0"}), ("note", {}), ("closed", {"outcome": "rolled_back"})):
        await store_entry(place, "abc-123", kind=kind, who="mira", what="It happened.", evidence=evidence)  # type: ignore[arg-type]
    document = to_json(await load_entries(place, "abc-123"))
    await asyncio.to_thread((place / "records" / "abc-123" / "record.json").write_text, document, encoding="utf-8")


def ran(*words: str) -> int:
    """Run the command as the command line does."""
    parser = argparse.ArgumentParser()
    report.configure(parser)
    return report.run(parser.parse_args(words))


def test_an_intact_record_gives_a_page_and_zero(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is written beside the record and named."""
    assert ran("abc-123") == 0
    told = capsys.readouterr().out
    page = storage / "records" / "abc-123" / "record.html"
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "rolled back, 3 entries" in told
    assert "chain    intact" in told
    assert str(page) in told


def test_the_beginning_of_an_id_is_enough(storage: Path, tmp_path: Path) -> None:
    """No one types a whole id, and the page goes where one says."""
    assert ran("abc", "--output", str(tmp_path / "out" / "page.html"), "--storage", str(storage)) == 0
    assert (tmp_path / "out" / "page.html").exists()


def test_a_program_reads_what_was_found(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the same exit codes: 0 for an intact record, 2 for one that was touched."""
    assert ran("abc-123", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["release"], facts["outcome"], facts["entries"], facts["intact"]) == ("abc-123", "rolled_back", 3, True)
    assert facts["page"] == str(storage / "records" / "abc-123" / "record.html")
    (storage / "records" / "abc-123" / "00003.json").unlink()
    assert ran("abc-123", "--json") == 2
    facts = json.loads(capsys.readouterr().out)
    assert facts["intact"] is False
    assert len(facts["problems"]) >= 1


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("change", "entry 2 cannot be trusted"),
        ("drop the middle", "stands at place 2"),
        ("drop the end", "entries were removed or changed since"),
    ],
)
def test_a_record_that_was_touched_exits_with_two(storage: Path, capsys: pytest.CaptureFixture[str], harm: str, sentence: str) -> None:
    """Each kind of harm is said, on the terminal and on the page."""
    folder = storage / "records" / "abc-123"
    path = folder / ("00003.json" if harm == "drop the end" else "00002.json")
    if harm == "change":
        path.write_bytes(path.read_bytes().replace(b"mira", b"mara"))
    else:
        path.unlink()
    assert ran("abc-123") == 2
    told = capsys.readouterr().out
    assert "BROKEN" in told
    assert sentence in told
    assert sentence in (folder / "record.html").read_text(encoding="utf-8")


def test_a_document_of_another_format_is_said(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The published record.json is checked against its schema; the message names the field."""
    path = storage / "records" / "abc-123" / "record.json"
    path.write_text(path.read_text(encoding="utf-8").replace("shipway-record/2", "shipway-record/1"), encoding="utf-8")
    assert ran("abc-123") == 2
    assert "it is not a shipway-record/2 document: format" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../abc-123", "", "a b"])
def test_a_name_that_is_not_an_id_exits_with_two(storage: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """The message says where ids come from."""
    assert storage.exists()
    assert ran(name) == 2
    assert "shipway history" in capsys.readouterr().err


def test_an_unknown_release_exits_with_two(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says where was looked."""
    assert ran("absent", "--storage", str(storage)) == 2
    assert str(storage) in capsys.readouterr().err


def test_a_page_is_not_written_through_a_link_beside_the_record(storage: Path, tmp_path: Path) -> None:
    """Who writes the storage does not choose which of the reader's files is overwritten; the page takes the link's place."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    page = storage / "records" / "abc-123" / "record.html"
    page.symlink_to(precious)
    assert ran("abc-123") == 0
    assert precious.read_text() == "precious"
    assert not page.is_symlink()
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_record_behind_a_link_is_neither_read_nor_written(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder of the record itself is another one."""
    elsewhere = storage / "elsewhere"
    (storage / "records" / "abc-123").rename(elsewhere)
    (storage / "records" / "abc-123").symlink_to(elsewhere)
    assert ran("abc-123") == 2
    assert "records/abc-123 is a symbolic link" in " ".join(capsys.readouterr().err.split())
    assert not (elsewhere / "record.html").exists()


def test_an_output_that_is_a_link_is_refused(storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither written through nor replaced: it may be `/dev/stdout`."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "page.html").symlink_to(precious)
    assert ran("abc-123", "--storage", str(storage), "--output", str(tmp_path / "page.html")) == 2
    assert "is not a regular file" in " ".join(capsys.readouterr().err.split())
    assert precious.read_text() == "precious"
    assert (tmp_path / "page.html").is_symlink()
