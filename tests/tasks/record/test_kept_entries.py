"""What lies beside the key of an open run: that it is open, and the entries that a rollback goes by."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from blocks.errors import BadInput, Tampered
from blocks.key_folder import kept_files
from tasks.lifecycle.kept_runs import forget_open, open_runs
from tasks.record import journal, store
from tasks.record.kept_entries import kept_entries
from tasks.record.objects import StorageFault
from tasks.record.without_key import rolling_back

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the storage of records."""

    async def here() -> Path:
        return tmp_path

    monkeypatch.setattr(journal, "default_storage", here)
    return tmp_path


@pytest.mark.usefixtures("storage")
async def test_a_run_is_open_from_its_first_entry_until_it_has_come_to_its_end() -> None:
    """Tags say it too, and can be taken away; a process may die between the end of its record and that of its leases and locks."""
    await journal.append_entry("r1", "A note", kind="note")
    assert await open_runs() == [], "a phase that runs alone has a record, and nothing to close"
    for run in ("r1", "r2"):
        await journal.append_entry(run, "Asked", kind="opened")
    assert await open_runs() == ["r1", "r2"]
    await journal.append_entry("r1", "Done", kind="closed", evidence={"outcome": "deployed"})
    assert await open_runs() == ["r1", "r2"]
    await forget_open("r1")
    assert await open_runs() == ["r2"]


async def test_a_rollback_finds_what_was_decided_although_the_record_is_gone(storage: Path) -> None:
    """What goes forward is refused instead; what is written again is what was written first."""
    await journal.append_entry("r1", "Asked", kind="opened", who="rita", evidence={"version": "1"})
    await journal.append_entry("r1", "Chosen", kind="rollback", environment="production", name="choice", evidence={"choice": 1})
    shutil.rmtree(storage / "records")
    store._tails.clear()
    with pytest.raises(Tampered):
        await journal.read_entry("r1", "opened")
    with rolling_back():
        chosen = await journal.read_entry("r1", "rollback", environment="production", name="choice")
        assert chosen is not None
        assert chosen.evidence == {"choice": 1}
        assert [entry.what for entry in await journal.read_entries("r1")] == ["Asked", "Chosen"]
        again = await journal.append_entry("r1", "Asked", kind="opened", who="eve", evidence={"version": "2"})
        assert (again.who, again.evidence) == ("rita", {"version": "1"})


async def test_what_the_storage_never_took_is_kept(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback goes on without the storage; begun anew, it finds its choice, and the storage gets it then."""

    async def full(*_: object, **__: object) -> None:
        raise StorageFault("no space is left")

    async def at_once(_: float) -> None:
        """Do not wait."""

    with rolling_back():
        with monkeypatch.context() as patch:
            patch.setattr(journal, "store_entry", full)
            patch.setattr("tasks.record.journal.asyncio.sleep", at_once)
            await journal.append_entry("r1", "Chosen", kind="rollback", name="choice", evidence={"choice": 1})
        assert not (storage / "records").exists()
        assert [entry.evidence for entry in await kept_entries("r1")] == [{"choice": 1}]
        again = await journal.append_entry("r1", "Chosen anew", kind="rollback", name="choice", evidence={"choice": 2})
    assert again.evidence == {"choice": 1}
    assert [entry.evidence for entry in await journal.read_entries("r1")] == [{"choice": 1}]


@pytest.mark.usefixtures("storage")
async def test_to_read_one_run_lists_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback reads its entries some hundred times, and after years there are many runs."""
    for run in ("r1", "r2"):
        await journal.append_entry(run, "Asked", kind="opened", evidence={"version": run})
    listed: list[str] = []

    def names(folder: str, **how: str) -> list[str]:
        listed.extend(found := kept_files.kept_names(folder, **how))
        return found

    monkeypatch.setattr("tasks.record.kept_entries.kept_names", names)
    assert [entry.evidence["version"] for entry in await kept_entries("r1")] == ["r1"]
    assert len(listed) == 1
    folder = kept_files.kept_path("entries/r1", listed[0]).parent
    assert (folder.name, folder.stat().st_mode & 0o777) == ("r1", 0o700)
    for other in ("../entries/r1", "", ".", "a/b"):
        with pytest.raises(BadInput):
            await kept_entries(other)
