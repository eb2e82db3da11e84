"""Releases through Git while a part of Argo CD is away for a minute, in each phase: forward waits, a rollback does not, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import zlib
from itertools import product

import pytest

from blocks.errors import ShipwayError, Temporary
from blocks.platform import Lease
from tests.cluster.gitops_scene import GitOpsScene
from tests.cluster.gitops_world import WORKLOAD, GitOps
from tests.cluster.scene import FIRST, READY, SECOND
from tests.cluster.test_follow import stopped
from tests.waiting import until

PARTS = ("argocd-application-controller", "argocd-repo-server", "argocd-server")
PHASES = ("prepare", "follow", "abort", "settle")
# Less than 40 is too short for a rollback: it waits twice 15 s for an answer of Argo CD's own API before it restores the pod template.
AWAY_SECONDS = float(os.environ.get("SHIPWAY_AWAY_SECONDS", "60"))
# Well below the time that a part is away: a rollback must not wait for it.
PATIENCE = {"git_patience_seconds": 5, "rollback_patience_seconds": AWAY_SECONDS / 4}
pytestmark = [pytest.mark.cluster, pytest.mark.argocd, pytest.mark.alone, pytest.mark.timeout(900)]


def chosen(seed: str) -> list[tuple[str, str]]:
    """Give one part in one phase, another one for each seed, as each takes minutes; without a seed each part in each phase."""
    every = list(product(PARTS, PHASES))
    return [every[zlib.crc32(seed.encode()) % len(every)]] if seed else every


async def prepare(scene: GitOpsScene, lease: Lease) -> None:
    """Prepare the second version."""
    await scene.platform().prepare(SECOND, lease, timeout_seconds=READY)


async def bring(scene: GitOpsScene, lease: Lease) -> None:
    """Deploy the second version."""
    await prepare(scene, lease)
    await scene.platform().shift(100, lease)


@pytest.mark.parametrize(("part", "phase"), chosen(os.environ.get("SHIPWAY_SEED", "")))
async def test_a_part_that_is_away_in_a_phase_loses_nothing(gitops: GitOps, argocd_parts: dict[str, int], part: str, phase: str) -> None:
    """Each phase ends as it should once the part is back, if not before; the automatic sync is as it was."""
    await gitops.deployed()
    policy = (await gitops.read())["spec"]["syncPolicy"]
    engine = gitops.by("api" if part == "argocd-server" else "cluster")
    scene = GitOpsScene(gitops.world, gitops.repository, engine, PATIENCE, gitops.git, WORKLOAD)
    lease = await scene.platform().acquire_lease("run-1")
    runs = await PLAYED[phase](gitops, scene, lease, argocd_parts[part])
    await gitops.runs(runs)
    await gitops.world.rolled_out()
    await gitops.stays(runs)
    assert scene.image().endswith(f":{runs}")
    assert (await gitops.read())["spec"]["syncPolicy"] == policy
    assert (await scene.platform().of.engine.look()).held is False


async def _prepare(gitops: GitOps, scene: GitOpsScene, lease: Lease, pid: int) -> str:
    """Prepare goes by what Argo CD said last, or is refused for now."""
    head = gitops.repository.head
    with stopped(pid):
        began = asyncio.get_running_loop().time()
        with contextlib.suppress(Temporary):
            await prepare(scene, lease)
        assert gitops.repository.head == head
        await asyncio.sleep(max(0.0, AWAY_SECONDS - (asyncio.get_running_loop().time() - began)))
    await bring(scene, lease)
    return SECOND


async def _follow(gitops: GitOps, scene: GitOpsScene, lease: Lease, pid: int) -> str:
    """The commit is pushed, and followed until the part is back."""
    await prepare(scene, lease)
    with stopped(pid):
        task = asyncio.create_task(scene.platform().shift(100, lease))
        await asyncio.sleep(AWAY_SECONDS)
        assert scene.image().endswith(f":{SECOND}")
        assert not task.done()
    await task
    assert await gitops.image() == SECOND
    return SECOND


async def _abort(gitops: GitOps, scene: GitOpsScene, lease: Lease, pid: int) -> str:
    """The baseline runs while the part is still away; Git is told afterwards, if it was not."""
    await bring(scene, lease)
    with stopped(pid):
        task = asyncio.create_task(_said(scene.platform().abort(lease)))
        await until(lambda: _runs(gitops, FIRST), timeout_seconds=AWAY_SECONDS)
        await asyncio.wait([task], timeout=AWAY_SECONDS)
    await task
    await _told(scene, lease)
    return FIRST


async def _settle(gitops: GitOps, scene: GitOpsScene, lease: Lease, pid: int) -> str:
    """Git is told, and the hold stands until that is deployed."""
    await bring(scene, lease)
    gitops.remote.status = 503
    await scene.platform().abort(lease)
    gitops.remote.status = 0
    with stopped(pid):
        task = asyncio.create_task(_said(scene.platform().settle(lease)))
        await gitops.stays(FIRST, seconds=AWAY_SECONDS)
    await task
    await _told(scene, lease)
    return FIRST


PLAYED = {"prepare": _prepare, "follow": _follow, "abort": _abort, "settle": _settle}


async def _said(effect: object) -> None:
    """Let an effect say that it could not do everything; the keeper then goes on."""
    with contextlib.suppress(ShipwayError):
        await effect  # type: ignore[misc]


async def _runs(gitops: GitOps, version: str) -> bool:
    return await gitops.image() == version


async def _told(scene: GitOpsScene, lease: Lease) -> None:
    """Do what the keeper does, until nothing is due: an effect that said an error is done again, too."""

    async def is_done() -> bool:
        await _said(scene.platform().abort(lease))
        await _said(scene.platform().settle(lease))
        return not await scene.platform().is_due()

    await until(is_done, timeout_seconds=180)
