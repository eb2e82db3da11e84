"""A rollback that needs neither a deployment nor a worker, and what the command says if a worker does not start one."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.flows.harness import FIRST, Stage

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]


@pytest.fixture
async def stage(server: Any, tmp_path: Path) -> AsyncIterator[Stage]:  # noqa: ARG001 - its settings
    """Give a stage on which 2.0 serves, and 1.0 did before."""
    found = Stage("here", tmp_path, None)  # type: ignore[arg-type]  # no process is forked
    await found.raise_up()
    await found.reset_versions("2.0")
    yield found
    await found.end()


def parsed(*words: str) -> argparse.Namespace:
    """Read a command line."""
    from flows.commands import rollback  # noqa: PLC0415

    parser = argparse.ArgumentParser()
    rollback.configure(parser)
    return parser.parse_args(words)


@pytest.mark.slow
async def test_a_rollback_here_needs_no_worker_and_cancels_the_request_that_waits(
    stage: Stage, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one that waits for a worker would roll back once more, to a still older version."""
    from prefect import get_client  # noqa: PLC0415

    from flows.commands import rollback  # noqa: PLC0415
    from tests.flows.processes import deploy_trials  # noqa: PLC0415

    await deploy_trials()  # which no worker takes
    plan = stage.plan()
    waiting = await stage.ask("rollback", plan=plan, reason="a test", environment="production")
    async with get_client() as client:
        code = await rollback._rollback(client, parsed(plan, "--reason", "a test", "--here", "--as", "rita", "--home", str(server.home)))
        left = await client.read_flow_run(UUID(waiting))
    shown = capsys.readouterr().out
    assert code == 0, shown
    assert "RolledBack" in shown
    assert (await stage.platform("production").current())["baseline"] == FIRST
    assert left.state_name == "Cancelled"


@pytest.mark.slow
async def test_a_rollback_here_whose_process_died_is_finished_by_settle(stage: Stage) -> None:
    """No worker could start it again, and half a rollback is worse than either end of it."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.states import Running  # noqa: PLC0415

    from flows.rollback import rollback  # noqa: PLC0415
    from flows.settle import settle  # noqa: PLC0415
    from tasks.lifecycle.kept_runs import keep_process  # noqa: PLC0415
    from tasks.lifecycle.lock import OPEN  # noqa: PLC0415
    from tasks.lifecycle.run_labels import PID, STARTED, this_process  # noqa: PLC0415
    from tasks.record.open_runs import find_open  # noqa: PLC0415

    wanted = {"plan": stage.plan(), "reason": "a test", "requester": "rita", "environment": "production"}
    async with get_client() as client:
        run = await client.create_flow_run(rollback, parameters=wanted, tags=["shipway", OPEN], state=Running())
        dead = this_process() | {PID: 2**22, STARTED: 1.0}
        await client.update_flow_run_labels(run.id, dead)
        await keep_process(str(run.id), dead)
        assert [one.has_deployment for one in await find_open.fn() if one.id == str(run.id)] == [False]
        await settle(run=str(run.id), reason="its process is gone")
        ended = await client.read_flow_run(run.id)
    assert ended.state_name == "RolledBack"
    assert (await stage.platform("production").current())["baseline"] == FIRST


@pytest.mark.slow
async def test_who_waits_for_a_worker_hears_of_the_other_way_and_of_the_end(
    server: Any,  # noqa: ARG001
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that the server cancelled before it began, as a concurrency limit does, is not waited for."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.states import Cancelled, Scheduled  # noqa: PLC0415

    from flows.commands import _here  # noqa: PLC0415
    from tests.tasks.server_runs import new_run  # noqa: PLC0415

    monkeypatch.setattr(_here, "PICKED_UP_SECONDS", 0)
    run = UUID(await new_run(state=Scheduled()))
    async with get_client() as client:
        waiting = asyncio.create_task(_here.picked_up(client, await client.read_flow_run(run)))
        await asyncio.sleep(2)
        assert "No worker has started it" in (said := capsys.readouterr().err)
        assert "--here" in said
        await client.set_flow_run_state(run, Cancelled(message="Deployment concurrency limit reached."))
        assert not _here.has_begun(await waiting)
