"""Whole releases on a cluster that are killed, rolled back by hand, doubled, or lose the API server: each ends well, as its record says."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blocks.kubernetes.api.client import Cluster
from tests.cluster.cluster_world import Gateway, Visitor, World, drop_namespace, make_namespace
from tests.cluster.outage import behind_a_line
from tests.cluster.scene import FIRST, SECOND, THIRD, Scene, platform_of, raise_scene
from tests.flows.harness import Stage, check_closed, plan_of
from tests.flows.processes import Runner, deploy_trials, ended, hang_up, running

pytestmark = [pytest.mark.cluster, pytest.mark.server, pytest.mark.timeout(600)]
OUTAGE_SECONDS = 60
STOPPED_SECONDS = 20
SLI = {"name": "errors", "source": "probe", "path": "/healthz", "indicator": "errors", "tolerance": 0.3, "limit": 0.6}


@dataclass
class ClusterStage(Stage):
    """podinfo in a namespace for staging, and in one for production, behind a route; the plan is the harness's own."""

    scenes: dict[str, Scene] = field(default_factory=dict)

    def platform(self, environment: str) -> Any:
        """Return an environment's platform."""
        return self.scenes[environment].platform

    async def raise_up(self) -> None:
        """Make repository and blocks."""
        self.repository.mkdir(parents=True)
        self.git("init", "--quiet")
        for version in (FIRST, SECOND, THIRD):
            self.tag(version)
        for environment in ("staging", "production"):
            await self.platform(environment).save(f"{self.name}-{environment}", overwrite=True)

    def plan(self, **changes: Any) -> str:
        """Write a plan on these platforms."""
        usual = plan_of(self.name)
        sections = {name: {**usual[name], "platform": f"kubernetes/{self.name}-{name}"} for name in ("staging", "production")}
        return super().plan(**{**sections, "judgement": {**usual["judgement"], "slis": [SLI]}, **changes})

    async def check_all_well(self, version: str) -> None:
        """Assert that both environments are as a closed release must leave them."""
        for scene in self.scenes.values():
            await scene.check_well(version)

    async def started(self, run: str, flow: str, point: str) -> int:  # type: ignore[override]
        """Start a run, wait until it passed a point, and give its process."""
        pid, points = self.runner.start(run, flow)
        async with asyncio.timeout(120):
            while not points.exists() or point not in points.read_text():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.1)
        return pid


@pytest.fixture(scope="module")
def forking(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Return the process that forks runs, and deployments that no worker takes."""
    with running(tmp_path_factory.mktemp("points"), server.environment) as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHIPWAY_KEY_FILE", server.environment["SHIPWAY_KEY_FILE"])
        asyncio.run(deploy_trials())
        yield found
    asyncio.run(hang_up())


@pytest.fixture
async def stage(world: World, gateway: Gateway, forking: Runner, tmp_path: Path) -> AsyncIterator[ClusterStage]:
    """Run the first version in both environments."""
    name = f"podinfo-{secrets.token_hex(4)}"
    beside = World(Cluster(world.cluster.api, f"t-{name}"), f"t-{name}")
    await make_namespace(beside.cluster)
    try:
        await beside.podinfo(FIRST)
        staging = Scene(beside, platform_of(beside, "rolling"))
        staging.before = await staging.specs()
        stage = ClusterStage(name, tmp_path, forking)
        stage.scenes = {"staging": staging, "production": await raise_scene(world, gateway, "canary+route")}
        await stage.raise_up()
        yield stage
    finally:
        await drop_namespace(beside.cluster)


async def check_deployed(stage: ClusterStage, ran: Any, visitor: Visitor) -> None:
    """Assert that a release deployed the second version whatever came between, and that no visitor noticed."""
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")
    await stage.check_all_well(SECOND)
    assert visitor.bad == []


@pytest.mark.faults
@pytest.mark.parametrize("point", ["task prepare revision", "task watch step", "Cluster.call DELETE", "task promote revision"])
async def test_a_release_killed_on_a_cluster_is_carried_on_and_deploys(stage: ClusterStage, point: str) -> None:
    """Between two effects or in the middle of one: the next attempt goes on, and no visitor notices."""
    async with Visitor(stage.scenes["production"].url, per_second=10).visiting() as visitor:
        ran = await stage.release_through(SECOND, kill_at=point)
    assert ran.points[-1].partition(" ")[2].startswith(point)
    await check_deployed(stage, ran, visitor)


@pytest.mark.faults
@pytest.mark.parametrize("point", ["Cluster.call DELETE", 0])
async def test_a_rollback_by_hand_takes_over_what_a_dead_release_left(stage: ClusterStage, point: int | str) -> None:
    """A person calls it after the release died in its watch; it may die in the middle itself, and the previous version serves again."""
    run = await stage.release(SECOND)
    await stage.runner.run(run, "release", kill_at="task watch step")
    async with Visitor(stage.scenes["production"].url, per_second=10).visiting() as visitor:
        back = await stage.ask("rollback", plan=stage.plan(), reason="critical bug 812")
        ran = await stage.carry_through(back, "rollback", kill_at=point)
    await check_closed(stage, ran, outcome="rolled_back")
    await stage.scenes["production"].check_well(FIRST)
    assert visitor.bad == []
    await stage.carry_through(run, "release")
    await stage.check_all_well(FIRST)


async def test_of_two_releases_at_once_one_deploys_and_one_is_refused(stage: ClusterStage) -> None:
    """Two processes begin at the same moment: the service ends in the version of the one that was let in."""
    plan = stage.plan()
    runs = {version: await stage.release(version, plan=plan) for version in (SECOND, THIRD)}
    for pid in [stage.runner.start(run, "release")[0] for run in runs.values()]:
        await ended(pid)
    seen = {version: await stage.carry_through(run, "release") for version, run in runs.items()}
    (version,) = [version for version, ran in seen.items() if ran.state == "Deployed"]
    (other,) = [ran for ran in seen.values() if ran.state != "Deployed"]
    assert other.state == "Refused", other.message
    await check_closed(stage, other, outcome="refused")
    await stage.check_all_well(version)


async def test_a_route_deleted_under_a_release_fails_it_and_leaves_no_canary(stage: ClusterStage) -> None:
    """It ends with what a person must do, and what is left is the owner's: the workload and its Service, at the previous version."""
    production = stage.scenes["production"]
    usual = plan_of(stage.name)["production"]
    steps = [{"percent": 50, "watch_seconds": 40}, {"percent": 100, "watch_seconds": 0}]
    plan = stage.plan(production={**usual, "platform": f"kubernetes/{stage.name}-production", "steps": steps})
    run = await stage.release(SECOND, plan=plan)
    pid = await stage.started(run, "release", "task begin watch")
    await production.world.remove({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "podinfo"}})
    await ended(pid)
    ran = await stage.carry_through(run, "release")
    assert ran.state in {"Failed", "RolledBack"}, ran.message
    assert "HTTPRoute podinfo does not exist" in ran.message
    assert "Apply it again" in ran.message
    assert sorted(await production.specs()) == ["Deployment podinfo", "Service podinfo"]
    await stage.scenes["staging"].check_well(FIRST)
    found = await production.world.rolled_out()
    assert found["spec"]["template"]["spec"]["containers"][0]["image"].endswith(FIRST)


@pytest.mark.alone
@pytest.mark.parametrize("point", ["task prepare revision", "task begin watch", "task promote revision"])
async def test_a_release_outlives_a_node_whose_runtime_stops(stage: ClusterStage, node_runtime: int, point: str) -> None:
    """Neither a pod starts nor one ends for twenty seconds: the release waits and deploys, and what serves goes on serving."""
    production, usual = stage.scenes["production"], plan_of(stage.name)
    patient = {**usual["production"], "platform": f"kubernetes/{stage.name}-production", "ready_timeout_seconds": 90}
    stable = {**usual["verification"]["stability"], "timeout_seconds": 40}  # a pod is reached in private through the runtime
    plan = stage.plan(production=patient, verification={**usual["verification"], "stability": stable})
    run = await stage.release(SECOND, plan=plan)
    async with Visitor(production.url, per_second=10).visiting() as visitor:
        pid = await stage.started(run, "release", point)
        os.kill(node_runtime, signal.SIGSTOP)
        try:
            await asyncio.sleep(STOPPED_SECONDS)
        finally:
            os.kill(node_runtime, signal.SIGCONT)
        await ended(pid, timeout_seconds=200)
        ran = await stage.carry_through(run, "release")
    await check_deployed(stage, ran, visitor)


@pytest.mark.faults
@pytest.mark.parametrize("point", ["task begin watch", "task watch step"])
async def test_a_release_outlives_an_api_server_that_restarts_for_a_minute(stage: ClusterStage, world: World, point: str) -> None:
    """Away in its watch, or between its effects: the first attempt goes on when the server is there again, and deploys."""
    production = stage.scenes["production"]
    async with behind_a_line(world, production.platform) as outage, Visitor(production.url, per_second=10).visiting() as visitor:
        await outage.platform.save(f"{stage.name}-production", overwrite=True)  # type: ignore[misc]
        run = await stage.release(SECOND)
        pid = await stage.started(run, "release", point)
        await outage.away(OUTAGE_SECONDS)
        await ended(pid, timeout_seconds=200)
        ran = await stage.carry_through(run, "release")
    await check_deployed(stage, ran, visitor)
