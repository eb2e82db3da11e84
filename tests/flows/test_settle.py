"""What is settled, tried again, or forgotten where nothing was begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.flows.harness import Stage
from tests.flows.processes import Runner

pytestmark = pytest.mark.server


@pytest.fixture
def desk(runner: Runner, tmp_path: Path) -> Stage:
    """Give a stage without environments: nothing here moves any."""
    return Stage("desk", tmp_path, runner)


async def failed(desk: Stage, flow: str, **parameters: Any) -> str:
    """Make a run that failed, still open."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.states import Failed  # noqa: PLC0415

    run = await desk.ask(flow, plan=str(desk.folder / "none.yaml"), reason="a test", **parameters)
    async with get_client() as client:
        await client.set_flow_run_state(UUID(run), Failed(), force=True)
    return run


async def settle(desk: Stage, run: str) -> None:
    """Settle a run in a process of its own."""
    await desk.runner.run(await desk.ask("settle", run=run, reason="keeper"), "settle")


@pytest.mark.slow
async def test_a_run_that_ended_before_its_first_step_is_forgotten(desk: Stage) -> None:
    """Bad parameters or an early cancellation leave no record; nothing was moved, and the keeper does not come again."""
    run = await failed(desk, "release", version="1.0", requester="rita")
    assert await desk.care_of(run) == "settle"
    await settle(desk, run)
    assert await desk.care_of(run) == "leave"
    assert "shipway:open" not in await desk.tags(run)


@pytest.mark.slow
async def test_a_rollback_that_met_a_passing_fault_is_tried_again(desk: Stage) -> None:
    """It is not closed with the canary where it was."""
    from tasks.record.journal import append_entry  # noqa: PLC0415

    run = await failed(desk, "rollback")
    evidence = {"flow": "rollback", "plan": str(desk.folder / "none.yaml"), "environment": "production", "version": ""}
    await append_entry(run, "A rollback was asked for", kind="opened", evidence=evidence)
    await settle(desk, run)
    ran = await desk.seen(run)
    assert (ran.state, len(ran.entries)) == ("AwaitingRetry", 1)
    await desk.runner.run(run, "rollback")
    assert (await desk.seen(run)).state == "Refused"
    assert "shipway:open" not in await desk.tags(run)
