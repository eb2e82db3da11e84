"""Machines that run releases must share a storage; a start where one does not is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from blocks.errors import Refused, Tampered
from tasks.lifecycle.run_labels import HOST
from tasks.record.storage import check_storage, default_storage, show_machine
from tests.tasks.server_runs import new_run, seen

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]


@pytest.fixture(autouse=True)
async def _own_storage(tmp_path: Path) -> AsyncIterator[None]:
    await (await default_storage()).create("machines/far-away", b"")  # releases of other tests, beside this one, are not refused
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path}):
        yield


async def run_of(host: str) -> FlowRun:
    """Make a run that a machine has just begun."""
    run = await new_run()
    async with get_client() as client:
        await client.update_flow_run_labels(UUID(run), {HOST: f"{host}/boot"})
    return await seen(run)


async def test_a_start_beside_a_machine_with_another_storage_is_refused_and_says_the_fix() -> None:
    """The other one's results are not here; once it shows in the storage, the start goes on; its end forgets it."""
    stranger = await run_of("far-away")
    with pytest.raises(Refused, match=r"far-away.*PREFECT_DEFAULT_RESULT_STORAGE_BLOCK"):
        await check_storage.fn()
    await (await default_storage()).create("machines/far-away", b"")
    await check_storage.fn()
    async with get_client() as client:
        await client.delete_flow_run(stranger.id)


async def test_one_machine_alone_is_not_a_stranger_to_itself() -> None:
    """Whatever ran here shows here, also after a restart of the machine."""
    run = await new_run()
    await show_machine.fn(run)
    await check_storage.fn()
    assert (await seen(run)).labels[HOST]


async def test_a_folder_of_machines_that_became_a_link_stops_no_keeper(tmp_path: Path) -> None:
    """It shows its machine on its run and goes on; a start is refused."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "machines").symlink_to(tmp_path / "elsewhere")
    run = await new_run()
    await show_machine.fn(run)
    assert (await seen(run)).labels[HOST]
    with pytest.raises(Tampered, match="machines is a symbolic link"):
        await check_storage.fn()
    assert list((tmp_path / "elsewhere").iterdir()) == []
