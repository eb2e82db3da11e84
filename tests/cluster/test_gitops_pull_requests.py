"""Releases through Git by pull requests: the cluster follows what is merged, and a rollback waits for no reviewer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from blocks.errors import Refused, RolloutFailed
from blocks.platform import Lease
from tests.cluster.cluster_world import IMAGE, World
from tests.cluster.fake_engine import FakeEngine
from tests.cluster.gitops_scene import FILE, GitOpsScene, manifests
from tests.cluster.gitops_world import WORKLOAD, GitOps
from tests.cluster.scene import FIRST, READY, SECOND
from tests.forge_server import ForgeServer, serving_forge
from tests.git_remotes import Repository, make_repository
from tests.pull_requests import PROTECTED
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
FORWARD, BACK = f"Deploy podinfo {SECOND}", f"Revert podinfo {SECOND}"
PATIENCE = {"git_patience_seconds": 30, "rollback_patience_seconds": 60, "sync_timeout_seconds": 120}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """Give podinfo in a repository."""
    found = make_repository(tmp_path)
    found.write({FILE: manifests()}, "podinfo")
    return found


@pytest.fixture
def forge(repository: Repository) -> Iterator[ForgeServer]:
    """Serve a forge."""
    with serving_forge("github", repository) as found:
        yield found


@pytest.fixture
async def engine(world: World, repository: Repository) -> FakeEngine:
    """Give podinfo, deployed."""
    found = FakeEngine(repository, world)
    await found.refresh()
    await world.rolled_out()
    return found


def scene_of(engine: FakeEngine, forge: ForgeServer, **fields: object) -> GitOpsScene:
    """Give the platform of a service whose changes go in by the forge."""
    return GitOpsScene(engine.world, engine.repository, engine, dict(PATIENCE), forge.git(**fields))


async def prepared(scene: GitOpsScene) -> Lease:
    """Prepare the second version."""
    lease = await scene.platform().acquire_lease("run-1")
    await scene.platform().prepare(SECOND, lease, timeout_seconds=READY)
    return lease


async def opened(forge: ForgeServer, count: int = 1) -> None:
    """Wait until so many pull requests were opened."""

    async def holds() -> bool:
        return len(forge.requests.of) == count

    await until(holds, timeout_seconds=60)


async def position(scene: GitOpsScene) -> tuple[str | None, str | None]:
    """Say what runs."""
    found = await scene.platform().current()
    return found["baseline"], found["canary"]


async def test_a_release_follows_its_pull_request_and_comes_back(engine: FakeEngine, forge: ForgeServer) -> None:
    """People merge it; what is under way names its page; the rollback is pushed."""
    scene = scene_of(engine, forge)
    assert any("goes in by a pull request of shop/deploy into main" in note for note in (await scene.platform().preview(SECOND))["notes"])
    lease = await prepared(scene)
    shift = asyncio.create_task(scene.platform().shift(100, lease))
    await opened(forge)
    await asyncio.sleep(3)
    page = f"{forge.url}/shop/deploy/pull/1"
    assert (await scene.platform().link(), shift.done(), await engine.world.cluster.call("GET", "/version") is not None) == (
        page,
        False,
        True,
    )
    assert any(page in line for line in await scene.platform().progress())
    forge.requests.merge(1, "squash", message="Ship it (#1)")
    await shift
    assert (await position(scene), scene.image()) == ((FIRST, SECOND), f"{IMAGE}:{SECOND}")
    await scene.platform().abort(lease)
    assert (await position(scene), scene.subjects()) == ((FIRST, None), [BACK, "Ship it (#1)"])
    assert len(forge.requests.of) == 1


async def test_a_release_that_dies_while_it_waits_is_withdrawn_by_the_rollback(engine: FakeEngine, forge: ForgeServer) -> None:
    """Another process takes over: nothing is left that a person could merge, and Git is as it was."""
    scene = scene_of(engine, forge)
    lease = await prepared(scene)
    shift = asyncio.create_task(scene.platform().shift(100, lease))
    await opened(forge)
    shift.cancel()
    with suppress(asyncio.CancelledError):
        await shift
    lease = await scene.platform().acquire_lease("run-2", takeover=True)
    await scene.platform().abort(lease)
    assert (await position(scene), scene.subjects(), engine.holder) == ((FIRST, None), [], "")
    assert ([one.state for one in forge.requests.of], forge.requests.branches()) == (["closed"], [])


async def test_a_pull_request_that_people_close_ends_the_release(engine: FakeEngine, forge: ForgeServer) -> None:
    """With its page; the rollback has nothing to revert."""
    scene = scene_of(engine, forge)
    lease = await prepared(scene)
    shift = asyncio.create_task(scene.platform().shift(100, lease))
    await opened(forge)
    forge.requests.close(1)
    with pytest.raises(RolloutFailed, match=r"/pull/1 was closed without being merged"):
        await shift
    await scene.platform().abort(lease)
    assert (await position(scene), scene.subjects(), engine.holder) == ((FIRST, None), [], "")


async def test_a_rollback_on_a_protected_branch_holds_the_engine_until_people_merge(engine: FakeEngine, forge: ForgeServer) -> None:
    """The previous version runs at once; the keeper sees the merge, and ends the hold."""
    scene = scene_of(engine, forge, merge=True)
    lease = await prepared(scene)
    await scene.platform().shift(100, lease)
    engine.repository.hook("pre-receive", PROTECTED)
    forge.requests.needs_review = True
    await scene.platform().abort(lease)
    assert (await position(scene), scene.image(), engine.holder) == ((FIRST, None), f"{IMAGE}:{SECOND}", "run-1")
    assert any("waits for the merge of" in line and "/pull/2" in line for line in await scene.platform().progress())
    assert await scene.platform().is_due()
    with pytest.raises(Refused, match="waits for the merge of"):
        await scene.platform().settle(lease)
    await engine.refresh()
    assert (await position(scene), len(forge.requests.of)) == ((FIRST, None), 2)
    forge.requests.approved.add(2)
    assert "the hold is released" in await scene.platform().settle(lease)
    assert (scene.image(), engine.holder, [one.state for one in forge.requests.of]) == (f"{IMAGE}:{FIRST}", "", ["merged", "merged"])


@pytest.mark.argocd
@pytest.mark.parametrize("kind", ["github", pytest.param("gitlab", marks=pytest.mark.variant)])
async def test_argo_cd_deploys_what_is_merged_and_is_held_while_the_revert_waits(gitops: GitOps, kind: str) -> None:
    """With the real Argo CD: squashed by people, rolled back at once on a protected branch, and settled once the revert is merged."""
    await gitops.deployed()
    with serving_forge(kind, gitops.repository) as forge:
        git = gitops.git.model_copy(update={"pull_requests": forge.git().pull_requests})
        scene = GitOpsScene(gitops.world, gitops.repository, gitops.engine(), dict(PATIENCE), git, WORKLOAD)
        lease = await prepared(scene)
        shift = asyncio.create_task(scene.platform().shift(100, lease))
        await opened(forge)
        forge.requests.merge(1, "squash", message="Ship it")
        await shift
        assert await gitops.image() == SECOND
        gitops.repository.hook("pre-receive", PROTECTED)
        await scene.platform().abort(lease)
        assert (await gitops.image(), [one.state for one in forge.requests.of]) == (FIRST, ["merged", "open"])
        await gitops.stays(FIRST)
        assert (await gitops.engine().look()).held
        forge.requests.merge(2, "merge")
        assert "the hold is released" in await scene.platform().settle(lease)
        await gitops.stays(FIRST)
        seen = await gitops.engine().look()
        assert (seen.held, seen.synced, seen.revision) == (False, True, gitops.repository.head)
