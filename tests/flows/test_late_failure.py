"""A version that turns bad hours after its release is rolled back by looks between which there is no process."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.flows.harness import FIRST, Stage, check_closed, check_well, plan_of
from tests.flows.processes import Traffic

pytestmark = [pytest.mark.server, pytest.mark.timeout(300), pytest.mark.faults]
_numbers = count(1)


@pytest.fixture
async def deployed(stage: Stage) -> AsyncIterator[Stage]:
    """Give a stage with the deployments that the keeper and a look ask for, and no worker."""
    from prefect import get_client  # noqa: PLC0415

    from flows.observe import observe  # noqa: PLC0415
    from flows.rollback import rollback  # noqa: PLC0415

    async with get_client() as client:
        for name, flow, tags in (("observe", observe, ["shipway"]), ("rollback", rollback, ["shipway", "shipway:open"])):
            found: Any = flow
            await client.create_deployment(flow_id=await client.create_flow(found), name=name, entrypoint=f"flows.{name}.{name}", tags=tags)
        yield stage


async def look(stage: Stage) -> tuple[str, str]:
    """Let the keeper start the look that is due, and its process come to its end; gives the state and message of its run."""
    from tasks.lifecycle.observed import start_due_looks  # noqa: PLC0415

    pass_time(stage)
    (run,) = await start_due_looks.fn()
    assert await start_due_looks.fn() == [run], "one run for a look"
    await stage.runner.run(run, "observe")
    assert await start_due_looks.fn() == [], "no run, and so no process, until the next one is due"
    ran = await stage.seen(run)
    return ran.state, ran.message


def pass_time(stage: Stage) -> None:
    """Let the time pass until the next look is due."""
    from tasks.lifecycle.observed import find_observed, replace_observed  # noqa: PLC0415

    kept = kept_of(stage)
    assert not kept.is_due(datetime.now(UTC))
    assert replace_observed(find_observed(kept.release)[0], kept, kept.model_copy(update={"due": datetime.now(UTC) - timedelta(seconds=1)}))


def kept_of(stage: Stage) -> Any:
    """Read what is observed."""
    from tasks.lifecycle.observed import observed_services, read_observed  # noqa: PLC0415

    (name,) = [one for one in observed_services() if one.startswith(f"{stage.name}-")]
    found = read_observed(name)
    assert found is not None
    return found


async def rollbacks_of(version: str) -> list[str]:
    """List the rollbacks that were requested of a version."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName  # noqa: PLC0415

    async with get_client() as client:
        runs = await client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["rollback"])))
        return [str(run.id) for run in runs if run.parameters.get("bad") == version]


async def release_what_can_spoil(stage: Stage) -> tuple[str, Path, str]:
    """Deploy a version that is observed; gives it, the file with which it fails, and its plan."""
    version = stage.tag(f"9.{next(_numbers)}-spoils.{stage.name[-6:]}")
    verification = {**plan_of("x")["verification"], "max_error_ratio": 0.1}
    plan = stage.plan(verification=verification, observe={"hours": 2, "on_failure": "roll_back"})
    await check_closed(stage, await stage.release_through(version, plan=plan), outcome="deployed")
    return version, Path(tempfile.gettempdir(), version), plan


async def test_a_late_failure_is_rolled_back(deployed: Stage, visitors: Traffic) -> None:
    """One look alone does not do it; and what serves afterwards is the version before, verified."""
    from tasks.rollout.late_rollback import pursue_rollbacks  # noqa: PLC0415

    stage = deployed
    version, spoiled, plan = await release_what_can_spoil(stage)
    forget(Path(plan))  # what the release acted by counts
    try:
        await enough(visitors)
        state, message = await look(stage)
        assert (state, kept_of(stage).passed) == ("Passed", 1), message
        spoil(spoiled)
        await enough(visitors)
        state, message = await look(stage)
        assert (state, await rollbacks_of(version)) == ("Failed", []), message
        assert kept_of(stage).due - kept_of(stage).looked == timedelta(minutes=1)
        await enough(visitors)
        state, message = await look(stage)
        (rollback,) = await rollbacks_of(version)
        assert (state, rollback in message) == ("Failed", True), message
        assert kept_of(stage).rollback == rollback
        assert (await pursue_rollbacks.fn(), await rollbacks_of(version)) == ([], [rollback])
        await stage.runner.run(rollback, "rollback")
        assert (await pursue_rollbacks.fn(), await rollbacks_of(version)) == ([rollback], [rollback])
        assert kept_of(stage).ended == f"its rollback {rollback} was carried out"
        ran = await stage.seen(rollback)
        assert ran.state == "RolledBack", ran.message
        await check_well(stage, version=FIRST, staging=version)
    finally:
        forget(spoiled)


async def test_a_rollback_that_the_last_look_requested_is_carried_out_although_others_changed_its_run(
    deployed: Stage, visitors: Traffic
) -> None:
    """Its time is over by then; a run that is to return to the bad version is refused, and the rollback is requested again."""
    from tasks.lifecycle.observed import find_observed, replace_observed  # noqa: PLC0415
    from tasks.rollout.late_rollback import pursue_rollbacks  # noqa: PLC0415

    stage = deployed
    version, spoiled, _ = await release_what_can_spoil(stage)
    kept = kept_of(stage)
    assert replace_observed(find_observed(kept.release)[0], kept, kept.model_copy(update={"until": datetime.now(UTC)}))
    try:
        spoil(spoiled)
        for _ in range(2):
            await enough(visitors)
            state, message = await look(stage)
            assert (state, kept_of(stage).ended) == ("Failed", ""), message
        (changed,) = await rollbacks_of(version)
        await change(changed, version=version, restored=["drop-old-column"])
        await stage.runner.run(changed, "rollback")
        assert (await stage.seen(changed)).state == "Refused"
        assert await pursue_rollbacks.fn() == []
        (rollback,) = {*await rollbacks_of(version)} - {changed}
        assert (kept_of(stage).rollback, kept_of(stage).ended) == (rollback, "")
        await stage.runner.run(rollback, "rollback")
        assert await pursue_rollbacks.fn() == [rollback]
        await check_well(stage, version=FIRST, staging=version)
    finally:
        forget(spoiled)


async def change(run: str, **parameters: Any) -> None:
    """Change the parameters of a run through the API."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client:
        before = (await client.read_flow_run(UUID(run))).parameters
        await client.update_flow_run(UUID(run), parameters={**before, **parameters})


def spoil(version: Path) -> None:
    """Let a version answer its page with errors from now on."""
    version.touch()


def forget(path: Path) -> None:
    """Remove a file."""
    path.unlink(missing_ok=True)


async def enough(visitors: Traffic) -> None:
    """Return when so many visitors have come that a look has a verdict."""
    before = len(visitors.answers)
    async with asyncio.timeout(30):
        while len(visitors.answers) < before + 60:  # noqa: ASYNC110 - a thread counts them
            await asyncio.sleep(0.1)
