"""Releases by scripts on four hosts, through the real flows and over real sshds: batches, a rollback, and what a host may do meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.harness import FIRST, MOST_ATTEMPTS, Stage, check_closed, plan_of
from tests.flows.keeping import keep
from tests.flows.processes import Runner, ended
from tests.hosts_example import PRODUCTION, SSHD, STAGING, Hosts, make_hosts

pytestmark = [
    pytest.mark.server,
    pytest.mark.faults,
    pytest.mark.timeout(600),
    pytest.mark.skipif(SSHD is None, reason="this machine has no sshd"),
]
STOPPED = "done on 1 of 2 hosts"


class HostsStage(Stage):
    """A host for staging, and four for production."""

    hosts: Hosts

    def platform(self, environment: str) -> Any:
        """Give an environment's platform."""
        return self.hosts.platform(STAGING if environment == "staging" else PRODUCTION, service=self.name)

    async def raise_up(self) -> None:
        """Start the hosts with the first version on each, deployed by hand."""
        self.repository.mkdir(parents=True)
        self.git("init", "--quiet")
        self.tag(FIRST)
        self.hosts = make_hosts(self.folder / "hosts")
        await asyncio.to_thread(self.hosts.up, FIRST)
        for name in self.environments:
            await self.platform(name).save(f"{self.name}-{name}", overwrite=True)

    def plan(self, **changes: Any) -> str:
        """Write a plan whose first step is half of the hosts."""
        plan = plan_of(self.name)
        health = [{"path": "/version", "expect": {"contains": "{version}"}}, {"path": "/"}]
        sli = {"name": "errors", "source": "probe", "path": "/", "indicator": "errors", "tolerance": 0.3, "limit": 0.6}
        steps = [{"percent": 50, "watch_seconds": 1}, {"percent": 100, "watch_seconds": 0}]
        sections = {
            "verification": {**plan["verification"], "health": health},
            "judgement": {**plan["judgement"], "slis": [sli]},
            "staging": {"platform": f"script-hosts/{self.name}-staging"},
            "production": {"platform": f"script-hosts/{self.name}-production", "strategy": "rolling", "steps": steps},
            "logs": {"incomplete": "warn"},
        }
        return super().plan(**{**sections, **changes})

    async def end(self) -> None:
        """Stop the hosts."""
        await asyncio.to_thread(self.hosts.run, "down")


@pytest.fixture
async def stage(runner: Runner, tmp_path: Path) -> AsyncIterator[HostsStage]:
    """Give a service whose first version was deployed by hand."""
    found = HostsStage("hosts", tmp_path, runner)
    try:
        await found.raise_up()
        yield found
    finally:
        await found.end()


async def check_runs(stage: HostsStage, version: str) -> None:
    """Assert that a version runs on all hosts, whose environments are owned by no one."""
    assert stage.hosts.versions() == [version] * len(PRODUCTION)
    for name in stage.environments:
        position = await stage.platform(name).current()
        assert (position["baseline"], position["canary"], position["ready"]) == (version, None, {version: True}), name
        assert position["owner"] is None


async def test_a_bad_version_stops_after_the_first_batch_and_a_host_with_another_key_lets_nothing_begin(stage: HostsStage) -> None:
    """It is rolled back on the hosts that a script touched, and on no other; a host that shows another key than the known one is named."""
    stage.tag("1.1")
    ran = await stage.release_through("1.1")
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")
    await check_runs(stage, "1.1")
    assert [stage.hosts.calls(host) for host in (*STAGING, *PRODUCTION)] == [["deploy 1.1"]] * 5

    stage.tag("1.2")
    ran = await stage.release_through("1.2")
    assert ran.state == "RolledBack", ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    await check_runs(stage, "1.1")
    touched = ["deploy 1.1", "deploy 1.2", "deploy 1.1"]
    assert [stage.hosts.calls(host) for host in PRODUCTION] == [touched, touched, ["deploy 1.1"], ["deploy 1.1"]]
    first, second = (f"{host}:{stage.hosts.port}" for host in PRODUCTION[:2])
    assert f"deploy 1.2: {STOPPED} ({first}); failed on {second}: " in ran.message

    before = [stage.hosts.calls(host) for host in (*STAGING, *PRODUCTION)]
    stage.hosts.run("rekey", "13")
    stage.tag("1.3")
    ran = await stage.release_through("1.3")
    assert ran.state == "Failed", ran.message
    await check_closed(stage, ran, outcome="failed")
    assert f"{PRODUCTION[2]}:{stage.hosts.port} does not show the key that is known of it" in ran.message
    assert [stage.hosts.calls(host) for host in (*STAGING, *PRODUCTION)] == before
    assert stage.hosts.versions() == ["1.1"] * 4


async def test_a_script_that_runs_on_a_host_while_its_worker_dies_is_adopted(stage: HostsStage) -> None:
    """The next attempt follows it to its end, and goes on with the hosts behind; each script ran once."""
    stage.tag("1.1")
    hold = stage.hosts.folder / PRODUCTION[1] / "hold"
    hold.touch()
    run = await stage.release("1.1")
    pid, _ = stage.runner.start(run, "release")
    async with asyncio.timeout(120):
        while stage.hosts.calls(PRODUCTION[1]) != ["deploy 1.1"]:  # noqa: ASYNC110 - what is waited for happens outside of this process
            await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    await ended(pid)
    hold.unlink()
    for _ in range(MOST_ATTEMPTS):
        if not await keep(run, settle=stage.settle):
            break
        if (await stage.seen(run)).state == "AwaitingRetry":
            await stage.runner.run(run, "release")
    ran = await stage.seen(run)
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")
    await check_runs(stage, "1.1")
    assert [stage.hosts.calls(host) for host in PRODUCTION] == [["deploy 1.1"]] * 4
