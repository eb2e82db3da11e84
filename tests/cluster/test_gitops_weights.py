"""Canaries through Git by weights, with a real Argo CD, a real gateway, and a visitor all along."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.cluster.cluster_world import Gateway, Visitor, answering
from tests.cluster.gitops_scene import GitOpsScene
from tests.cluster.gitops_weights_scene import CANARY, history, manifests, says, settings
from tests.cluster.gitops_world import WORKLOAD, GitOps
from tests.cluster.scene import FIRST, READY, SECOND

pytestmark = [pytest.mark.cluster, pytest.mark.argocd, pytest.mark.timeout(600)]
GATEWAY_SECONDS = 3  # Traefik takes changes in every two seconds at most
PER_SECOND = 20
HELD_SECONDS = 12  # longer than Argo CD takes to undo what others write into the route


@pytest.fixture
async def scene(gitops: GitOps, gateway: Gateway) -> GitOpsScene:
    """Give podinfo and its canary behind the gateway, deployed by Argo CD."""
    path = f"/{gitops.world.namespace}"
    gitops.repository.write({WORKLOAD: manifests(gateway, path=path)}, "podinfo")
    await gitops.apply(gitops.manifest())
    await gitops.synced(gitops.repository.head)
    for name in ("podinfo", CANARY):
        await gitops.world.rolled_out(name)
    url = f"{gateway.url}{path}"
    await answering(url)
    fields = {**settings(WORKLOAD), "git_patience_seconds": 10}
    kubernetes = {"route": "podinfo", "url": url, "gateway_metrics": gateway.metrics_url, "drain_seconds": GATEWAY_SECONDS}
    return GitOpsScene(gitops.world, gitops.repository, gitops.engine(), fields, gitops.git, WORKLOAD, kubernetes)


def share(visitor: Visitor, since: float) -> float:
    """Say which share of the answers came from the second version, in percent."""
    found = visitor.since(since)
    return 100 * sum(one.version == SECOND for one in found) / len(found)


async def test_a_good_canary_gets_its_shares_by_commits_and_no_request_fails(scene: GitOpsScene) -> None:
    """No request fails in 25, 50 and 100 %, nor while the workload itself is updated; the counts tell the versions apart."""
    before = scene.repository.head
    lease = await scene.platform().acquire_lease("run-1")
    async with Visitor(scene.kubernetes["url"], per_second=PER_SECOND).visiting() as visitor:
        await scene.platform().prepare(SECOND, lease, timeout_seconds=READY)
        assert visitor.versions <= {FIRST}
        for percent in (25, 50, 100):
            await scene.platform().shift(percent, lease)
            position = await scene.platform().current()
            assert (position["baseline"], position["canary"], position["percent"]) == (FIRST, SECOND, percent)
            assert position["ready"] == {FIRST: True, SECOND: True}
            await asyncio.sleep(GATEWAY_SECONDS)
            since = time.time()
            await asyncio.sleep(4)
            assert abs(share(visitor, since) - percent) < 15
        counts = await scene.platform().counts()
        assert min(counts[version]["requests"] for version in (FIRST, SECOND)) > PER_SECOND
        await scene.platform().promote(lease)
        await asyncio.sleep(GATEWAY_SECONDS)
    assert visitor.bad == []
    position = await scene.platform().current()
    assert (position["baseline"], position["canary"], position["previous"]) == (SECOND, None, FIRST)
    assert history(scene.repository, file=WORKLOAD, since=before) == [
        (FIRST, SECOND, 100, 0),
        (FIRST, SECOND, 75, 25),
        (FIRST, SECOND, 50, 50),
        (FIRST, SECOND, 0, 100),
        (SECOND, SECOND, 0, 100),
        (SECOND, SECOND, 100, 0),
    ]
    assert (await scene.engine.look()).synced


async def test_the_git_server_stops_while_a_canary_has_a_share(gitops: GitOps, scene: GitOpsScene) -> None:
    """The Application is held and the route set, which stays so; Git is told when it is back, and the automatic sync is as it was."""
    before, policy = scene.repository.read(WORKLOAD), (await gitops.read())["spec"]["syncPolicy"]
    lease = await scene.platform().acquire_lease("run-1")
    await scene.platform().prepare(SECOND, lease, timeout_seconds=READY)
    await scene.platform().shift(50, lease)
    gitops.remote.status = 503
    await scene.platform().abort(lease)
    position = await scene.platform().current()
    assert (position["baseline"], position["canary"]) == (FIRST, None)
    assert says(scene.repository.read(WORKLOAD))[3] == 50
    async with Visitor(scene.kubernetes["url"], per_second=PER_SECOND).visiting() as visitor:
        await asyncio.sleep(GATEWAY_SECONDS)
        since = time.time()
        await asyncio.sleep(HELD_SECONDS)
        gitops.remote.status = 0
        assert "the hold is released" in await scene.platform().settle(lease)
        await asyncio.sleep(GATEWAY_SECONDS)
    assert visitor.bad == []
    assert {one.version for one in visitor.since(since)} == {FIRST}
    assert scene.repository.read(WORKLOAD) == before
    assert (await gitops.read())["spec"]["syncPolicy"] == policy
