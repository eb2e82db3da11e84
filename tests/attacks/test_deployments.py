"""Whoever has the API's password can change what a run would execute; the worker then starts nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blocks.server import deployments, settings
from blocks.server.worker import HEARTBEAT_SECONDS

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

pytestmark = [pytest.mark.server, pytest.mark.attack, pytest.mark.timeout(400)]

SAMPLE = """
import asyncio
import pathlib
from prefect import flow

def touch(flow, flow_run, state):
    pathlib.Path(flow_run.parameters["target"]).with_suffix(".cancelled").touch()

@flow(on_cancellation=[touch])
async def sample(target: str, secret: str = "none", seconds: float = 0) -> None:
    pathlib.Path(target).touch()
    await asyncio.sleep(seconds)
"""
PREFECT_YAML = """
pull:
- prefect.deployments.steps.set_working_directory:
    directory: {folder}
deployments:
- name: {name}
  entrypoint: {entry_point}
  parameters: {{secret: first}}
  work_pool: {{name: shipway}}
"""


async def deploy(home: Path, name: str, *, folder: Path | None = None, entry_point: str = "sample.py:sample") -> Any:
    """Deploy the sample as `shipway up` deploys, and read the deployment; it starts in its own folder, or in another one."""
    from prefect import get_client  # noqa: PLC0415

    (home / "sample.py").write_text(SAMPLE)
    (home / "prefect.yaml").write_text(PREFECT_YAML.format(folder=folder or home, name=name, entry_point=entry_point))
    await deployments.deploy_all(home / "prefect.yaml")
    async with get_client() as client:
        return await client.read_deployment_by_name(f"sample/{name}")


async def ran(deployment: Any, target: Path, **more: Any) -> FlowRun:
    """Ask for a run of the sample and wait for its end."""
    return await ended(deployment, {"target": str(target)}, **more)


async def ended(deployment: Any, parameters: dict[str, Any], **more: Any) -> FlowRun:
    """Ask for a run and wait for its end."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client, asyncio.timeout(90):
        run = await client.create_flow_run_from_deployment(deployment.id, parameters=parameters, **more)
        while run.state is None or not run.state.is_final():
            await asyncio.sleep(0.2)
            run = await client.read_flow_run(run.id)
        return run


async def change(deployment: Any, **fields: Any) -> None:
    """Change a deployment by the API."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client:
        answer = await client._client.patch(f"/deployments/{deployment.id}", json=fields)
        answer.raise_for_status()


def evil(folder: Path) -> list[Any]:
    """Give a pull step that runs a command."""
    return [{"prefect.deployments.steps.run_shell_script": {"script": f"touch {folder / 'evil'}"}}]


async def test_a_changed_deployment_starts_nothing(worker: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """Each field that decides what runs: the run ends as refused, names the field, and no code of it ran; deployed again, it runs."""
    deployment = await deploy(tmp_path, "changed")
    assert (await ran(deployment, tmp_path / "before")).state_name == "Completed"
    changes: dict[str, Any] = {
        "pull_steps": evil(tmp_path),
        "job_variables": {"env": {"PATH": str(tmp_path)}},
        "entrypoint": "other.py:sample",
        "path": "/",
        "parameters": {"secret": "other"},
        "enforce_parameter_schema": False,
    }
    for name, value in changes.items():
        await change(deployment, **{name: value})
        run = await ran(deployment, tmp_path / "target")
        assert run.state_name == "Refused", (name, run.state)
        assert f"{name} of the deployment changed was changed" in str(run.state and run.state.message)
        await deploy(tmp_path, "changed")
        if name == "path":
            await change(deployment, path=deployment.path)
    assert not (tmp_path / "target").exists()
    assert not (tmp_path / "evil").exists()
    assert (await ran(deployment, tmp_path / "after")).state_name == "Completed"


async def test_a_runs_own_job_variables_start_nothing(worker: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """They could name another command, or another environment."""
    deployment = await deploy(tmp_path, "own-variables")
    run = await ran(deployment, tmp_path / "target", job_variables={"command": f"touch {tmp_path / 'evil'}"})
    assert run.state_name == "Refused"
    assert "job variables of its own: command" in str(run.state and run.state.message)
    assert not (tmp_path / "evil").exists()


async def test_a_deployment_that_no_one_deployed_here_starts_nothing(worker: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """One that is made by the API, of our own flow, with pull steps of its own."""
    from prefect import get_client  # noqa: PLC0415

    deployment = await deploy(tmp_path, "known")
    async with get_client() as client:
        made = await client.create_deployment(
            flow_id=deployment.flow_id, name="stranger", entrypoint="sample.py:sample", work_pool_name="shipway", pull_steps=evil(tmp_path)
        )
        stranger = await client.read_deployment(made)
    run = await ran(stranger, tmp_path / "target")
    assert run.state_name == "Refused"
    assert "was not made by `shipway up`" in str(run.state and run.state.message)
    assert not (tmp_path / "evil").exists()


async def test_a_changed_template_of_the_pool_changes_nothing(worker: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """Its defaults are what every run would be started with, and a broken one would keep each from its process, the keeper's, too."""
    from copy import deepcopy  # noqa: PLC0415

    from prefect import get_client  # noqa: PLC0415
    from prefect.client.schemas.actions import WorkPoolUpdate  # noqa: PLC0415

    deployment = await deploy(tmp_path, "template")
    async with get_client() as client:
        right = (await client.read_work_pool("shipway")).base_job_template
        wrong = deepcopy(right)
        for name, value in (("command", "true"), ("env", {"PYTHONPATH": "/"})):
            wrong["variables"]["properties"][name]["default"] = value
        for template in (wrong, right | {"job_configuration": {"env": "no object"}}):
            await client.update_work_pool("shipway", WorkPoolUpdate(base_job_template=template))
            try:
                await asyncio.sleep(2.5 * HEARTBEAT_SECONDS)  # a worker reads the pool with its heartbeat
                run = await ran(deployment, tmp_path / "target")
            finally:
                await client.update_work_pool("shipway", WorkPoolUpdate(base_job_template=right))
            assert run.state_name == "Completed", run.state


async def test_pull_steps_added_to_a_run_under_way_run_neither_in_its_process_nor_after_it(worker: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """A cancelled run has its hooks run by the worker itself, which would read the deployment once more."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.states import Cancelling  # noqa: PLC0415

    deployment = await deploy(tmp_path, "under-way", folder=settings.PROJECT, entry_point=f"{tmp_path / 'sample.py'}:sample")
    target = tmp_path / "target"
    async with get_client() as client, asyncio.timeout(90):
        run = await client.create_flow_run_from_deployment(deployment.id, parameters={"target": str(target), "seconds": 60})
        while not target.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.1)
        await change(deployment, pull_steps=evil(tmp_path))
        await client.set_flow_run_state(run.id, Cancelling(), force=True)
        while not target.with_suffix(".cancelled").exists():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)
    assert not (tmp_path / "evil").exists()


async def test_a_changed_deployment_of_the_rollback_stops_no_rollback(worker: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """It starts as it was deployed: here it says that there is no such plan, which only its own code does."""
    from prefect import get_client  # noqa: PLC0415

    await deployments.deploy_all()
    async with get_client() as client:
        deployment = await client.read_deployment_by_name("rollback/rollback")
    try:
        await change(deployment, pull_steps=evil(tmp_path), job_variables={"command": f"touch {tmp_path / 'evil'}"})
        run = await ended(deployment, {"plan": str(tmp_path / "none.yaml"), "reason": "a test"})
    finally:
        await deployments.deploy_all()
    assert "none.yaml" in str(run.state and run.state.message)
    assert not (tmp_path / "evil").exists()


async def test_a_concurrency_limit_on_the_rollback_stops_no_rollback(worker: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """One that cancels new runs, and whose only slot is taken for ever: it is gone once a run is picked up, whose own code then answers."""
    from prefect import get_client  # noqa: PLC0415

    deployment = await deployed_rollback()
    try:
        await occupy(deployment)
        run = await ended(deployment, {"plan": str(tmp_path / "none.yaml"), "reason": "a test"})
        async with get_client() as client:
            found = await client.read_deployment(deployment.id)
    finally:
        await deployments.deploy_all()
    assert "none.yaml" in str(run.state and run.state.message)
    assert (found.global_concurrency_limit, found.concurrency_options) == (None, None)


async def test_what_is_deployed_again_has_no_limit_that_the_file_does_not_name(worker: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """Prefect's own command would leave it."""
    await occupy(await deploy(tmp_path, "limited"))
    assert (await deploy(tmp_path, "limited")).global_concurrency_limit is None


@pytest.mark.parametrize("name", ["rollback", "keeper"])
async def test_changed_default_parameters_stop_neither_a_rollback_nor_the_keeper(worker: Any, tmp_path: Path, name: str) -> None:  # noqa: ARG001
    """The server gives them to each run that is made until they are put right; what the flow does not know is dropped in its process."""
    from prefect import get_client  # noqa: PLC0415

    await deployments.deploy_all()
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(f"{name}/{name}")
    given = {"plan": str(tmp_path / "none.yaml"), "reason": "a test"} if name == "rollback" else {}
    await change(deployment, parameters={"evil": 1}, enforce_parameter_schema=False)
    run = await ended(deployment, given)
    async with get_client() as client:
        found = await client.read_deployment(deployment.id)
    assert run.parameters["evil"] == 1
    assert (found.parameters, found.enforce_parameter_schema) == ({}, True)
    if name == "keeper":
        assert run.state_name == "Completed"
    else:
        assert "none.yaml" in str(run.state and run.state.message)


async def deployed_rollback() -> Any:
    """Read the deployment of the rollback."""
    from prefect import get_client  # noqa: PLC0415

    await deployments.deploy_all()
    async with get_client() as client:
        return await client.read_deployment_by_name("rollback/rollback")


async def occupy(deployment: Any) -> None:
    """Let a deployment run once at a time, cancel what comes beside that, and take the only slot."""
    from prefect import get_client  # noqa: PLC0415

    await change(deployment, concurrency_limit=1, concurrency_options={"collision_strategy": "CANCEL_NEW"})
    async with get_client() as client:
        limit = await client.read_global_concurrency_limit_by_name(f"deployment:{deployment.id}")
        answer = await client._client.patch(f"/v2/concurrency_limits/{limit.id}", json={"active_slots": 1, "slot_decay_per_second": 0})
        answer.raise_for_status()
