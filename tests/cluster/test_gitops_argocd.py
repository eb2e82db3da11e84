"""Releases through Git with a real Argo CD: forward, back, beside colleagues, and with the Git server gone in the middle."""

from __future__ import annotations

import asyncio
import os
import time

import pytest
import yaml

from blocks.errors import RolloutFailed, Unreachable
from blocks.platform import Lease
from tests.cluster.cluster_world import IMAGE, Gateway, Visitor
from tests.cluster.gitops_scene import GitOpsScene, image_in
from tests.cluster.gitops_world import WORKLOAD, GitOps
from tests.cluster.scene import FIRST, READY, SECOND

pytestmark = [pytest.mark.cluster, pytest.mark.argocd, pytest.mark.timeout(1_200)]
FORWARD, BACK = f"Deploy podinfo {SECOND}", f"Revert podinfo {SECOND}"
# Longer than Argo CD's self-healing takes, and than the git server's return needs to be seen.
WATCHED_SECONDS = float(os.environ.get("SHIPWAY_WATCHED_SECONDS", "40"))

LINGER_SECONDS = 3


def scene_of(gitops: GitOps, *, by_api: bool = False, **settings: object) -> GitOpsScene:
    """Give the platform of a service that Argo CD deploys."""
    engine = gitops.engine_by_api() if by_api else gitops.engine()
    return GitOpsScene(gitops.world, gitops.repository, engine, {"git_patience_seconds": 5, **settings}, gitops.git, WORKLOAD)


async def bring(scene: GitOpsScene, owner: str = "run-1") -> Lease:
    """Deploy the second version."""
    lease = await scene.platform().acquire_lease(owner)
    await scene.platform().prepare(SECOND, lease, timeout_seconds=READY)
    await scene.platform().shift(100, lease)
    return lease


async def stays(gitops: GitOps, version: str) -> None:
    """Watch that the workload runs one version for a while."""
    end = asyncio.get_running_loop().time() + WATCHED_SECONDS
    while asyncio.get_running_loop().time() < end:
        assert await gitops.image() == version
        await asyncio.sleep(1)


def ours(scene: GitOpsScene) -> list[str]:
    """List the subjects of commits of ours and of colleagues since the service was made, newest first."""
    return scene.repository.subjects()[:-2]


@pytest.mark.parametrize("by_api", [False, True], ids=["kubernetes", "api"])
async def test_a_release_goes_forward_and_back(gitops: GitOps, *, by_api: bool) -> None:
    """One commit each; auto-sync deploys both, and leaves the previous version where it is."""
    await gitops.deployed()
    scene = scene_of(gitops, by_api=by_api)
    lease = await bring(scene)
    assert (await gitops.image(), ours(scene)) == (SECOND, [FORWARD])
    await scene.platform().abort(lease)
    position = await scene.platform().current()
    assert (position["baseline"], position["canary"]) == (FIRST, None)
    assert (await gitops.image(), ours(scene)) == (FIRST, [BACK, FORWARD])
    await stays(gitops, FIRST)


async def test_no_request_fails_while_a_release_goes_forward_and_back(gitops: GitOps, gateway: Gateway) -> None:
    """The workload's own rollout replaces the pods, whose manifest lets them serve until the gateway knows that they go."""
    await gitops.deployed()
    commit = gitops.repository.write({WORKLOAD: lingering(gitops.repository.read(WORKLOAD))})
    await gitops.engine().refresh()
    await gitops.synced(commit)
    await gitops.world.rolled_out()
    scene = scene_of(gitops)
    async with Visitor(await gitops.world.route(gateway), per_second=20).visiting() as visitor:
        lease = await bring(scene)
        await scene.platform().abort(lease)
        await asyncio.sleep(LINGER_SECONDS + 1)
        gone = time.time()
        await asyncio.sleep(1)
    assert visitor.bad == []
    assert visitor.versions == {FIRST, SECOND}
    assert {one.version for one in visitor.since(gone)} == {FIRST}


def lingering(content: bytes) -> bytes:
    """Let podinfo's pods serve for a while after they were told to stop."""
    found = yaml.safe_load(content)
    pod = found["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 10
    pod["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": LINGER_SECONDS}}}
    found["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    return yaml.safe_dump(found, sort_keys=False).encode()


async def test_a_promoted_release_stays(gitops: GitOps) -> None:
    """Argo CD says Synced, and the notes of the release are no difference to it."""
    await gitops.deployed()
    scene = scene_of(gitops)
    lease = await bring(scene)
    await scene.platform().promote(lease)
    await scene.platform().release_lease(lease)
    assert (await scene.platform().current())["baseline"] == SECOND
    assert (await scene.platform().of.engine.look()).synced
    assert (await scene.platform().preview("6.9.2"))["drift"] == []


async def test_an_application_that_does_not_sync_by_itself_is_synced(gitops: GitOps) -> None:
    """Forward and back, each by a sync of ours."""
    commit = await gitops.deployed(automatic=False)
    await gitops.engine().sync(commit, note="first")
    await gitops.synced(commit)
    scene = scene_of(gitops)
    lease = await bring(scene)
    assert await gitops.image() == SECOND
    await scene.platform().abort(lease)
    assert (await gitops.image(), ours(scene)) == (FIRST, [BACK, FORWARD])


async def test_a_version_that_does_not_come_up_is_named_with_evidence(gitops: GitOps) -> None:
    """Within seconds of the cluster knowing it; the abort reverts it."""
    await gitops.deployed()
    scene = scene_of(gitops)
    lease = await scene.platform().acquire_lease("run-1")
    await scene.platform().prepare("0.0.0-not-there", lease, timeout_seconds=READY)
    with pytest.raises(RolloutFailed) as caught:
        await scene.platform().shift(100, lease)
    assert caught.value.evidence
    await scene.platform().abort(lease)
    await gitops.world.rolled_out()
    assert await gitops.image() == FIRST


async def test_a_colleagues_commit_beside_ours_is_deployed_and_stays(gitops: GitOps) -> None:
    """It lands on top of ours before the revert; both are in the cluster afterwards, but for our version."""
    await gitops.deployed()
    scene = scene_of(gitops)
    lease = await bring(scene)
    content = gitops.repository.read(WORKLOAD).replace(b"replicas: 1", b"replicas: 2")
    gitops.repository.write({WORKLOAD: content})
    await scene.platform().abort(lease)
    found = await gitops.world.cluster.read("Deployment", "podinfo")
    assert found is not None
    assert (found["spec"]["replicas"], await gitops.image()) == (2, FIRST)
    assert ours(scene) == [BACK, "A colleague's change", FORWARD]


async def test_the_git_server_stops_in_the_middle(gitops: GitOps) -> None:
    """The previous version is applied and held; Git is told when it is back, and auto-sync is as it was."""
    await gitops.deployed()
    before = (await gitops.read())["spec"]["syncPolicy"]
    scene = scene_of(gitops)
    lease = await bring(scene)
    gitops.remote.status = 503
    await scene.platform().abort(lease)
    position = await scene.platform().current()
    assert (position["baseline"], position["canary"], await gitops.image()) == (FIRST, None, FIRST)
    assert image_in(gitops.repository.read(WORKLOAD)) == f"{IMAGE}:{SECOND}"
    await gitops.world.rolled_out()
    await stays(gitops, FIRST)
    with pytest.raises(Unreachable):
        await scene.platform().settle(lease)
    gitops.remote.status = 0
    await stays(gitops, FIRST)
    assert "the hold is released" in await scene.platform().settle(lease)
    assert ours(scene) == [BACK, FORWARD]
    assert (await gitops.read())["spec"]["syncPolicy"] == before
    await stays(gitops, FIRST)
    assert (await scene.platform().of.engine.look()).synced
