"""Sealed results: whoever writes the storage can destroy what a run remembers, but not choose it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prefect import flow, get_client, results, task
from prefect.client.schemas.objects import State
from prefect.filesystems import LocalFileSystem, RemoteFileSystem
from prefect.results import ResultRecordMetadata, ResultStore, aget_default_result_storage
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.states import Completed

from blocks.errors import Refused, Tampered
from blocks.key_folder.key_file import create_key
from blocks.key_folder.seal import Seal
from tasks.lifecycle.retries import ONCE
from tasks.record.sealing import SealedStorage

SEAL = Seal(b"k" * 32)
PROJECT = Path(__file__).parents[3]
done: list[str] = []


@task(name="act", **ONCE)
async def act(value: str, *, key: str) -> str:  # noqa: ARG001
    """Do something once."""
    done.append(value)
    return value


@flow(persist_result=True, result_serializer="json")
async def acting(value: str, key: str) -> str:
    """Do it in a flow."""
    return await act(value, key=key)


@pytest.fixture
def folder(tmp_path: Path, server: Any) -> Iterator[Path]:  # noqa: ARG001
    """Give the folder of results."""
    done.clear()
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path}):
        yield tmp_path


def texts_in(folder: Path) -> list[str]:
    """Read all files below a folder."""
    return [path.read_text() for path in folder.rglob("*") if path.is_file()]


@given(content=st.binary(max_size=200), path=st.text(max_size=20))
def test_what_was_sealed_is_read_back(content: bytes, path: str) -> None:
    """Whatever the content and the path."""
    assert SEAL.open(path, SEAL.close(path, content)) == content


@given(data=st.data(), content=st.binary(max_size=200))
def test_any_changed_byte_is_noticed(data: st.DataObject, content: bytes) -> None:
    """Also in the seal itself; and any cut."""
    stored = bytearray(SEAL.close("a/b", content))
    place = data.draw(st.integers(0, len(stored) - 1))
    cut = bytes(stored[:place])
    stored[place] ^= data.draw(st.integers(1, 255))
    for changed in (bytes(stored), cut, bytes(stored) + b"\n"):
        with pytest.raises(Tampered, match="a/b"):
            SEAL.open("a/b", changed)


def test_a_sealed_object_cannot_take_anothers_place() -> None:
    """The path is sealed with the content, and where one ends and the other begins cannot be shifted."""
    for path, content in (("a/c", b"yes"), ("a/b1", b"es"), ("a/", b"byes")):
        with pytest.raises(Tampered, match="copied there from another place"):
            SEAL.open(path, b"%s\n%s" % (content, SEAL.close("a/b", b"yes").partition(b"\n")[2]))


def test_another_installations_key_is_named() -> None:
    """The message says that it is the key, and what to do."""
    with pytest.raises(Tampered, match="copy the right key here"):
        Seal(b"x" * 32).open("a/b", SEAL.close("a/b", b"yes"))


@pytest.mark.parametrize("module", sorted({one["entrypoint"].rpartition(".")[0] for one in yaml.safe_load(
    (PROJECT / "prefect.yaml").read_text())["deployments"]}))  # fmt: skip
def test_every_deployed_flow_runs_sealed(module: str) -> None:
    """Whichever entry point a process begins with, its results are sealed."""
    importlib.import_module(module)
    assert ResultStore._aexists.__module__ == "tasks.record.sealing"
    names = {name for name, one in vars(sys.modules[module]).items() if hasattr(one, "result_storage") and one.result_storage}
    assert not names, f"{names} choose a storage of their own"


@pytest.mark.server
async def test_results_are_sealed_and_stay_readable(folder: Path) -> None:
    """A task's and a flow's: JSON in the first line for people, the seal in the last; and again gives the first result."""
    key = str(uuid4())
    assert await acting("first", key) == "first"
    assert await acting("second", key) == "first"
    assert done == ["first"]
    stored = texts_in(folder)
    assert len(stored) == 3, stored
    for text in stored:
        content, seal = text.rstrip("\n").rsplit("\n", 1)
        assert json.loads(content), text
        assert set(json.loads(seal)) == {"key", "seal"}


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("change", ["edited", "unsealed", "another's", "empty"])
async def test_a_changed_result_fails_the_task_and_is_not_made_anew(folder: Path, change: str) -> None:
    """Prefect alone would take it for none, and do the task again; the state's message names the file."""
    keys = [str(uuid4()), str(uuid4())]
    for key in keys:
        await acting("deny", key)
    done.clear()
    path, other = (folder / "shipway" / key for key in keys)
    before = path.read_bytes()
    changed = {
        "edited": before.replace(b"deny", b"pass"),
        "unsealed": before.splitlines()[0].replace(b"deny", b"pass"),
        "another's": other.read_bytes(),
        "empty": b"",
    }[change]
    path.write_bytes(changed)
    state: State[Any] = await acting("deny", keys[0], return_state=True)
    assert state.is_failed()
    assert f"shipway/{keys[0]}" in str(state.message)
    assert (done, path.read_bytes()) == ([], changed)


@pytest.mark.server
async def test_a_state_cannot_point_at_a_result_elsewhere(folder: Path) -> None:
    """A run's state lies on the server: another block or an absolute path in it is not read, let alone unpickled."""
    (folder / "forged").write_text("anything")
    for place in ({"storage_key": str(folder / "forged")}, {"storage_key": "forged", "storage_block_id": uuid4()}):
        state: Any = Completed(data=ResultRecordMetadata.model_validate({"serializer": {"type": "pickle"}, **place}))
        with pytest.raises(Tampered, match="another storage"):
            await state.aresult(retry_result_failure=False)


@pytest.mark.server
async def test_a_state_cannot_point_at_another_runs_result(folder: Path) -> None:  # noqa: ARG001
    """Both are sealed, and still the result of one release is none of another."""
    from prefect import get_client  # noqa: PLC0415

    found: list[State[Any]] = [await acting("yes", str(uuid4()), return_state=True) for _ in range(2)]
    async with get_client() as client:
        mine, other = [(await client.read_flow_run(one.state_details.flow_run_id)).state for one in found if one.state_details.flow_run_id]
    assert mine is not None
    assert other is not None
    assert await mine.aresult() == "yes"
    mine.data = other.data
    with pytest.raises(Tampered, match="not of that run"):
        await mine.aresult()


@pytest.mark.parametrize("storage", ["folder", "block"])
async def test_any_storage_is_sealed(tmp_path: Path, storage: str) -> None:
    """A folder or a block of another kind: each is wrapped, once."""
    inner: Any = LocalFileSystem(basepath=tmp_path) if storage == "folder" else RemoteFileSystem(basepath=f"memory://{tmp_path.name}")
    sealed = SealedStorage.around(inner)
    assert SealedStorage.around(sealed) is sealed
    await sealed.write_path("a/b", b"yes")
    assert await sealed.read_path("a/b") == b"yes"
    await sealed.objects.replace("a/b", b"no")
    with pytest.raises(Tampered, match="a/b"):
        await sealed.read_path("a/b")
    with pytest.raises(FileNotFoundError):
        await sealed.read_path("a/c")


async def test_without_its_key_a_machine_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused with the fix, and writes nothing under a key of its own, which would make the others' objects look changed."""
    sealed = SealedStorage.around(LocalFileSystem(basepath=tmp_path / "storage"))
    await sealed.write_path("a", b"yes")
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    with pytest.raises(Refused, match="no approval key"):
        await sealed.read_path("a")
    with pytest.raises(Refused, match="copy the key folder of the machine that has it"):
        await sealed.write_path("b", b"yes")
    assert not (tmp_path / "keys").exists()
    create_key(tmp_path / "keys" / "approvals.key")
    with pytest.raises(Tampered, match="copy the right key here"):
        await sealed.read_path("a")


@pytest.mark.server
async def test_the_default_storage_is_sealed(folder: Path) -> None:
    """Prefect's own way to ask for it gives ours."""
    found = await aget_default_result_storage()
    assert isinstance(found, SealedStorage)
    assert found.objects.name == str(folder)


@pytest.mark.server
async def test_the_servers_own_default_storage_never_counts(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever has the API's password can set it; a storage is code and addresses, so it could stop, divert or run anything."""
    other = tmp_path_factory.mktemp("other")
    block = LocalFileSystem(basepath=str(other))
    document = await block.asave(f"other-{uuid4().hex[:8]}")
    async with get_client() as client:
        await client.update_server_default_result_storage(document)
        try:
            assert await results._aread_server_default_result_storage_block_id() is None
            assert results._read_server_default_result_storage_block_id() is None
            assert (await aget_default_result_storage()).objects.name == str(folder)  # type: ignore[attr-defined]
        finally:
            await client.clear_server_default_result_storage()
    assert list(other.iterdir()) == []


@pytest.mark.parametrize(
    "address", ["filecache://http://a/x", "simplecache::s3://a/x", "file:///etc", "local:///etc", "http://a/x", "s3://a::file://b"]
)
def test_a_remote_storage_that_is_none_is_refused(address: str) -> None:
    """The library that reads it knows caches that write files of this machine under names that others choose."""
    with pytest.raises(Refused, match="are taken; look at the block"):
        SealedStorage.around(RemoteFileSystem.model_construct(basepath=address))  # Prefect itself refuses some
