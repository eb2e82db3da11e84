"""Runs in a server stack: in this process, and by the worker through the warm engine."""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blocks import processes
from blocks.errors import Permanent
from blocks.server import deployments
from blocks.server.warm import engine, prefork

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

pytestmark = pytest.mark.server

SAMPLE = """
import json, os, pathlib
from prefect import flow, task

@task(persist_result=True)
async def double(number: int) -> int:
    return 2 * number

@flow(persist_result=True)
async def sample(target: str, number: int) -> int:
    doubled = await double(number)
    pathlib.Path(target).write_text(json.dumps({"parent": os.getppid(), "doubled": doubled, "home": os.environ["SHIPWAY_HOME"]}))
    return doubled
"""
PREFECT_YAML = """
pull:
- prefect.deployments.steps.set_working_directory:
    directory: {folder}
deployments:
- name: trial
  entrypoint: sample.py:sample
  work_pool: {{name: shipway}}
"""


async def _finished(run_id: Any) -> FlowRun:
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    async with get_client() as client, asyncio.timeout(60):
        while True:
            run = await client.read_flow_run(run_id)
            if run.state is not None and run.state.is_final():
                return run
            await asyncio.sleep(0.1)


async def _deployed_run(folder: Path, **parameters: Any) -> FlowRun:
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    (folder / "sample.py").write_text(SAMPLE)
    (folder / "prefect.yaml").write_text(PREFECT_YAML.format(folder=folder))
    assert await deployments.deploy_all(folder / "prefect.yaml") == ["trial"]
    assert await deployments.deploy_all(folder / "prefect.yaml") == ["trial"]
    async with get_client() as client:
        deployment = await client.read_deployment_by_name("sample/trial")
        return await client.create_flow_run_from_deployment(deployment.id, parameters=parameters)


async def test_a_deployment_that_is_not_valid_is_an_error(server: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """Prefect skips a deployment that it cannot read; we say so instead."""
    (tmp_path / "prefect.yaml").write_text(PREFECT_YAML.format(folder=tmp_path) + "- name: broken\n  schedules: tomorrow\n")
    with pytest.raises(Permanent, match=r"2 deployment\(s\) written, [01] valid"):
        await deployments.deploy_all(tmp_path / "prefect.yaml")


async def test_a_flow_of_the_test_process_reaches_the_server(server: Any) -> None:
    """The fixture alone suffices to run flows here, with their states on the real server."""
    from prefect import flow, task  # noqa: PLC0415
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415

    @task(persist_result=True)
    async def answer() -> int:
        return 42

    @flow(persist_result=True)
    async def ask() -> int:
        return await answer()

    state = await ask(return_state=True)
    assert await state.result() == 42
    assert PREFECT_API_URL.value() == server.api_url
    assert (await _finished(state.state_details.flow_run_id)).state_name == "Completed"


@pytest.fixture
def engine_alone(worker: Any) -> Iterator[None]:
    """Keep the engine to one test: the processes of a test session share it, and one of these tests hides it."""
    with (worker.home / "run" / "engine.test").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("engine_alone")
async def test_a_deployed_run_is_forked_by_the_warm_engine(worker: Any, tmp_path: Path) -> None:
    """A run of a deployment gets a process with Prefect loaded already, and the server stack's environment."""
    run = await _finished((await _deployed_run(tmp_path, target=str(tmp_path / "seen"), number=21)).id)
    assert run.state_name == "Completed"
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen == {"parent": processes.recorded(worker.home / "run" / "engine.pid"), "doubled": 42, "home": str(worker.home)}


@pytest.mark.faults
@pytest.mark.usefixtures("engine_alone")
async def test_without_the_engine_a_run_starts_the_ordinary_way(worker: Any, tmp_path: Path) -> None:
    """A dead engine costs seconds, not runs."""
    listening = worker.home / "run" / "engine.sock"
    hidden = listening.rename(listening.with_suffix(".hidden"))
    try:
        run = await _finished((await _deployed_run(tmp_path, target=str(tmp_path / "seen"), number=1)).id)
    finally:
        hidden.rename(listening)
    assert run.state_name == "Completed"
    assert json.loads((tmp_path / "seen").read_text())["parent"] != processes.recorded(worker.home / "run" / "engine.pid")
    assert os.path.exists(listening)  # noqa: PTH110, ASYNC240


def test_a_file_that_was_written_since_it_was_imported_is_not_run_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run must be that of the changed file; an engine that holds the old one says so."""
    (tmp_path / "flow_of_yesterday.py").write_text("NUMBER = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(prefork, "OURS", (f"{tmp_path}{os.sep}",))
    known = prefork.written(prefork.files_of_ours())
    module = importlib.import_module("flow_of_yesterday")
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            loaded = engine.Engine(tmp_path, listener, known)
            assert not loaded.is_outdated()
            os.utime(tmp_path / "flow_of_yesterday.py", ns=(1, 1))
            assert loaded.is_outdated()
            assert engine.Engine(tmp_path, listener, {}).is_outdated()  # it was not there when the engine began
            prefork.forget_ours()
            assert module.__name__ not in sys.modules
    finally:
        sys.modules.pop(module.__name__, None)


@pytest.mark.faults
@pytest.mark.timeout(400)
async def test_prefects_own_block_types_are_registered_once_for_each_set_of_versions(worker: Any) -> None:
    """By what the server itself would have done at its start, so that types are protected as it protects them."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    from blocks.server.worker import register_block_types  # noqa: PLC0415

    async with get_client() as client:
        done = worker.home / "run" / "block-types"
        done.unlink(missing_ok=True)
        await asyncio.wait_for(register_block_types(worker.home, every_seconds=0), 240)  # at a low priority, beside other tests
        types = {one.slug: one for one in await client.read_block_types()}
    assert {"secret", "slack-webhook", "kubernetes-credentials", "s3-bucket"} <= types.keys()
    assert types["secret"].is_protected
    before = done.stat().st_mtime_ns
    await register_block_types(worker.home, every_seconds=0)
    assert done.stat().st_mtime_ns == before
