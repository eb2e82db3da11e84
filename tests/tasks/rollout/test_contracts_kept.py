"""Contract migrations are known by what lies beside the key: no tag of a run takes one away, and none makes one up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from blocks.key_folder.heads import KeyFolderFault
from blocks.key_folder.kept_files import kept_names, kept_path
from tasks.record import deployed as records
from tasks.record import journal, kept_index
from tasks.record.deployed import keep_deployed
from tasks.record.kept_index import keep_run, kept_runs_of
from tasks.record.without_key import rolling_back
from tasks.rollout import migrate
from tasks.rules.plan.request import Restored
from tasks.rules.record.entries import Entry, moment
from tasks.rules.rollout.migrations import Here, crossed

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give the storage of records."""

    async def here() -> Path:
        return tmp_path

    monkeypatch.setattr(journal, "default_storage", here)
    monkeypatch.setattr(records, "default_storage", here)
    return tmp_path


HERE = Here("production", "kubernetes/shop", "kubernetes u-1")


async def begun(run: str) -> None:
    """Write the record of a release of 1.1 that began a contract."""
    evidence = {"migration": "drop-city", "compatibility": "contract", "version": "1.1", "state": "applied"}
    await journal.append_entry(run, "Asked", kind="opened", evidence={"version": "1.1"})
    await journal.append_entry(run, "Begun", kind="migration", environment="production", name="drop-city begun", evidence=evidence)


async def deployed(run: str, flow: str, version: str, where: Here) -> Entry:
    """Write the record of a run that deployed a version, as it is kept at its end; gives its first entry."""
    place = {"service": "shop", "block": where.block, "identity": where.identity}
    opened = await journal.append_entry(run, "Asked", kind="opened", evidence={"flow": flow, "version": version})
    await journal.append_entry(run, "It is up", kind="effect", environment=where.environment, name="promote", evidence=place)
    await keep_deployed(run, await journal.read_entries(run), service="shop", version=version)
    await journal.append_entry(run, "Done", kind="closed", evidence={"outcome": "deployed"})
    return opened


@pytest.mark.usefixtures("storage")
async def test_a_contract_is_found_by_what_is_kept() -> None:
    """No tag of its run counts: a version that cannot work with the database must not be started again."""
    await begun("r1")
    assert await migrate.find_contracts.fn("shop") == ([], set())
    await migrate.note_contract.fn("r1", service="shop")
    contracts, _ = await migrate.find_contracts.fn("shop")
    assert [(one.name, one.environment, one.run) for one in contracts] == [("drop-city", "production", "r1")]
    assert await migrate.find_contracts.fn("another") == ([], set())


@pytest.mark.usefixtures("storage")
async def test_only_a_release_here_makes_a_version_newer_than_a_contract() -> None:
    """Staging alone with the older version, to reproduce a bug, does not let a rollback of production cross the contract."""
    before = await deployed("r0", "release", "1.0", HERE)
    await begun("r1")
    await migrate.note_contract.fn("r1", service="shop")
    contracts, _ = await migrate.find_contracts.fn("shop")
    await deployed("s1", "staging", "1.0", HERE._replace(environment="staging"))
    await deployed("s2", "release", "1.0", Here("production", "kubernetes/eve", "kubernetes u-9"))

    async def is_crossed() -> bool:
        with rolling_back():
            since = await migrate.last_deployed.fn("shop", version="1.0", here=HERE)
        assert since
        assert since >= moment(before)
        return bool(crossed(contracts, set(), here=HERE, target="1.0", target_since=since))

    assert await is_crossed()
    await deployed("r2", "release", "1.0", HERE)
    assert not await is_crossed()
    assert await migrate.last_deployed.fn("shop", version="0.9", here=HERE) is None


@pytest.mark.usefixtures("storage")
async def test_a_release_that_waited_while_another_began_a_contract_came_after_it() -> None:
    """As in the queue: it was asked for before, and promoted on what the contract left."""
    evidence = {"flow": "release", "version": "2.0"}
    await journal.append_entry("r2", "Asked", kind="opened", evidence=evidence)
    await begun("r1")
    await migrate.note_contract.fn("r1", service="shop")
    contracts, _ = await migrate.find_contracts.fn("shop")
    assert contracts
    await asyncio.sleep(0.002)  # a record's clock has milliseconds
    await deployed("r2", "release", "2.0", HERE)
    with rolling_back():
        since = await migrate.last_deployed.fn("shop", version="2.0", here=HERE)
    assert crossed(contracts, set(), here=HERE, target="2.0", target_since=since) == []


@pytest.mark.usefixtures("storage")
async def test_a_kept_run_whose_record_and_file_cannot_be_read_may_have_begun_any() -> None:
    """As after a change of the key: its name says enough, since only the worker writes there."""
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
