"""Whole releases through Git and Argo CD: killed, rolled back by hand, and with Git gone; one commit forward and at most one back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blocks.gitops.gitops import FileEdit, GitOps
from blocks.kubernetes.api.client import Cluster
from tests.cluster.cluster_world import IMAGE, World, drop_namespace, make_namespace
from tests.cluster.gitops_scene import PATH, image_in
from tests.cluster.gitops_world import WORKLOAD
from tests.cluster.gitops_world import GitOps as Deployed
from tests.cluster.scene import FIRST, SECOND, THIRD, platform_of
from tests.flows.harness import Ran, Stage, check_closed, plan_of
from tests.flows.processes import Runner, deploy_trials, hang_up, running
from tests.forge_server import API_TOKEN, ForgeServer, serving_forge
from tests.git_remotes import git

pytestmark = [pytest.mark.cluster, pytest.mark.argocd, pytest.mark.server, pytest.mark.timeout(600)]

SHIFTED = "effect production 100 % shift"
ASKED = ("effect production prepare", "WorkCopy.push_side")  # points around the pull request
SLI = {"name": "errors", "source": "probe", "path": "/healthz", "indicator": "errors", "tolerance": 0.3, "limit": 0.6}


@dataclass
class GitOpsStage(Stage):
    """podinfo in a namespace for staging, and in one that Argo CD deploys for production.

    Fields:
        beside: Staging.
        deployed: What Argo CD deploys.
        settings: Fields of the GitOps block besides.
        workload: Fields of the block of production's workload besides.
    """

    beside: World | None = None
    deployed: Deployed | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    workload: dict[str, Any] = field(default_factory=dict)

    @property
    def there(self) -> Deployed:
        """What Argo CD deploys."""
        assert self.deployed is not None
        return self.deployed

    def platform(self, environment: str) -> Any:
        """Return the block of an environment's workload."""
        world = self.beside if environment == "staging" else self.there.world
        assert world is not None
        return platform_of(world, "rolling", **({} if environment == "staging" else self.workload))

    async def raise_up(self) -> None:
        """Make the service's repository and the blocks."""
        self.repository.mkdir(parents=True)
        self.git("init", "--quiet")
        for version in (FIRST, SECOND, THIRD):
            self.tag(version)
        name = f"{self.name}-production"
        for environment in ("staging", "production"):
            await self.platform(environment).save(f"{self.name}-{environment}", overwrite=True)
        await self.there.git.save(name, overwrite=True)
        await self.there.engine().save(name, overwrite=True)
        edits = [FileEdit(file=WORKLOAD, path=PATH, resource="Deployment/podinfo", value=IMAGE + ":{version}")]
        named = {"git": f"git/{name}", "engine": f"argocd-application/{name}", "platform": f"kubernetes/{name}"}
        await GitOps(**named, edits=edits, git_patience_seconds=5, **self.settings).save(name, overwrite=True)

    def plan(self, **changes: Any) -> str:
        """Write a plan on these platforms: production in one step."""
        usual, name = plan_of(self.name), f"{self.name}-production"
        staging = {**usual["staging"], "platform": f"kubernetes/{self.name}-staging"}
        production = {**usual["production"], "platform": f"gitops/{name}", "steps": [{"percent": 100, "watch_seconds": 0}]}
        judgement = {**usual["judgement"], "slis": [SLI]}
        return super().plan(**{"staging": staging, "production": production, "judgement": judgement, **changes})

    def ours(self) -> list[str]:
        """List the subjects of the commits since the service was made, newest first."""
        return self.there.repository.subjects()[:-2]

    async def check_runs(self, version: str, *, git_says: str = "") -> None:
        """Assert what runs in production, and what Git says."""
        position = await self.platform("production").current()
        assert (position["baseline"], position["canary"], position["owner"]) == (version, None, None), position
        assert image_in(self.there.repository.read(WORKLOAD)) == f"{IMAGE}:{git_says or version}"
        await self.there.world.rolled_out()
        assert await self.there.image() == version


@pytest.fixture(scope="module")
def forking(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Return the process that forks runs, and deployments that no worker takes."""
    with running(tmp_path_factory.mktemp("points"), server.environment) as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHIPWAY_KEY_FILE", server.environment["SHIPWAY_KEY_FILE"])
        asyncio.run(deploy_trials())
        yield found
    asyncio.run(hang_up())


@pytest.fixture
async def stage(gitops: Deployed, forking: Runner, tmp_path: Path) -> AsyncIterator[GitOpsStage]:
    """Run the first version in both environments."""
    name = f"podinfo-{secrets.token_hex(4)}"
    beside = World(Cluster(gitops.world.cluster.api, f"t-{name}"), f"t-{name}")
    await make_namespace(beside.cluster)
    try:
        await beside.podinfo(FIRST)
        await gitops.deployed()
        stage = GitOpsStage(name, tmp_path / "service", forking, beside=beside, deployed=gitops)
        await stage.raise_up()
        yield stage
    finally:
        await drop_namespace(beside.cluster)


def deploys(stage: GitOpsStage, version: str = SECOND) -> str:
    """Give the subject of the commit forward."""
    return f"Deploy {stage.name} {version}"


def reverts(stage: GitOpsStage, version: str = SECOND) -> str:
    """Give the subject of the commit back."""
    return f"Revert {stage.name} {version}"


def review_of(ran: Ran) -> dict[str, Any]:
    """Give what the record says of the review."""
    return dict(next(entry.evidence for entry in ran.entries if entry.kind == "review"))


async def test_a_release_is_one_commit_that_says_what_it_is_about(stage: GitOpsStage) -> None:
    """The diff is in the record, and the digest of the record is in the commit."""
    ran = await stage.release_through(SECOND)
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")
    await stage.check_runs(SECOND)
    assert stage.ours() == [deploys(stage)]
    review = review_of(ran)
    assert any(line.endswith(f"{IMAGE}:{SECOND}") and line.startswith("+") for line in review["previews"]["production"]["changes"])
    said = git(stage.there.repository.bare, "log", "-1", "--format=%(trailers:only)", "main").splitlines()
    trailers = dict(line.split(": ", 1) for line in said)
    wanted = {"Release": ran.id, "Service": stage.name, "Version": SECOND, "Digest": review["digest"], "Reason": "a test"}
    assert {name: trailers[f"Shipway-{name}"] for name in wanted} == wanted


@pytest.mark.faults
@pytest.mark.parametrize("point", ["effect production prepare", "WorkCopy.push", SHIFTED, "effect production promote"])
async def test_a_release_that_is_killed_is_carried_on_with_one_commit(stage: GitOpsStage, point: str) -> None:
    """Between two effects, or between a push and its answer."""
    ran = await stage.release_through(SECOND, kill_at=point)
    assert ran.points[-1].partition(" ")[2].removeprefix("entry ").startswith(point)
    assert ran.state == "Deployed", ran.message
    await stage.check_runs(SECOND)
    assert stage.ours() == [deploys(stage)]


@pytest.mark.faults
@pytest.mark.parametrize("point", ["WorkCopy.push", 0])
async def test_a_rollback_by_hand_reverts_what_a_dead_release_pushed(stage: GitOpsStage, point: int | str) -> None:
    """The rollback may die behind its own push: there is one revert all the same."""
    run = await stage.release(SECOND)
    await stage.runner.run(run, "release", kill_at=SHIFTED)
    back = await stage.ask("rollback", plan=stage.plan(), reason="critical bug 812")
    ran = await stage.carry_through(back, "rollback", kill_at=point)
    await check_closed(stage, ran, outcome="rolled_back")
    await stage.check_runs(FIRST)
    assert stage.ours() == [reverts(stage), deploys(stage)]


async def test_a_deployed_version_is_rolled_back_by_a_commit(stage: GitOpsStage) -> None:
    """A revert of what was promoted is a release of the previous version."""
    await stage.release_through(SECOND)
    back = await stage.ask("rollback", plan=stage.plan(), reason="critical bug 812")
    ran = await stage.carry_through(back, "rollback")
    await check_closed(stage, ran, outcome="rolled_back")
    await stage.check_runs(FIRST)
    assert stage.ours() == [deploys(stage, FIRST), deploys(stage)]


@pytest.mark.parametrize("promoted", [False, True])
async def test_a_rollback_goes_on_without_git_and_git_is_told(stage: GitOpsStage, *, promoted: bool) -> None:
    """Verified without Git; once it is back, the keeper's own task pushes what is due, and the Application is as it was."""
    before = (await stage.there.read())["spec"]["syncPolicy"]
    run = await stage.release(SECOND)
    await stage.runner.run(run, "release", kill_at=0 if promoted else SHIFTED)
    stage.there.remote.status = 503
    back = await stage.ask("rollback", plan=stage.plan(), reason="critical bug 812")
    ran = await stage.carry_through(back, "rollback")
    await check_closed(stage, ran, outcome="rolled_back")
    await stage.check_runs(FIRST, git_says=SECOND)
    stage.there.remote.status = 0
    await stage.carry_through(run, "release")
    for _ in range(3):  # as it does each 20 s
        await stage.runner.run(await stage.ask("keeper"), "keeper")
        if len(stage.ours()) > 1 and (await stage.there.read())["spec"]["syncPolicy"] == before:
            break
    await stage.check_runs(FIRST)
    assert stage.ours() == [deploys(stage, FIRST) if promoted else reverts(stage), deploys(stage)]
    assert (await stage.there.read())["spec"]["syncPolicy"] == before


@pytest.fixture
async def forge(stage: GitOpsStage) -> AsyncIterator[ForgeServer]:
    """Let the changes of the service go in by a forge, which Shipway merges."""
    with serving_forge("github", stage.there.repository) as found:
        git_block = stage.there.git.model_copy(update={"pull_requests": found.git(merge=True).pull_requests})
        await git_block.save(f"{stage.name}-production", overwrite=True)
        yield found


@pytest.mark.parametrize(
    "point", [0, *(pytest.param(point, marks=pytest.mark.faults) for point in ("effect production prepare", "WorkCopy.push_side"))]
)
async def test_a_release_by_a_pull_request_is_recorded_with_its_page(stage: GitOpsStage, forge: ForgeServer, point: int | str) -> None:
    """Killed behind the push of its branch, too: there is one pull request; people read of it before they approve, and afterwards."""
    ran = await stage.release_through(SECOND, kill_at=point)
    assert not point or ran.points[-1].partition(" ")[2].removeprefix("entry ").startswith(str(point))
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")
    await stage.check_runs(SECOND)
    assert [one.state for one in forge.requests.of] == ["merged"]
    notes = review_of(ran)["previews"]["production"]["notes"]
    assert any("the change goes in by a pull request of shop/deploy into main" in note for note in notes)
    page = f"{forge.url}/shop/deploy/pull/1"
    assert any(entry.kind == "effect" and entry.why == f"through the pull request {page}" for entry in ran.entries)
    assert not any(API_TOKEN in str(entry) for entry in ran.entries)


async def test_a_release_whose_pull_request_is_closed_by_people_is_rolled_back(stage: GitOpsStage, forge: ForgeServer) -> None:
    """Its message names the page; Git and cluster are as before."""
    forge.requests.needs_review = True
    release = asyncio.create_task(stage.release_through(SECOND))
    while not forge.requests.of:
        assert not release.done(), release.result()
        await asyncio.sleep(0.5)
    forge.requests.close(1)
    ran = await release
    await check_closed(stage, ran, outcome="rolled_back")
    assert any("/pull/1 was closed without being merged" in entry.why for entry in ran.entries)
    await stage.check_runs(FIRST)
    assert stage.ours() == []
