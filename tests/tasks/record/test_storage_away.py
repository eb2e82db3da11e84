"""A storage that does not answer, or one object that cannot be read, stops no rollback; what goes forward waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Temporary
from tasks.record import deployed, journal, patience
from tasks.record.deployed import find_deployed
from tasks.record.journal import append_entry, closing_entry, read_entries, read_entry
from tasks.record.kept_index import keep_run
from tasks.record.objects import BlockObjects, Folder, StorageFault
from tasks.record.patience import Budgets, Patient
from tasks.record.sealing import SealedStorage
from tasks.record.without_key import rolling_back
from tasks.rollout import migrate
from tasks.rules.rollout.migrations import Here

RESULT = "shipway/r1/1/rollback/production/1.0/prepare"
CONTRACT = {"migration": "drop", "compatibility": "contract", "version": "1.1", "state": "applied"}


class Bucket:
    """A filesystem block over a bucket in memory, which can be away, hang, or not give one object."""

    def __init__(self) -> None:
        """Begin empty, and well."""
        self.objects: dict[str, bytes] = {}
        self.unreadable: set[str] = set()
        self.fault = ""
        self.asked = 0
        self.basepath = "s3://records"

    async def _answer(self, path: str) -> None:
        self.asked += 1
        if self.fault == "hangs":
            await asyncio.Event().wait()
        if self.fault == "away" or path in self.unreadable:
            raise ConnectionError

    async def read_path(self, path: str) -> bytes:
        """Read an object."""
        await self._answer(path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    async def write_path(self, path: str, content: bytes) -> None:
        """Write an object."""
        await self._answer(path)
        self.objects[path] = content


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, offline: Any) -> Bucket:  # noqa: ARG001
    """Give the bucket in which records and results are; patience ends after a fifth of a second."""
    made = Bucket()
    objects = BlockObjects(made)

    async def here() -> BlockObjects:
        return objects

    for module in (journal, deployed):
        monkeypatch.setattr(module, "default_storage", here)
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(patience, "_budgets", Budgets())
    journal._said_unread.clear()
    return made


async def written(*, closed: bool = False) -> None:
    """Write the record of a release that began a contract and was half-way, or came to its end."""
    await append_entry("r1", "Asked", kind="opened", evidence={"flow": "release", "version": "1.1"})
    await append_entry("r1", "It is up", kind="effect", environment="production", name="prepare")
    await append_entry("r1", "Applied", kind="migration", environment="production", name="drop applied", evidence=CONTRACT)
    await keep_run("contracts", "shop", run="r1")
    if closed:
        await append_entry("r1", "Done", kind="closed", evidence={"outcome": "deployed"})


async def done() -> Any:
    """Ask whether an environment was rolled back already."""
    return await read_entry("r1", "rollback", environment="production", name="done")


@pytest.mark.parametrize("fault", ["away", "hangs"])
async def test_a_rollback_reads_what_is_kept_if_the_storage_does_not_answer(
    bucket: Bucket, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """What is not kept counts as not known: by what runs it is decided all the same."""
    await written()
    bucket.fault = fault
    began = time.monotonic()
    with rolling_back():
        assert await closing_entry("r1") is None
        opened = await read_entry("r1", "opened")
        assert opened is not None
        assert opened.evidence["version"] == "1.1"
        assert [entry.kind for entry in await read_entries("r1")] == ["opened", "migration"]
        assert await read_entry("r1", "effect", environment="production", name="prepare") is None
        assert await done() is None
        (contract,), _ = await migrate.find_contracts.fn("shop")
        assert (contract.name, contract.environment, contract.version) == ("drop", "production", "1.1")
        assert await find_deployed("shop", version="1.0", here=Here("production", "kubernetes/shop")) is None
        chosen = await append_entry("r1", "Choice", kind="rollback", environment="production", name="choice", evidence={"kind": "abort"})
        again = await read_entry("r1", "rollback", environment="production", name="choice")
    assert again is not None
    assert again.evidence == chosen.evidence == {"kind": "abort"}
    assert time.monotonic() - began < 2
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if line.startswith("THE RECORD of r1 COULD NOT BE READ")]) == 1
    assert any(line.startswith("not in the record: Choice") for line in said)


@pytest.mark.parametrize("fault", ["away", "hangs"])
async def test_a_rollback_goes_on_without_results_that_the_storage_does_not_give(bucket: Bucket, fault: str) -> None:
    """What it did is done once more, which changes nothing."""
    sealed = SealedStorage()
    sealed._objects = BlockObjects(bucket)
    await sealed.write_path(RESULT, b"1")
    bucket.fault = fault
    with rolling_back():
        assert await sealed.find(RESULT) is None
        with pytest.raises(FileNotFoundError):
            await sealed.read_path(RESULT)
        await sealed.write_path(RESULT, b"2")
    if fault == "away":
        with pytest.raises(StorageFault):
            await sealed.find(RESULT)


@pytest.mark.parametrize(
    "read",
    [
        lambda: read_entry("r1", "opened"),
        lambda: read_entries("r1"),
        lambda: find_deployed("shop", version="1.0", here=Here("production", "kubernetes/shop")),
        lambda: append_entry("r1", "Next", kind="note", name="next"),
    ],
    ids=["an entry", "the record", "a deployment", "a write"],
)
async def test_what_goes_forward_is_refused_by_a_storage_that_is_away(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, read: Callable[[], Awaitable[Any]]
) -> None:
    """It must not take what it cannot read for what was never written."""

    async def at_once(_: float) -> None:
        """Do not wait."""

    await written()
    await keep_run("deployed", "shop", run="r1", version="1.0", place="production block kubernetes/shop")
    bucket.fault = "away"
    monkeypatch.setattr("tasks.record.journal.asyncio.sleep", at_once)
    with pytest.raises(StorageFault):
        await read()


async def test_one_object_that_cannot_be_read_hides_no_other(bucket: Bucket) -> None:
    """As one that others archived, or put under a key of their own, where the next entry belongs, or over one that was written."""
    await written()
    bucket.unreadable |= {"records/r1/00002.json", "records/r1/00004.json"}
    with rolling_back():
        assert [entry.kind for entry in await read_entries("r1")] == ["opened", "migration"]
        assert await done() is None
        assert (await append_entry("r1", "Choice", kind="rollback", environment="production", name="choice")).what == "Choice"
    bucket.unreadable = {"records/r1/00004.json"}
    with rolling_back():
        assert await read_entry("r1", "effect", environment="production", name="prepare") is not None


async def test_a_file_that_cannot_be_read_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> None:
    """As of a mount with a bad block: the folder cannot be read in one go then."""
    folder = Folder(tmp_path)

    async def here() -> Folder:
        return folder

    async def bad_block(*_: Any, **__: Any) -> Any:
        raise StorageFault("input/output error")

    monkeypatch.setattr(journal, "default_storage", here)
    await written()
    monkeypatch.setattr(folder, "contents", bad_block)
    with rolling_back():
        assert [entry.kind for entry in await read_entries("r1")] == ["opened", "effect", "migration"]
    assert bucket.asked == 0


@pytest.mark.parametrize("fault", ["away", "hangs"])
async def test_a_closed_record_that_cannot_be_read_is_not_open(bucket: Bucket, fault: str) -> None:
    """Its head says that it is closed: what was deployed must not be rolled back because the storage is away."""
    await written(closed=True)
    bucket.fault = fault
    with pytest.raises(Temporary):
        await closing_entry("r1")
    bucket.fault = ""
    patience.forget_waits()
    assert await closing_entry("r1") is not None


@pytest.mark.parametrize("fault", ["away", "hangs"])
async def test_only_the_entry_that_closes_a_record_waits_for_the_storage(bucket: Bucket, fault: str) -> None:
    """And it is asked again each time, although it counted as away: then the keeper can close the record at once."""
    await written()
    bucket.fault = fault
    with rolling_back():
        await append_entry("r1", "Over", kind="rollback", environment="production", name="done")
        with pytest.raises(StorageFault):
            await append_entry("r1", "End", kind="closed")
        bucket.fault = ""
        await append_entry("r1", "End", kind="closed")
    patience.forget_waits()
    assert await closing_entry("r1") is not None


async def test_a_storage_that_hangs_is_waited_for_once_and_asked_again_after_a_while(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not once for each of the many things that a rollback reads; each call after that fails at once."""
    storage = Patient(BlockObjects(bucket), Budgets())
    bucket.fault = "hangs"
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(StorageFault):
            await storage.read("a")
        with pytest.raises(StorageFault):
            await storage.replace("a", b"")
    assert time.monotonic() - began < 10  # a wait for each would take forty seconds
    assert bucket.asked == 1
    assert len([record for record in caplog.records if "counts as away for 60 s" in record.getMessage()]) == 1
    bucket.fault = ""
    later = time.monotonic() + patience.AWAY_SECONDS + 1
    monkeypatch.setattr("tasks.record.patience.time.monotonic", lambda: later)
    await storage.replace("a", b"1")
    assert await storage.read("a") == b"1"


async def test_what_cannot_be_written_keeps_nothing_from_being_read(bucket: Bucket) -> None:
    """An object that cannot be read where the next entry belongs costs the writes their patience, and no read."""
    storage = Patient(BlockObjects(bucket), Budgets())
    await storage.replace("a", b"1")
    assert storage.may_wait(0.1)
    assert not storage.may_wait(0.1)
    storage.budgets.writes.spend(0.1)
    with pytest.raises(StorageFault, match="counts as away"):
        await storage.replace("a", b"2")
    assert await storage.read("a") == b"1"
