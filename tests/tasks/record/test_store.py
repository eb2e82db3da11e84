"""The record's store, on real folders and a real filesystem block."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect.filesystems import RemoteFileSystem

from blocks.errors import BadInput, Refused, Tampered, Temporary, WorldMoved
from blocks.key_folder.heads import read_head
from blocks.key_folder.key_file import key_path
from blocks.key_folder.seal import split
from tasks.record import store
from tasks.record.objects import Folder, objects_of
from tasks.record.reading import read_record, readable_entries
from tasks.record.store import expect_whole, load_entry, store_entry
from tasks.rules.record.entries import Entry, chain, parse_entry, to_bytes, verify_chain
from tests.record_entries import load_entries

WRITER = """
import asyncio, sys
from pathlib import Path
from tasks.record.store import store_entry
async def main():
    for number in range(int(sys.argv[3])):
        for key in (f"{sys.argv[2]}/{number}", f"shared/{number}"):
            await store_entry(Path(sys.argv[1]), "r1", name=key, kind="note", who="x", what=sys.argv[2])
asyncio.run(main())
"""


async def note(storage: Any, key: str, **more: Any) -> Entry:
    """Write a note."""
    entry, _ = await store_entry(storage, "r1", name=key, kind="note", who="shipway", what="Noted.", **more)
    return entry


def path_of(storage: Path, seq: int) -> Path:
    """Say where an entry's file is."""
    return storage / "records" / "r1" / f"{seq:05d}.json"


def files_in(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def remove(storage: Any, places: list[int]) -> None:
    """Remove entries."""
    for place in places:
        if isinstance(storage, Path):
            path_of(storage, place).unlink()
        else:
            storage.filesystem.rm(storage._resolve_path(f"records/r1/{place:05d}.json"))


def forget() -> None:
    """Start as another process would, with nothing remembered."""
    store._tails.clear()


@pytest.fixture(params=["folder", "block"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give a folder, and a block that knows neither lists nor exclusive writes."""
    if request.param == "folder":
        return tmp_path
    return RemoteFileSystem(basepath=f"memory://{tmp_path.name}")


async def test_entries_are_read_back_in_order(storage: Any) -> None:
    """What was appended is what is read, chained."""
    written = [await note(storage, f"k{number}", evidence={"n": number}) for number in range(5)]
    forget()
    assert await load_entries(storage, "r1") == written
    assert verify_chain(written, state="under_way") == []


async def test_an_entry_is_written_once(storage: Any) -> None:
    """The second call with the same fields changes nothing and gives the first entry back."""
    first = await note(storage, "k", why="first")
    await note(storage, "other")
    assert await note(storage, "k", why="second") == first
    forget()
    assert await note(storage, "k", why="third") == first
    assert len(await load_entries(storage, "r1")) == 2


async def test_no_record_is_an_empty_record(storage: Any) -> None:
    """Nothing written, nothing found, nothing wrong."""
    reading = await read_record(storage, "r1")
    assert (reading.entries, reading.problems) == ([], [])


async def test_writers_of_one_process_lose_nothing(storage: Any) -> None:
    """Twenty appends at once give twenty entries in one chain."""
    await asyncio.gather(
        *(note(storage, f"k{number % 10}/{number // 10}") for number in range(20)), *(note(storage, "same") for _ in range(5))
    )
    entries = await load_entries(storage, "r1")
    assert len(entries) == 21
    assert verify_chain(entries, state="under_way") == []


@pytest.mark.slow
async def test_writers_of_two_processes_lose_nothing(tmp_path: Path) -> None:
    """Each entry of both is there, once, in one chain."""
    arguments = [sys.executable, "-c", WRITER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(store.__file__).parents[2])}
    writers = [await asyncio.create_subprocess_exec(*arguments, name, "40", env=environment) for name in ("a", "b")]
    assert [await writer.wait() for writer in writers] == [0, 0]
    entries = await load_entries(tmp_path, "r1")
    assert sorted(entry.name for entry in entries) == sorted(f"{name}/{number}" for name in ("a", "b", "shared") for number in range(40))


async def test_what_lies_beside_the_entries_is_not_part_of_the_record(tmp_path: Path) -> None:
    """Pages in a folder of their own, and files that are still being written."""
    await note(tmp_path, "k")
    folder = tmp_path / "records" / "r1"
    (folder / "data").mkdir()
    (folder / ".00002.json.part").write_bytes(b"half")
    assert [entry.name for entry in await readable_entries(tmp_path, "r1")] == ["k"]
    assert (await read_record(tmp_path, "r1")).problems == []


async def test_an_entry_that_was_changed_is_not_readable(storage: Any) -> None:
    """Also where it was read before: what was changed is other bytes."""
    for number in range(2):
        await note(storage, f"k{number}")
    assert len(await readable_entries(storage, "r1")) == 2
    content = await objects_of(storage).read("records/r1/00001.json")
    assert content is not None
    await objects_of(storage).replace("records/r1/00001.json", content.replace(b"k0", b"kX"))
    assert [entry.name for entry in await readable_entries(storage, "r1")] == ["k1"]


async def test_another_process_that_wrote_meanwhile_is_followed(tmp_path: Path) -> None:
    """What this process remembers of the end is never trusted blindly."""
    await note(tmp_path, "mine")
    (last,) = await load_entries(tmp_path, "r1")
    theirs = chain(last, at=store.moment(last), name="theirs", kind="note", who="x", what="x")
    assert await Folder(tmp_path).create("records/r1/00002.json", store._sealed("r1", theirs))
    assert await note(tmp_path, "theirs") == theirs
    assert (await note(tmp_path, "next")).previous == theirs.hash


@pytest.mark.parametrize("tear", [b"", b"\0" * 300, b'{"at":"2026', b"half"])
async def test_a_torn_last_entry_counts_as_not_written(storage: Any, tear: bytes) -> None:
    """It is left out, said, and replaced by a note that keeps what was found."""
    for number in range(2):
        await note(storage, f"k{number}")
    await objects_of(storage).replace("records/r1/00003.json", tear)
    forget()
    reading = await read_record(storage, "r1")
    assert [entry.name for entry in reading.entries] == ["k0", "k1"]
    assert "last entry (3) counts as not written" in reading.problems[0]
    assert (await note(storage, "k2")).seq == 4
    forget()
    entries = await load_entries(storage, "r1")
    assert [entry.name for entry in entries] == ["k0", "k1", "torn 3", "k2"]
    assert verify_chain(entries, state="under_way") == []


async def test_a_first_entry_that_is_torn_does_not_stop_a_release(tmp_path: Path) -> None:
    """A record can begin again behind its own torn beginning."""
    path_of(tmp_path, 1).parent.mkdir(parents=True)
    path_of(tmp_path, 1).write_bytes(b"{")
    await note(tmp_path, "k")
    assert [entry.name for entry in await load_entries(tmp_path, "r1")] == ["torn 1", "k"]


@pytest.mark.parametrize("harm", ["changed", "removed", "swapped"])
async def test_a_broken_middle_is_said_and_never_repaired(tmp_path: Path, harm: str) -> None:
    """Reading and appending both refuse, and the files stay as they are."""
    for number in range(4):
        await note(tmp_path, f"k{number}")
    second, third = path_of(tmp_path, 2), path_of(tmp_path, 3)
    if harm == "changed":
        second.write_bytes(second.read_bytes().replace(b"Noted", b"Noten"))
    elif harm == "removed":
        second.unlink()
    else:
        content = second.read_bytes()
        second.write_bytes(third.read_bytes())
        third.write_bytes(content)
    forget()
    before = files_in(second.parent)
    with pytest.raises(WorldMoved, match="is broken"):
        await expect_whole(tmp_path, "r1")
    with pytest.raises(WorldMoved, match="Keep the folder"):
        await note(tmp_path, "more")
    assert files_in(second.parent) == before


@pytest.mark.parametrize("harm", ["removed", "all removed", "put back", "torn", "forged", "unsealed", "another record's"])
async def test_an_end_that_others_changed_is_said_and_never_repaired(storage: Any, harm: str) -> None:
    """The last entry is remembered beside the key: its loss is not a crash, and an entry behind it without our seal does not count."""
    for number in range(3):
        await note(storage, f"k{number}")
    await store_entry(storage, "r2", kind="note", who="shipway", what="Noted.")
    objects = objects_of(storage)
    first, last = [await objects.read(f"records/r1/0000{seq}.json") for seq in (1, 3)]
    other = await objects.read("records/r2/00001.json")
    assert first
    assert last
    assert other
    forged = chain(parse_entry(split(last)[0]), at=datetime.now(UTC), kind="approval", name="confirmed", who="x", what="x")
    changed = {
        "put back": (3, first),
        "torn": (3, last[:40]),
        "forged": (4, to_bytes(forged) + b"\n" + split(last)[1] + b"\n"),
        "unsealed": (4, to_bytes(forged)),
        "another record's": (4, other),
    }
    if harm in changed:
        await objects.replace(*(f"records/r1/0000{changed[harm][0]}.json", changed[harm][1]))
    else:
        await remove(storage, [3] if harm == "removed" else [1, 2, 3])
    forget()
    with pytest.raises(Tampered, match=r"records/r1"):
        await expect_whole(storage, "r1")
    with pytest.raises(Tampered, match="Keep the folder"):
        await note(storage, "more")
    assert (await read_record(storage, "r1")).problems
    readable = 0 if harm == "all removed" else 2 if harm in {"removed", "put back", "torn"} else 3
    assert len(await readable_entries(storage, "r1")) == readable


async def test_a_head_that_lags_after_a_crash_holds_nothing_up(tmp_path: Path) -> None:
    """The process died between an entry and its head: the entry counts, and the next one moves the head on."""
    await note(tmp_path, "k0")
    before = read_head("r1")
    assert before
    await note(tmp_path, "k1")
    (key_path().parent / "heads" / "r1.json").write_text(json.dumps(before._asdict()))
    forget()
    await expect_whole(tmp_path, "r1")
    assert (await note(tmp_path, "k2")).seq == 3
    found = read_head("r1")
    assert found
    assert found.seq == 3


async def test_the_head_of_a_closed_record_is_kept_whatever_the_clock_says(tmp_path: Path) -> None:
    """Else a record could be cut and opened again, with the approval that is in it, once its head was forgotten."""
    await note(tmp_path, "k0")
    await store_entry(tmp_path, "r1", kind="closed", who="x", what="x")
    os.utime(key_path().parent / "heads" / "r1.json", (0, 0))
    await store_entry(tmp_path, "r2", kind="note", who="x", what="x")
    await remove(tmp_path, [2])
    forget()
    with pytest.raises(Tampered):
        await expect_whole(tmp_path, "r1")


async def test_an_entry_that_is_gone_is_not_one_that_was_never_written(tmp_path: Path) -> None:
    """Forward code would take a release without its first entry for one that no one requested; a rollback goes by what is left."""
    first = await note(tmp_path, "k0")
    last = await note(tmp_path, "k1")
    assert await load_entry(tmp_path, "r1", first.key) == first
    await remove(tmp_path, [1])
    with pytest.raises(Tampered, match="entry 1 of the record of r1 is gone"):
        await load_entry(tmp_path, "r1", first.key)
    assert await load_entry(tmp_path, "r1", first.key, whatever_is_left=True) is None
    assert await load_entry(tmp_path, "r1", last.key) == last


async def test_without_the_key_a_record_is_read_and_says_that_it_was_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For people, who see the chain; a release does not go by it."""
    await note(tmp_path, "k")
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "nowhere" / "approvals.key"))
    forget()
    reading = await read_record(tmp_path, "r1")
    assert (len(reading.entries), reading.problems) == (1, [])
    assert "seals of the entries were not checked, because no approval key" in reading.unchecked
    with pytest.raises(Refused, match="no approval key"):
        await expect_whole(tmp_path, "r1")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_a_stored_record_is_said(tmp_path: Path, data: st.DataObject) -> None:
    """One byte of one file, last or not, never goes unnoticed."""
    if not path_of(tmp_path, 3).exists():
        for number in range(3):
            asyncio.run(note(tmp_path, f"k{number}", evidence={"ratio": 1e-05, "ok": True}))
    path = path_of(tmp_path, data.draw(st.integers(1, 3)))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
    try:
        assert asyncio.run(read_record(tmp_path, "r1")).problems
    finally:
        path.write_bytes(whole)


async def test_secrets_are_masked_before_anything_is_stored(tmp_path: Path) -> None:
    """Neither the file nor the entry holds them."""
    entry = await note(tmp_path, "k", why="token hunter2 was used", evidence={"header": ["Bearer hunter2"]}, secrets=["hunter2"])
    assert "hunter2" not in path_of(tmp_path, 1).read_text()
    assert "hunter2" not in entry.why


@pytest.mark.parametrize("release_id", ["", "..", "../other", "a/b", "/etc", "a\0b", "x" * 129, "-rf"])
async def test_a_release_id_cannot_leave_the_folder_of_records(tmp_path: Path, release_id: str) -> None:
    """Paths are made of ids that are checked."""
    with pytest.raises(BadInput):
        await store_entry(tmp_path, release_id, name="k", kind="note", who="x", what="x")
    assert files_in(tmp_path) == {}


async def test_a_storage_that_does_not_answer_is_not_an_empty_record(tmp_path: Path) -> None:
    """A failing read is an error that may pass, never `nothing there`."""
    block = RemoteFileSystem(basepath=f"memory://{tmp_path.name}")
    await block.write_path("records/r1/00001.json/inside", b"")
    with pytest.raises(Temporary, match="could not be read"):
        await read_record(block, "r1")


async def test_a_disk_that_refuses_is_an_error_that_may_pass(tmp_path: Path) -> None:
    """Retries see it, and the message says where to look."""
    (tmp_path / "file").write_bytes(b"a file where a folder should be")
    with pytest.raises(Temporary, match="space and rights"):
        await note(tmp_path / "file" / "storage", "k")


def test_the_store_needs_no_prefect() -> None:
    """The command line reads a record without that import."""
    code = "import sys, tasks.record.store, tasks.record.page; sys.exit('prefect' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(store.__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0
