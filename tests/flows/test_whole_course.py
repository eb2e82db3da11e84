"""What every change must still be able to do, through the real server and its own processes: release, wait for a person, and go back."""

from __future__ import annotations

import logging
import time
from typing import Any
from uuid import UUID

import pytest

from tests.flows.gatehouse import answer, enrol, go_on
from tests.flows.harness import FIRST, Stage, check_closed, check_well
from tests.flows.processes import Traffic

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


async def test_a_release_waits_for_its_approval_deploys_in_steps_and_is_rolled_back(stage: Stage, visitors: Traffic, server: Any) -> None:
    """Suspended without a process or a canary; deployed by a person's code; then FIRST again by hand; no visitor notices any of it."""
    began, people = time.time(), await enrol(server)
    plan = stage.plan(approval=people.section())
    held = await go_on(stage, await stage.release(stage.tag("9.1"), plan=plan))
    assert held.state == "Suspended", held.message
    assert (await stage.platform("staging").current())["baseline"] == "9.1"
    assert stage.state_of("production")["canary"] is None

    ran = await answer(stage, held.id, await people.form(people.names[0], held.id))
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="9.1")

    back = await stage.ask("rollback", plan=plan, reason="critical bug 812")
    ran = await stage.carry_through(back, "rollback")
    assert ran.state == "RolledBack", ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version="9.1", production=FIRST)
    assert set(visitors.since(began)) == {200}
    assert await error_lines(held.id) == [], "a normal wait is not an error"


async def error_lines(run: str) -> list[str]:
    """Read what a run logged as an error."""
    from prefect import get_client  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId, LogFilterLevel  # noqa: PLC0415

    async with get_client() as client:
        wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(run)]), level=LogFilterLevel(ge_=logging.INFO))
        found = await client.read_logs(wanted)
    assert found, "the run's log is empty, so it shows nothing"
    return [line.message for line in found if line.level >= logging.ERROR]
