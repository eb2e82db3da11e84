"""Releases by scripts, through the real flows: deployed, rolled back, and with a worker that dies while a script runs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.flows.harness import FIRST, MOST_ATTEMPTS, Stage, check_closed, plan_of
from tests.flows.keeping import keep
from tests.flows.processes import Runner, ended
from tests.script_environments import end_service, lay_out, quotes

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(300)]
HELD = """#!/bin/sh
echo "$*" >>calls
while [ -f hold ]; do sleep 0.05; done
exec ./quotes.sh "$@"
"""
ILL_IN_PRODUCTION = """
import os
if os.environ["QUOTES_STATE"].endswith("production/running"):
    QUOTE = "panic"
"""


class ScriptStage(Stage):
    """Two environments that the example's script deploys to."""

    ports: dict[str, int]

    def platform(self, environment: str) -> Any:
        """Give an environment's platform; its script can be held up, and notes its calls."""
        place = self.folder / environment
        scripts = {
            "deploy": ["./held.sh", "deploy", "{version}"],
            "status": ["./quotes.sh", "status"],
            "verify": ["./quotes.sh", "verify", "{version}"],
            "rollback": ["./held.sh", "deploy", "{previous}"],
        }
        return quotes(place, self.ports[environment], service=self.name, scripts=scripts)

    async def raise_up(self) -> None:
        """Lay the scripts out, and deploy the first version to each environment by hand."""
        self.repository.mkdir(parents=True)
        self.git("init", "--quiet")
        self.tag(FIRST)
        self.ports = {name: lay_out(self.folder / name, FIRST, "1.1", "1.2", "1.3") for name in self.environments}
        for name in self.environments:
            place = self.folder / name
            (place / "held.sh").write_text(HELD)
            (place / "held.sh").chmod(0o755)
            with (place / "releases" / "1.2" / "quotes.py").open("r+") as file:
                source = file.read().replace("\n\nclass Handler", f"{ILL_IN_PRODUCTION}\n\nclass Handler")
                file.seek(0)
                file.write(source)
            variables = {"QUOTES_PORT": str(self.ports[name]), "QUOTES_STATE": str(place / "running")}
            words = ["./quotes.sh", "deploy", FIRST]
            process = await asyncio.create_subprocess_exec(*words, cwd=place, env={**os.environ, **variables}, start_new_session=True)
            assert await process.wait() == 0
            await self.platform(name).save(f"{self.name}-{name}", overwrite=True)

    def plan(self, **changes: Any) -> str:
        """Write a plan in one step, judged by probes."""
        plan = plan_of(self.name)
        health = [{"path": "/version", "expect": {"contains": "{version}"}}, {"path": "/", "expect": {"contains": "Make it work"}}]
        sli = {"name": "errors", "source": "probe", "path": "/", "indicator": "errors", "tolerance": 0.3, "limit": 0.6}
        production = {"platform": f"script/{self.name}-production", "steps": [{"percent": 100, "watch_seconds": 0}]}
        sections = {
            "verification": {**plan["verification"], "health": health},
            "judgement": {**plan["judgement"], "slis": [sli]},
            "staging": {"platform": f"script/{self.name}-staging"},
            "production": production,
            "logs": {"incomplete": "warn"},
        }
        return super().plan(**{**sections, **changes})

    def calls(self, environment: str) -> list[str]:
        """List what the scripts were asked to change."""
        path = self.folder / environment / "calls"
        return path.read_text().splitlines() if path.exists() else []

    async def end(self) -> None:
        """End what runs."""
        for name in self.environments:
            end_service(self.folder / name)


@pytest.fixture
async def scripts(runner: Runner, tmp_path: Path) -> AsyncIterator[ScriptStage]:
    """Give a service whose first version was deployed by hand."""
    stage = ScriptStage("script", tmp_path, runner)
    await stage.raise_up()
    yield stage
    await stage.end()


async def check_runs(stage: ScriptStage, version: str) -> None:
    """Assert that a version runs in both environments, owned by no one, and answers."""
    for name in stage.environments:
        position = await stage.platform(name).current()
        assert (position["baseline"], position["canary"], position["ready"]) == (version, None, {version: True}), name
        assert position["owner"] is None
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{stage.ports[name]}/version")).text == version


async def progress(stage: ScriptStage, environment: str) -> list[tuple[Any, str]]:
    """Read the progress artifacts of an environment, the oldest first: how far each is, and what it says."""
    from prefect import get_client  # noqa: PLC0415 - as below
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey  # noqa: PLC0415

    from blocks.script.artifact import key_of  # noqa: PLC0415

    key = key_of(stage.name, stage.platform(environment)._folder())
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return [(one.data, one.description or "") for one in sorted(found, key=lambda one: str(one.created))]


async def logged(run: str) -> set[str]:
    """Read what a run and its phases logged; of tasks only warnings are kept in an installation."""
    from prefect import get_client  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

    from tasks.lifecycle.run_logs import family_of, read_lines  # noqa: PLC0415

    async with get_client() as client:
        runs = await family_of(client, await client.read_flow_run(run))
        return {line.message async for line in read_lines(client, runs) if line.task_run_id is None}


async def test_a_version_is_deployed_by_scripts_and_a_bad_one_is_rolled_back_by_them(scripts: ScriptStage) -> None:
    """Each script runs once in each environment; what was deployed by hand before is the baseline, without a word to anyone."""
    scripts.tag("1.1")
    ran = await scripts.release_through("1.1")
    assert ran.state == "Deployed", ran.message
    await check_closed(scripts, ran, outcome="deployed")
    await check_runs(scripts, "1.1")
    assert [scripts.calls(name) for name in scripts.environments] == [["deploy 1.1"]] * 2

    lines = await logged(ran.id)
    assert {"deploy 1.1: 50 %: starting 1.1", "deploy 1.1: begins as run 1, for 30 s at most"} <= lines
    assert any(line.startswith("deploy 1.1: exited with 0 after") and "it left running" in line for line in lines)
    for name in scripts.environments:
        ((percent, words),) = await progress(scripts, name)
        assert (percent, words.startswith("`deploy 1.1`: `exited with 0 after ")) == (100, True)

    scripts.tag("1.2")
    ran = await scripts.release_through("1.2")
    assert ran.state == "RolledBack", ran.message
    await check_closed(scripts, ran, outcome="rolled_back")
    await check_runs(scripts, "1.1")
    assert scripts.calls("production") == ["deploy 1.1", "deploy 1.2", "deploy 1.1"]
    found = await progress(scripts, "production")
    assert [(percent, words.partition(":")[0]) for percent, words in found] == [
        (100, "`deploy 1.1`"),
        (100, "`deploy 1.2`"),
        (100, "`rollback from 1.2`"),
    ]


async def test_a_script_that_runs_while_its_worker_dies_is_adopted(scripts: ScriptStage) -> None:
    """The next attempt follows it to its end; it ran once, and the release is deployed."""
    scripts.tag("1.3")
    hold = scripts.folder / "production" / "hold"
    hold.touch()
    run = await scripts.release("1.3")
    pid, _ = scripts.runner.start(run, "release")
    async with asyncio.timeout(120):
        while scripts.calls("production") != ["deploy 1.3"]:  # noqa: ASYNC110 - what is waited for happens outside of this process
            await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    await ended(pid)
    hold.unlink()
    for _ in range(MOST_ATTEMPTS):
        if not await keep(run, settle=scripts.settle):
            break
        if (await scripts.seen(run)).state == "AwaitingRetry":
            await scripts.runner.run(run, "release")
    ran = await scripts.seen(run)
    assert ran.state == "Deployed", ran.message
    await check_closed(scripts, ran, outcome="deployed")
    await check_runs(scripts, "1.3")
    assert scripts.calls("production") == ["deploy 1.3"]


async def test_a_rollback_by_scripts_is_rehearsed_in_staging_and_not_if_production_runs_other_scripts(scripts: ScriptStage) -> None:
    """Production's scripts are read and never run; where they differ, nothing runs in staging either."""
    from tasks.evidence.rehearsals import read_rehearsals  # noqa: PLC0415

    asked = {"plan": scripts.plan(), "requester": "rita", "version": "1.1"}
    ran = await scripts.carry_through(await scripts.ask("rehearse", **asked), "rehearse")
    assert ran.state == "Rehearsed", ran.message
    await check_closed(scripts, ran, outcome="rehearsed")
    await check_runs(scripts, FIRST)
    assert scripts.calls("staging") == ["deploy 1.1", f"deploy {FIRST}"]
    assert scripts.calls("production") == []
    (found,) = read_rehearsals(scripts.name)
    assert (found.outcome, found.method.kind, found.method.strategy) == ("passed", "script", "rolling")

    with (scripts.folder / "production" / "held.sh").open("a") as file:
        file.write("# another one\n")
    ran = await scripts.carry_through(await scripts.ask("rehearse", **asked), "rehearse")
    assert ran.state == "Refused", ran.message
    assert "production runs other programs or words than staging for" in ran.message
    assert len(scripts.calls("staging")) == 2
