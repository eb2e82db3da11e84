"""The storage of results and records is as it was when it was first used; without any, only what rolls back goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import flow, get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.filesystems import LocalFileSystem, RemoteFileSystem
from prefect.results import aget_default_result_storage
from prefect.settings import PREFECT_DEFAULT_RESULT_STORAGE_BLOCK, temporary_settings

from blocks.errors import Refused
from blocks.key_folder.kept_files import kept_names, kept_path, remove_kept
from blocks.server import doctor
from blocks.server.result_block import FOLDER, SETTINGS
from tasks.record import journal, kept_storage, sealing, storage
from tasks.record.deployed import find_deployed
from tasks.record.journal import append_entry, closing_entry, read_entries, read_entry
from tasks.record.kept_index import keep_run
from tasks.record.kept_storage import KeptBlock
from tasks.record.objects import NoStorage, StorageFault
from tasks.record.open_runs import _read
from tasks.record.sealing import SealedStorage
from tasks.record.without_key import rolling_back
from tasks.rules.rollout.migrations import Here

pytestmark = pytest.mark.server


class Named:
    """A block that the worker's setting names, as a new process finds it each time."""

    def __init__(self, name: str, document: UUID, folder: Path) -> None:
        """Name it."""
        self.name, self.document, self.folder = name, document, folder

    async def found(self) -> Any:
        """Give the storage, as Prefect gives it to a new process."""
        sealing._blocks.clear()
        storage._known.clear()
        given = await aget_default_result_storage()
        assert isinstance(given, SealedStorage)
        return given.objects

    async def delete(self) -> None:
        """Take it away, as whoever has the API's password can."""
        async with get_client() as client:
            await client.delete_block_document(self.document)


@pytest.fixture
async def block(server: Any, tmp_path: Path) -> AsyncIterator[Named]:  # noqa: ARG001
    """Let a worker keep its results in a block."""
    name = f"results-{uuid4().hex[:8]}"
    document = await LocalFileSystem(basepath=str(tmp_path)).asave(name)
    with temporary_settings({PREFECT_DEFAULT_RESULT_STORAGE_BLOCK: f"local-file-system/{name}"}):
        yield Named(f"local-file-system/{name}", document, tmp_path)
    remove_kept(FOLDER, f"local-file-system/{name}")
    sealing._blocks.clear()
    storage._known.clear()


async def test_it_stays_where_it_was_when_it_was_first_used(block: Named, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Others can lead the block elsewhere, where every record is missing, or delete it."""
    other = tmp_path_factory.mktemp("other")
    assert (await block.found()).name == str(block.folder)
    async with get_client() as client:
        await client.update_block_document(block.document, BlockDocumentUpdate(data={"basepath": str(other)}))
    assert (await block.found()).name == str(block.folder)
    await block.delete()
    assert (await block.found()).name == str(block.folder)
    await append_entry("kept-1", "A note", kind="note")
    assert (block.folder / "records" / "kept-1").is_dir()
    assert list(other.iterdir()) == []


async def test_a_machine_without_the_key_goes_by_the_block_as_it_is(block: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It checks no seals, and keeps nothing."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    assert (await block.found()).name == str(block.folder)
    assert not (tmp_path / "keys").exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["deleted", "broken file"])
async def test_what_cannot_be_loaded_stops_what_goes_forward_and_no_rollback(block: Named, how: str) -> None:
    """It says which block, and what to do."""
    if how == "deleted":
        await block.delete()
    else:
        await block.found()
        kept_path(FOLDER, block.name).write_bytes(b"else")
        kept_path(FOLDER, block.name).with_suffix(".address").write_bytes(b"elsewhere")
    assert isinstance(await block.found(), NoStorage)
    run = str(uuid4())
    with pytest.raises(Refused, match=f"block {block.name} that .* cannot be used: .*Correct the block"):
        await append_entry(run, "Asked", kind="opened", evidence={"version": "1"})
    with rolling_back():
        assert await closing_entry(run) is None
        await append_entry(run, "Asked", kind="opened", evidence={"version": "2"})
        await append_entry(run, "Chosen", kind="rollback", name="choice", evidence={"choice": 1})
        opened = await read_entry(run, "opened")
        assert opened is not None
        assert opened.evidence == {"version": "2"}
        assert [entry.what for entry in await read_entries(run)] == ["Asked", "Chosen"]
        await append_entry(run, "Done", kind="closed", evidence={"outcome": "failed"})
    await keep_run("deployed", "shop", run=run, version="1", place="production block local/shop")
    assert await find_deployed("shop", version="1", here=Here("production", "local/shop")) is None
    assert await _read(run) is None, "by which the keeper wakes nothing that is kept as waiting"


@pytest.mark.parametrize("error", [TypeError, RecursionError, KeyError, ImportError])
async def test_whatever_others_wrote_into_its_block_the_storage_s_own_fault_counts(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback passes over a storage that does not answer, and over nothing else."""

    def fails(_: Any) -> Any:
        raise error

    async def refused(*_: Any) -> None:
        message = "refused"
        raise StorageFault(message)

    monkeypatch.setattr(kept_storage, "_ask", lambda _: {"data": {"secret": 2}})
    monkeypatch.setattr(kept_storage, "address_of", lambda _: "one")
    monkeypatch.setattr(kept_storage, "_load", fails)
    with pytest.raises(StorageFault, match="do not serve either"):
        await KeptBlock(None, "s3-bucket/results", {"data": {"secret": 1}})._or_renewed(refused)


@flow(name="rollback", persist_result=True, result_serializer="json")
async def rolled_back() -> str:
    """Roll back."""
    with rolling_back():
        await append_entry(str(uuid4()), "Chosen", kind="rollback", name="choice")
    return "done"


async def test_a_rollback_ends_as_it_did_without_a_storage_for_its_result(block: Named) -> None:
    """Prefect asks for the storage before the first line of every flow."""
    await block.delete()
    await block.found()
    assert await rolled_back() == "done"


async def test_a_type_that_writes_files_of_this_machine_is_not_kept(block: Named, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is what is not a filesystem."""
    before = kept_names(FOLDER)

    def refuse(_: object) -> None:
        raise Refused("of a kind that is not taken")

    with monkeypatch.context() as patch:
        patch.setattr("tasks.record.kept_storage.objects_of", refuse)
        assert isinstance(await block.found(), NoStorage)
    assert kept_names(FOLDER) == before
    memory = f"memory-{uuid4().hex[:8]}"
    await RemoteFileSystem(basepath="memory://x").asave(memory)
    with temporary_settings({PREFECT_DEFAULT_RESULT_STORAGE_BLOCK: f"remote-file-system/{memory}"}):
        assert isinstance(await block.found(), NoStorage)
    assert not isinstance(await block.found(), NoStorage)
    assert journal.default_storage is storage.default_storage


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "level", "says"),
    [
        ("well", "ok", "local-file-system/"),
        ("deleted", "fail", "was deleted; runs go by"),
        ("changed", "fail", "is not as it was when it was first used; runs go by"),
        ("of another key", "fail", "the next run keeps the block anew, if it leads to the same place"),
        ("unreadable", "fail", "nothing goes forward by"),
        ("never there", "fail", "does not exist, so nothing goes forward"),
    ],
)
async def test_the_doctor_says_what_became_of_the_block(
    block: Named, server: Any, monkeypatch: pytest.MonkeyPatch, how: str, level: str, says: str
) -> None:
    """Runs go on by what is kept, so it is not noticed otherwise."""
    await block.found()
    if how == "changed":
        async with get_client() as client:
            await client.update_block_document(block.document, BlockDocumentUpdate(data={"basepath": "/elsewhere"}))
    if how == "deleted":
        await block.delete()
    if how == "of another key":
        kept_path(FOLDER, block.name).write_bytes(b"else")
    if how == "unreadable":
        kept_path(FOLDER, block.name).chmod(0o666)
    if how == "never there":
        monkeypatch.setenv(SETTINGS[0], "local-file-system/none")
    finding = await asyncio.to_thread(doctor._result_block, server.home)
    assert finding.level == level, finding
    assert says in finding.text
