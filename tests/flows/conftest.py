"""Fixtures of the fault tests: the runner, and a stage for each module."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.flows import harness, processes


@pytest.fixture(scope="session")
def runner(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Runner]:
    """Give the process that forks runs, and deployments that no worker takes."""
    os.environ["SHIPWAY_KEY_FILE"] = server.environment["SHIPWAY_KEY_FILE"]
    with processes.running(tmp_path_factory.mktemp("points"), server.environment) as found:
        asyncio.run(processes.deploy_trials())
        yield found
    asyncio.run(processes.hang_up())


@pytest.fixture(scope="module")
def theatre(runner: processes.Runner, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.Stage]:
    """Raise the stage of a module."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")[:40]
    stage = harness.Stage(name, tmp_path_factory.mktemp(name), runner)
    asyncio.run(stage.raise_up())
    yield stage
    asyncio.run(stage.end())


@pytest.fixture
async def stage(theatre: harness.Stage) -> harness.Stage:
    """Give the module's stage with the first version serving, owned by no one."""
    await theatre.reset()
    return theatre


@pytest.fixture
def visitors(stage: harness.Stage) -> Iterator[processes.Traffic]:
    """Let visitors come to production."""
    with processes.traffic(stage.public) as seen:
        yield seen
