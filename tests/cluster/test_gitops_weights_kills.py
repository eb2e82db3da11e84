"""A canary through Git by weights that ends at any write, before or behind it, is finished by the next process; no commit comes twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from blocks.git.git import Git
from blocks.platform import Lease
from tests.cluster.cluster_world import Gateway, World
from tests.cluster.gitops_scene import FILE, GitOpsScene
from tests.cluster.gitops_weights_scene import CANARY, history, manifests, says, settings
from tests.cluster.scene import FIRST, READY, SECOND
from tests.cluster.test_gitops_kills import EVERY, Died, Points, QuietEngine, points
from tests.git_remotes import make_repository

__all__ = ["points"]
pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.timeout(1_800)]
FORWARD, MOST = ("prepare", "50", "100", "promote"), 400


@pytest.fixture
async def scene(world: World, gateway: Gateway, tmp_path: Path, points: Points) -> GitOpsScene:
    """Give podinfo and its canary, deployed from Git."""
    repository = make_repository(tmp_path)
    repository.write({FILE: manifests(gateway, path=f"/{world.namespace}")}, "podinfo")
    engine = QuietEngine(repository, world)
    engine.points = points
    await engine.refresh()
    for name in ("podinfo", CANARY):
        await world.rolled_out(name)
    return GitOpsScene(world, repository, engine, settings(), Git(remote=repository.url), FILE, {"route": "podinfo"})


async def act(scene: GitOpsScene, effect: str, *, version: str, owner: str = "run-1", takeover: bool = False) -> None:
    """Do what a process of a release does."""
    lease = await scene.platform().acquire_lease(owner, takeover=takeover)
    steps: dict[str, Callable[[Lease], Awaitable[None]]] = {
        "prepare": lambda lease: scene.platform().prepare(version, lease, timeout_seconds=READY),
        "promote": scene.platform().promote,
        "abort": scene.platform().abort,
    }
    await steps.get(effect, lambda lease: scene.platform().shift(int(effect), lease))(lease)


async def dies(scene: GitOpsScene, points: Points, number: int, *effects: str, again: bool, **how: str | bool) -> bool:
    """Act until a point, then by another process again from there, if that is wanted; says whether it came that far."""
    died = False
    points.arm(number)
    for effect in effects:
        try:
            await act(scene, effect, **how)  # type: ignore[arg-type]
        except Died:
            died = True
            points.arm(0)
            if not again:
                return True
            await act(scene, effect, **how)  # type: ignore[arg-type]
    points.arm(0)
    return died


async def position(scene: GitOpsScene) -> tuple[str | None, str | None, int]:
    """Say what runs."""
    found = await scene.platform().current()
    return found["baseline"], found["canary"], found["percent"]


async def test_a_release_that_dies_anywhere_is_finished_with_each_commit_once(scene: GitOpsScene, points: Points) -> None:
    """The effect that died is begun again, by another instance under a newer lease."""
    old, new = FIRST, SECOND
    for number in range(1, MOST, EVERY):
        before = scene.repository.head
        died = await dies(scene, points, number, *FORWARD, again=True, version=new)
        assert await position(scene) == (new, None, 0), number
        steps = [(old, new, 100, 0), (old, new, 50, 50), (old, new, 0, 100), (new, new, 0, 100), (new, new, 100, 0)]
        assert history(scene.repository, since=before) == steps, number
        if not died:
            return
        old, new = new, old
    raise AssertionError("it passes more points than there are")


async def test_a_rollback_of_a_release_that_died_anywhere_leaves_what_was(scene: GitOpsScene, points: Points) -> None:
    """Also in the middle of its promotion; the file is as before, byte for byte, whatever was pushed."""
    content = scene.repository.read(FILE)
    for number in range(1, MOST, 2 * EVERY):
        before = scene.repository.head
        died = await dies(scene, points, number, *FORWARD, again=False, version=SECOND)
        await act(scene, "abort", version=SECOND, owner="rollback", takeover=True)
        if await position(scene) == (SECOND, None, 0):  # it was promoted
            assert says(scene.repository.read(FILE)) == (SECOND, SECOND, 100, 0)
            assert not died or number > EVERY
            return
        assert await position(scene) == (FIRST, None, 0), number
        assert scene.repository.read(FILE) == content, number
        made = history(scene.repository, since=before)
        assert made == [] or made[-1] == (FIRST, FIRST, 100, 0), number
        lease = await scene.platform().acquire_lease("rollback")
        await scene.platform().release_lease(lease)
    raise AssertionError("it passes more points than there are")


async def test_a_rollback_that_dies_anywhere_is_finished_with_one_commit_home_and_one_back(scene: GitOpsScene, points: Points) -> None:
    """It takes over, and whoever finishes it takes over from itself."""
    for number in range(1, MOST, EVERY):
        for effect in FORWARD[:2]:
            await act(scene, effect, version=SECOND, owner="run-1", takeover=True)
        before = scene.repository.head
        died = await dies(scene, points, number, "abort", again=True, version=SECOND, owner="rollback", takeover=True)
        assert await position(scene) == (FIRST, None, 0), number
        assert history(scene.repository, since=before) == [(FIRST, SECOND, 100, 0), (FIRST, FIRST, 100, 0)], number
        if not died:
            return
    raise AssertionError("it passes more points than there are")
