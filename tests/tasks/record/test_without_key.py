"""Without its key's folder nothing goes forward, and a rollback goes on and says what is not in the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect.filesystems import LocalFileSystem

from blocks.errors import Refused, Tampered
from blocks.key_folder import heads
from blocks.key_folder.heads import KeyFolderFault, read_head
from blocks.key_folder.key_file import create_key, key_path
from tasks.record import journal, store
from tasks.record.reading import read_record, readable_entries
from tasks.record.sealing import SealedStorage
from tasks.record.store import expect_whole
from tasks.record.without_key import rolling_back

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the storage of records."""

    async def here() -> Path:
        return tmp_path

    monkeypatch.setattr(journal, "default_storage", here)
    monkeypatch.setattr("tasks.record.journal.asyncio.sleep", _at_once)
    return tmp_path


async def _at_once(_: float) -> None:
    """Do not wait."""


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what was logged."""
    return [record.getMessage() for record in caplog.records if record.name == "shipway"]


async def append(name: str) -> Any:
    """Append a note."""
    return await journal.append_entry("r1", f"It is {name}", kind="note", name=name)


def key_that_others_read() -> None:
    """Let the group read the key."""
    create_key(key_path())
    key_path().chmod(0o640)


async def test_a_key_that_others_may_read_stops_what_goes_forward_and_no_rollback(storage: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The entry is logged as one that is not in the record; nothing that cannot be checked is read."""
    await append("first")
    key_that_others_read()
    with pytest.raises(Refused, match="chmod 600"):
        await append("second")
    with pytest.raises(Refused, match="chmod 600"):
        await journal.read_entries("r1")
    with rolling_back():
        assert (await append("second")).what == "It is second"
        assert await journal.read_entries("r1") == []
        assert await journal.read_entry("r1", "note", name="first") is None
    assert await journal.closing_entry("r1") is None
    assert any(line.startswith("not in the record: It is second. others may read or change") for line in lines(caplog))
    assert len((await read_record(storage, "r1")).entries) == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seq": 1}', '{"seq": "1", "hash": "a", "closed": false}', '{"seq": null', "\0"])
async def test_a_head_that_cannot_be_read_is_said_and_stops_no_rollback(
    storage: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    """It is a fault of the record, which names the file."""
    await append("first")
    (key_path().parent / "heads" / "r1.json").write_text(content)
    with pytest.raises(Tampered, match=r"heads/r1\.json does not say where"):
        read_head("r1")
    store._tails.clear()  # as another process would find it
    with pytest.raises(Tampered, match=r"heads/r1\.json"):
        await expect_whole(storage, "r1")
    with rolling_back():
        assert (await append("second")).what == "It is second"
    assert any("this is not in it: It is second" in line for line in lines(caplog))
    assert [entry.name for entry in await readable_entries(storage, "r1")] == ["first"]


async def test_a_key_folder_that_cannot_be_written_stops_no_rollback(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry is in the record, only its head is not kept; what goes forward waits for the folder."""

    def read_only(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    await append("first")
    monkeypatch.setattr(heads, "replace_file", read_only)
    with rolling_back():
        assert (await append("second")).seq == 2
    with pytest.raises(KeyFolderFault, match="Read-only file system"):
        await append("third")
    assert [entry.name for entry in await readable_entries(storage, "r1")] == ["first", "second", "third"]


@pytest.mark.usefixtures("storage")
async def test_a_head_that_could_not_be_kept_at_first_is_kept_by_the_next_try(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The entry is there by then, and it is new all the same: it is logged, once."""
    keep, tries = heads.replace_file, list[int]()

    def once_full(path: Path, content: bytes) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError(28, "No space left on device")
        keep(path, content)

    monkeypatch.setattr(heads, "replace_file", once_full)
    caplog.set_level("INFO", logger="shipway")
    entry = await append("first")
    head = read_head("r1")
    assert head is not None
    assert (head.seq, head.hash) == (1, entry.hash)
    await append("first")
    assert lines(caplog).count("It is first") == 1


async def test_a_rollback_goes_by_no_result_that_it_cannot_check(tmp_path: Path) -> None:
    """What it did is done once more; everything else is refused."""
    sealed = SealedStorage.around(LocalFileSystem(basepath=tmp_path / "results"))
    await sealed.write_path("a", b"yes")
    key_that_others_read()
    with pytest.raises(Refused, match="chmod 600"):
        await sealed.find("a")
    with pytest.raises(Refused, match="chmod 600"):
        await sealed.write_path("b", b"yes")
    with rolling_back():
        assert await sealed.find("a") is None
        await sealed.write_path("b", b"yes")
    assert await sealed.objects.read("b") is None


async def test_a_rollback_goes_by_no_result_that_others_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Garbage, a link and a folder in its place: refused where it goes forward, done once more by a rollback, which says so."""
    sealed = SealedStorage.around(LocalFileSystem(basepath=tmp_path / "results"))
    for name in "abc":
        await sealed.write_path(f"run/{name}", b"yes")
    folder = tmp_path / "results" / "run"
    (folder / "a").write_bytes(b"garbage")
    (folder / "b").unlink()
    (folder / "b").symlink_to(tmp_path / "nowhere")
    (folder / "c").unlink()
    (folder / "c").mkdir()
    for name in "abc":
        with pytest.raises(Tampered, match=f"run/{name}"):
            await sealed.find(f"run/{name}")
    with rolling_back():
        for name in "abc":
            assert await sealed.find(f"run/{name}") is None
            await sealed.write_path(f"run/{name}", b"again")
        assert [await sealed.find(f"run/{name}") for name in "abc"] == [b"again", b"again", None]
    assert not (tmp_path / "nowhere").exists()
    assert any("goes on without the result run/c" in line and "is a folder" in line for line in lines(caplog))


def test_an_ordinary_line_does_not_warn_and_a_fault_does(caplog: pytest.LogCaptureFixture) -> None:
    """Who looks for warnings in a run's log finds what went wrong."""
    caplog.set_level("INFO", logger="shipway")
    journal.inform("the pull request is open")
    journal.say("it could not be taken over")
    assert [record.levelname for record in caplog.records if record.name == "shipway"] == ["INFO", "WARNING"]
