"""A release half-way whose run is deleted, or loses tags and parameters: it is rolled back all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.flows.harness import FIRST, MOST_ATTEMPTS, Stage, check_well
from tests.flows.keeping import keep

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(400)]
HALF_WAY = "entry effect production 50 % shift"


@pytest.mark.parametrize(("how", "outcome"), [("deleted", "rolled_back"), ("untagged and put off", "cancelled")])
@pytest.mark.usefixtures("visitors")
async def test_a_release_half_way_is_rolled_back_whatever_becomes_of_its_run(stage: Stage, how: str, outcome: str) -> None:
    """Its record and what lies beside the key say what it is."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.states import Cancelled, Scheduled  # noqa: PLC0415

    from tasks.record.storage import default_storage  # noqa: PLC0415
    from tasks.rules.record.entries import outcome_of  # noqa: PLC0415
    from tests.record_entries import load_entries  # noqa: PLC0415

    run = await stage.release(stage.tag(f"7.{len(how)}"))
    await stage.runner.run(run, "release", kill_at=HALF_WAY)
    assert (await stage.platform("production").current())["canary"] is not None
    async with get_client() as client:
        if how == "deleted":
            await client.delete_flow_run(UUID(run))
        else:
            parameters = {"plan": "/none", "version": "0", "release": "x"}
            await client.request("PATCH", "/flow_runs/{id}", path_params={"id": run}, json={"tags": [], "parameters": parameters})
            late = Scheduled(scheduled_time=datetime.now(UTC) + timedelta(days=27_000))
            await client.set_flow_run_state(UUID(run), late, force=True)
            assert any("put off" in line for line in await keep(run, settle=stage.settle))
            await client.set_flow_run_state(UUID(run), Cancelled(), force=True)
    for _ in range(MOST_ATTEMPTS):
        if not await keep(run, settle=stage.settle):
            break
    assert outcome_of(await load_entries(await default_storage(), run)) == outcome
    await check_well(stage, version=FIRST)
