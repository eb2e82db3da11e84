"""A contract migration is not forgotten with the tags of the run that began it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tasks.record import journal
from tasks.record.kept_index import keep_run
from tasks.record.without_key import rolling_back
from tasks.rollout import migrate

pytestmark = pytest.mark.usefixtures("offline")


async def test_a_contract_is_found_although_its_run_lost_its_tags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Or was deleted: a version that cannot work with the database must not be started again."""

    async def here() -> Path:
        return tmp_path

    async def none(*_: str) -> list[str]:
        return []

    @asynccontextmanager
    async def gone(_: str) -> AsyncIterator[tuple[None, None]]:
        yield None, None

    monkeypatch.setattr(journal, "default_storage", here)
    monkeypatch.setattr(migrate, "_tagged", none)
    monkeypatch.setattr(migrate, "whatever_is_left", gone)
    evidence = {"migration": "drop-city", "compatibility": "contract", "version": "1.1", "state": "applied"}
    await journal.append_entry("r1", "Asked", kind="opened", evidence={"version": "1.1"})
    await journal.append_entry("r1", "Begun", kind="migration", environment="production", name="drop-city begun", evidence=evidence)
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
