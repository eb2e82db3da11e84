"""A whole release by weights in Git, of a version that fails for some of its requests: stopped at its first share, and reverted."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from blocks.kubernetes.api.client import Cluster
from tests.cluster.cluster_world import Gateway, Visitor, World, answering, drop_namespace, make_namespace
from tests.cluster.gitops_weights_scene import CANARY, history, manifests, settings
from tests.cluster.gitops_world import WORKLOAD
from tests.cluster.gitops_world import GitOps as Deployed
from tests.cluster.scene import FIRST, SECOND
from tests.cluster.test_gitops_release import GitOpsStage, forking
from tests.flows.harness import check_closed
from tests.flows.processes import Runner

__all__ = ["forking"]
pytestmark = [pytest.mark.cluster, pytest.mark.argocd, pytest.mark.server, pytest.mark.timeout(600)]
JUDGED = {"slis": [{"name": "errors", "indicator": "errors", "tolerance": 0.05, "limit": 0.1}], "alpha": 0.05, "min_requests": 10}
STEPS = [{"percent": 25, "watch_seconds": 60}, {"percent": 100, "watch_seconds": 5}]


async def test_a_bad_version_is_stopped_at_its_first_share_and_reverted(
    gitops: Deployed, gateway: Gateway, forking: Runner, tmp_path: Path
) -> None:
    """The gateway's counts decide; the requests go back by one commit, the version by another, and no error comes after that."""
    path, name = f"/{gitops.world.namespace}", f"podinfo-{secrets.token_hex(4)}"
    before = gitops.repository.write({WORKLOAD: manifests(gateway, path=path, bad=True)}, "podinfo")
    await gitops.apply(gitops.manifest())
    await gitops.synced(before)
    for one in ("podinfo", CANARY):
        await gitops.world.rolled_out(one)
    await answering(url := f"{gateway.url}{path}")
    beside = World(Cluster(gitops.world.cluster.api, f"t-{name}"), f"t-{name}")
    await make_namespace(beside.cluster)
    try:
        await beside.podinfo(FIRST)
        workload = {"route": "podinfo", "url": url, "gateway_metrics": gateway.metrics_url}
        more = {"settings": settings(WORKLOAD), "workload": workload}
        stage = GitOpsStage(name, tmp_path / "service", forking, beside=beside, deployed=gitops, **more)
        await stage.raise_up()
        production = {"platform": f"gitops/{stage.name}-production", "ready_timeout_seconds": 60, "steps": STEPS}
        async with Visitor(url, per_second=20).visiting() as visitor:
            ran = await stage.release_through(SECOND, plan=stage.plan(production=production, judgement=JUDGED))
            seen = len(visitor.answers)
            await asyncio.sleep(5)
        await check_closed(stage, ran, outcome="rolled_back")
        await stage.check_runs(FIRST)
        assert visitor.bad
        assert {one.version for one in visitor.answers[seen:]} == {FIRST}
        assert history(gitops.repository, file=WORKLOAD, since=before) == [
            (FIRST, SECOND, 100, 0),
            (FIRST, SECOND, 75, 25),
            (FIRST, SECOND, 100, 0),
            (FIRST, FIRST, 100, 0),
        ]
    finally:
        await drop_namespace(beside.cluster)
