"""What others put into the storage in the place of a record's files: refused where it goes forward, gone on without by a rollback."""

from __future__ import annotations

import os
import re
import socket
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.filesystems import RemoteFileSystem

from blocks.errors import Tampered, Temporary
from tasks.record import files, journal, objects
from tasks.record.files import create_file, read_file, read_folder, replace_file
from tasks.record.objects import StorageFault
from tasks.record.reading import read_record
from tasks.record.without_key import rolling_back

NEXT = "records/r1/00002.json"


def dangling(path: Path) -> None:
    """Plant a link to nothing."""
    path.symlink_to("/nowhere/at/all")


def link(path: Path) -> None:
    """Plant a link to a file that is precious."""
    precious = path.parents[2] / "precious"
    precious.write_text("precious")
    path.symlink_to(precious)


def sock(path: Path) -> None:
    """Plant a socket; its address must be short."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


PLANTED: dict[str, Callable[[Path], Any]] = {
    "a symbolic link": dangling,
    "a symbolic link, to a file": link,
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a socket": sock,
}


@pytest.fixture(params=sorted(PLANTED))
def planted(request: pytest.FixtureRequest) -> tuple[str, Callable[[Path], Any]]:
    """Give what is planted, and how."""
    return request.param.partition(",")[0], PLANTED[request.param]


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: Any) -> Path:  # noqa: ARG001
    """Give the storage of records."""

    async def here() -> Path:
        return tmp_path

    monkeypatch.setattr(journal, "default_storage", here)
    return tmp_path


async def append(name: str, **more: Any) -> Any:
    """Append a note."""
    return await journal.append_entry("r1", f"It is {name}", kind=more.pop("kind", "note"), name=name, **more)


def precious_in(storage: Path) -> str:
    """Read the file that a link points to, if there is one."""
    path = storage / "precious"
    return path.read_text() if path.exists() else ""


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what was logged."""
    return [record.getMessage() for record in caplog.records if record.name == "shipway"]


async def test_nothing_goes_forward_where_the_next_entry_is_planted(storage: Path, planted: tuple[str, Any]) -> None:
    """At once, by a message that names the path and what is there; a file that a link points to stays as it is."""
    kind, plant = planted
    await append("first")
    plant(storage / NEXT)
    began = time.monotonic()
    with pytest.raises(Tampered, match=rf"{NEXT} is {kind}"):
        await append("second")
    with pytest.raises(Tampered, match=rf"{NEXT} is {kind}"):
        await journal.expect_whole_record("r1")
    assert time.monotonic() - began < 5
    assert any(f"{NEXT} is {kind}" in problem for problem in (await read_record(storage, "r1")).problems)
    assert precious_in(storage) == ("precious" if plant is link else "")


async def test_a_rollback_goes_on_where_the_next_entry_is_planted(
    storage: Path, planted: tuple[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It logs what is not in the record, the closing entry too, and reads what was written before."""
    kind, plant = planted
    await append("first")
    plant(storage / NEXT)
    with rolling_back():
        assert (await append("second")).what == "It is second"
        assert (await append("end", kind="closed")).what == "It is end"
        assert [entry.name for entry in await journal.read_entries("r1")] == ["first"]
        assert await journal.read_entry("r1", "note", name="first") is not None
    for what in ("second", "end"):
        assert any(re.search(rf"this is not in it: It is {what}\. .*{NEXT} is {kind}", line) for line in lines(caplog))


@pytest.mark.parametrize("place", ["records", "records/r1"])
async def test_a_folder_that_became_a_link_is_not_followed(storage: Path, caplog: pytest.LogCaptureFixture, place: str) -> None:
    """Neither to read nor to write, although all that was written is behind it."""
    await append("first")
    elsewhere = storage / "elsewhere"
    (storage / place).rename(elsewhere)
    (storage / place).symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    with pytest.raises(Tampered, match=rf"{place} is a symbolic link"):
        await append("second")
    with pytest.raises(Tampered, match=rf"{place} is a symbolic link"):
        await journal.read_entries("r1")
    with rolling_back():
        assert (await append("second")).what == "It is second"
        assert await journal.read_entries("r1") == []
        assert await journal.read_entry("r1", "note", name="first") is None
    assert any("this is not in it: It is second" in line for line in lines(caplog))
    assert sorted(elsewhere.rglob("*")) == before


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("fault", [StorageFault("it is away"), Temporary("other writers were first 100 times")])
async def test_a_rollback_goes_on_without_what_cannot_be_stored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Temporary
) -> None:
    """Only the closing entry waits for a storage that is away: the keeper closes the record later."""

    async def refused(*_: Any, **__: Any) -> Any:
        raise fault

    async def at_once(_: float) -> None:
        """Do not wait."""

    await append("first")
    monkeypatch.setattr(journal, "store_entry", refused)
    monkeypatch.setattr("tasks.record.journal.asyncio.sleep", at_once)
    with pytest.raises(Temporary, match=str(fault)):
        await append("second")
    with rolling_back():
        assert (await append("second")).what == "It is second"
        if isinstance(fault, StorageFault):
            with pytest.raises(StorageFault, match="away"):
                await append("end", kind="closed")
        else:
            assert (await append("end", kind="closed")).what == "It is end"
    assert any(line == f"not in the record: It is second. {fault}" for line in lines(caplog))


@pytest.fixture
def stranger() -> Iterator[Path]:
    """Give a folder in which this process works without the rights of root."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # which every user may pass
        Path(folder).chmod(0o777)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65_534)
        try:
            yield Path(folder)
        finally:
            if is_root:
                os.seteuid(0)


def test_what_may_not_be_read_or_written_is_said(stranger: Path) -> None:
    """It is not a fault that passes: others took the rights away."""
    assert create_file(stranger, "a/b", b"x")
    (stranger / "a" / "b").chmod(0)
    with pytest.raises(Tampered, match=r"a/b is a file that this process may not use \(----------\)"):
        read_file(stranger, "a/b")
    (stranger / "a").chmod(0o500)
    with pytest.raises(Tampered, match=r"a is a folder that this process may not use \(dr-x------\)"):
        create_file(stranger, "a/c", b"x")
    (stranger / "a").chmod(0o700)


def test_no_more_is_read_than_the_bounds_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A huge file costs no memory; of many that are too much together the first are read."""
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)
    with pytest.raises(Tampered, match=r"huge has more bytes than the 67,108,864"):
        read_file(tmp_path, "huge")
    monkeypatch.setattr(files, "MAX_FOLDER_BYTES", 10)
    for number in range(3):
        assert create_file(tmp_path, f"many/{number}", b"1234")
    found = read_folder(tmp_path, "many", named=re.compile(r"\d"))
    assert [content if isinstance(content, bytes) else "too much" for content in found.values()] == [b"1234", b"1234", "too much"]
    monkeypatch.setattr(files, "MAX_NAMES", 2)
    with pytest.raises(Tampered, match="more than 2 files"):
        read_folder(tmp_path, "many", named=re.compile(r"\d"))


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../a", "a/../../b"])
def test_no_path_leaves_the_storage(tmp_path: Path, path: str) -> None:
    """Whoever made it up."""
    with pytest.raises(Tampered, match="is not a place in the storage"):
        read_file(tmp_path, path)
    with pytest.raises(Tampered, match="is not a place in the storage"):
        replace_file(tmp_path, path, b"")


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    """What it points to stays; nothing else is left beside the new file."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "page").symlink_to(precious)
    replace_file(tmp_path, "a/page", b"new")
    assert (precious.read_text(), [path.name for path in (tmp_path / "a").iterdir()]) == ("precious", ["page"])
    assert read_file(tmp_path, "a/page") == b"new"


@pytest.mark.parametrize("kind", ["remote", "other"])
async def test_an_object_over_the_bound_is_refused_and_of_a_remote_one_no_more_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """In a storage block, as in a folder; a rollback goes by what is kept beside the key then."""
    monkeypatch.setattr(objects, "MAX_FILE_BYTES", 1_000)
    remote = RemoteFileSystem(basepath=f"memory://{tmp_path.name}")
    await remote.write_path("whole", b"x" * 1_000)  # type: ignore[misc]
    await remote.write_path("long", b"x" * 50_000_000)  # type: ignore[misc]

    class Other:
        async def read_path(self, path: str) -> bytes:
            return bytes(await remote.read_path(path))  # type: ignore[misc]

    storage = objects.BlockObjects(remote if kind == "remote" else Other())
    assert await storage.read("whole") == b"x" * 1_000
    tracemalloc.start()
    try:
        with pytest.raises(Tampered, match=r"long in the storage .* is over"):
            await storage.read("long")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kind == "other" or peak < 5_000_000
    with pytest.raises(Tampered):
        await storage.create("long", b"x")
