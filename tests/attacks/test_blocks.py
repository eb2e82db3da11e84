"""Whoever has the API's password can edit, break and delete the blocks; a rollback reaches what was deployed all the same."""

# ruff: noqa: F811 - a fixture that is imported is the name of a parameter, too
from __future__ import annotations

from typing import Any

import pytest

from tests.flows.conftest import runner, stage, theatre, visitors  # noqa: F401 - fixtures
from tests.flows.harness import FIRST, Stage, check_closed

pytestmark = [pytest.mark.attack, pytest.mark.server, pytest.mark.timeout(600), pytest.mark.usefixtures("visitors")]

EDITS: dict[str, dict[str, Any] | None] = {
    "another folder": {"folder": "/tmp/shipway-elsewhere"},  # noqa: S108 - never made
    "another service": {"service": "evil"},
    "another port": {"port": 1},
    "fields of another type": {"drain_seconds": "x", "command": 7, "environment": 7},
    "times that cannot be kept": {"answer_timeout_seconds": 0.0001, "stop_seconds": 100_000},
    "deleted": None,
}


async def edit(name: str, change: dict[str, Any] | None) -> None:
    """Write a block's document past its type, or delete it."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.client.schemas.actions import BlockDocumentUpdate  # noqa: PLC0415

    async with get_client() as client:
        document = await client.read_block_document_by_name(name, "local")
        if change is None:
            await client.delete_block_document(document.id)
        else:
            await client.update_block_document(document.id, BlockDocumentUpdate(data=change, merge_existing_data=True))


async def test_no_edit_of_its_block_keeps_an_environment_from_its_rollback(stage: Stage) -> None:
    """It goes where the last release went, for each of six edits that once stopped it; a release in between takes the version again."""
    second = stage.tag("8.20")
    platform = stage.platform("production")
    for what, change in EDITS.items():
        await check_closed(stage, await stage.release_through(second), outcome="deployed")
        await edit(f"{stage.name}-production", change)
        ran = await stage.carry_through(await stage.ask("rollback", plan=stage.plan(), reason=what, version=FIRST), "rollback")
        assert (what, ran.state) == (what, "RolledBack"), ran
        assert (await platform.current())["baseline"] == FIRST
        await platform.save(f"{stage.name}-production", overwrite=True)


async def test_an_operator_who_has_the_machine_can_correct_a_block_before_a_rollback(stage: Stage) -> None:
    """What the API alone says does not count; without the kept file the block counts as it is now."""
    from blocks.key_folder.kept_files import remove_kept  # noqa: PLC0415
    from tasks.rollout.as_deployed import load_platform_to_roll_back  # noqa: PLC0415

    await check_closed(stage, await stage.release_through(stage.tag("8.21")), outcome="deployed")
    await stage.platform("production").model_copy(update={"drain_seconds": 3}).save(f"{stage.name}-production", overwrite=True)
    name, before = f"local/{stage.name}-production", stage.platform("production").drain_seconds
    found: Any = await load_platform_to_roll_back(name, field="production.platform")
    assert (found.drain_seconds, found.folder) == (before, stage.platform("production").folder)
    remove_kept("places", name)
    found = await load_platform_to_roll_back(name, field="production.platform")
    assert (found.drain_seconds, found.folder) == (3, stage.platform("production").folder)
