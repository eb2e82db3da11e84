"""Contract migrations are known by what lies beside the key: no tag of a run takes one away, and none makes one up."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import TypeAdapter

from blocks.key_folder.heads import KeyFolderFault
from blocks.key_folder.kept_files import kept_names, kept_path
from tasks.record import journal, kept_index
from tasks.record.kept_index import keep_run, kept_runs_of
from tasks.record.without_key import rolling_back
from tasks.rollout import migrate
from tasks.rules.plan.request import Restored

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give the storage of records."""

    async def here() -> Path:
        return tmp_path

    monkeypatch.setattr(journal, "default_storage", here)
    return tmp_path


class Server:
    """A server that answers every filter with runs that anyone with its password made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, runs: int) -> None:
        """Stand in for the server."""
        self.runs, self.asked = [types.SimpleNamespace(id=uuid4()) for _ in range(runs)], 0
        monkeypatch.setattr(migrate, "get_client", self.client)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Server]:
        """Give the client."""
        yield self

    async def read_flow_runs(self, *, flow_run_filter: Any, limit: int) -> list[Any]:  # noqa: ARG002 - as the client names them
        """Answer with what was made up, as many as were asked for."""
        self.asked += 1
        return self.runs[:limit]


async def begun(run: str) -> None:
    """Write the record of a release of 1.1 that began a contract."""
    evidence = {"migration": "drop-city", "compatibility": "contract", "version": "1.1", "state": "applied"}
    await journal.append_entry(run, "Asked", kind="opened", evidence={"version": "1.1"})
    await journal.append_entry(run, "Begun", kind="migration", environment="production", name="drop-city begun", evidence=evidence)


@pytest.mark.usefixtures("storage")
async def test_a_contract_is_found_although_its_run_lost_its_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or was deleted: a version that cannot work with the database must not be started again."""
    Server(monkeypatch, runs=0)
    await begun("r1")
    assert await migrate.find_contracts.fn("shop") == ([], set())
    await migrate.note_contract.fn("r1", service="shop")
    contracts, _ = await migrate.find_contracts.fn("shop")
    assert [(one.name, one.environment, one.run) for one in contracts] == [("drop-city", "production", "r1")]
    assert await migrate.find_contracts.fn("another") == ([], set())
    assert await migrate.last_deployed.fn("shop", version="1.1") is None
    await journal.append_entry("r1", "Done", kind="closed", evidence={"outcome": "deployed"})
    await keep_run("deployed", "shop", run="r1", version="1.1")
    with rolling_back():
        assert await migrate.last_deployed.fn("shop", version="1.1") is not None


@pytest.mark.usefixtures("storage")
async def test_runs_that_only_tags_name_have_no_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand of them stop no rollback, and hold none up."""
    server = Server(monkeypatch, runs=10_000)
    with rolling_back():
        assert await migrate.find_contracts.fn("shop") == ([], set())
        assert await migrate.last_deployed.fn("shop", version="1.1") is None
    assert server.asked <= 1


@pytest.mark.usefixtures("storage")
async def test_a_kept_run_whose_record_and_file_cannot_be_read_may_have_begun_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a change of the key: its name says enough, since only the worker writes there."""
    Server(monkeypatch, runs=0)
    await keep_run("contracts", "shop", run="r1")
    (name,) = kept_names("contracts")
    kept_path("contracts", name).write_bytes(b"of another key")
    assert await kept_runs_of("contracts", "shop") == ["r1"]
    (found,), _ = await migrate.find_contracts.fn("shop")
    assert (found.name, found.environment, found.at) == ("r1", "", None)


async def test_a_contract_that_cannot_be_kept_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later rollbacks would cross it; a rollback itself goes on without."""

    async def full(*_: Any, **__: Any) -> None:
        raise KeyFolderFault("no space left on device")

    monkeypatch.setattr(kept_index, "write", full)
    with pytest.raises(KeyFolderFault):
        await migrate.note_contract.fn("r1", service="shop")
    with rolling_back():
        await migrate.note_contract.fn("r1", service="shop")


def test_as_many_contracts_can_be_named_as_restored_as_there_may_be() -> None:
    """The ways out of a refusal must not end at a bound that a service reaches."""
    assert len(TypeAdapter(Restored).validate_python([f"m-{number}" for number in range(500)])) == 500
