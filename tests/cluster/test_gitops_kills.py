"""An effect through Git that ends at any write, before or behind it, is finished by the next process: one commit forward, one back."""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks.git.git import Git
from blocks.git.work_copy import WorkCopy
from blocks.kubernetes.api.client import Cluster
from blocks.platform import Lease
from tests.cluster.cluster_world import World
from tests.cluster.fake_engine import FakeEngine
from tests.cluster.gitops_scene import FILE, GitOpsScene, manifests
from tests.cluster.scene import FIRST, READY, SECOND
from tests.git_remotes import make_repository

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.timeout(1_800)]
EVERY = int(os.environ.get("SHIPWAY_EVERY", "9"))
FORWARD, BACK = f"Deploy podinfo {SECOND}", f"Revert podinfo {SECOND}"


class Died(BaseException):
    """The process ends here; no handler of errors sees it."""


class Points:
    """Counts both sides of each write to the cluster and of each push, and lets the process die at one."""

    def __init__(self) -> None:
        """Die nowhere."""
        self.numbers, self.die_at, self.passed = itertools.count(1), 0, 0

    def arm(self, die_at: int) -> None:
        """Count anew, and die at one point; 0 dies nowhere."""
        self.numbers, self.die_at = itertools.count(1), die_at

    def pass_one(self) -> None:
        """Pass a point."""
        self.passed = next(self.numbers)
        if self.passed == self.die_at:
            raise Died


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Iterator[Points]:
    """Count in this process."""
    found, send, push = Points(), Cluster.send, WorkCopy.push

    def sent(self: Cluster, method: str, path: str, **more: Any) -> Any:
        if method == "GET" or path.endswith("/events"):
            return send(self, method, path, **more)
        found.pass_one()
        answer = send(self, method, path, **more)
        try:
            found.pass_one()
        except Died:
            answer.close()
            raise
        return answer

    async def pushed(self: WorkCopy, commit: str, *, parent: str) -> Any:
        found.pass_one()
        answer = await push(self, commit, parent=parent)
        found.pass_one()
        return answer

    monkeypatch.setattr(Cluster, "send", sent)
    monkeypatch.setattr(WorkCopy, "push", pushed)
    yield found
    found.arm(0)


class QuietEngine(FakeEngine):
    """Deploys without passing points: it is another process."""

    points: Points

    async def _deploy(self, commit: str) -> None:
        kept = self.points.die_at, self.points.numbers
        self.points.arm(0)
        try:
            await super()._deploy(commit)
        finally:
            self.points.die_at, self.points.numbers = kept


@pytest.fixture
async def scene(world: World, tmp_path: Path, points: Points) -> GitOpsScene:
    """Give podinfo, deployed from Git."""
    repository = make_repository(tmp_path)
    repository.write({FILE: manifests()}, "podinfo")
    engine = QuietEngine(repository, world)
    engine.points = points
    await engine.refresh()
    await world.rolled_out()
    return GitOpsScene(world, repository, engine, {}, Git(remote=repository.url))


async def act(scene: GitOpsScene, *effects: str, owner: str = "run-1", takeover: bool = False) -> None:
    """Do what a process of a release does."""
    lease = await scene.platform().acquire_lease(owner, takeover=takeover)
    steps: dict[str, Callable[[Lease], Awaitable[None]]] = {
        "prepare": lambda lease: scene.platform().prepare(SECOND, lease, timeout_seconds=READY),
        "shift": lambda lease: scene.platform().shift(100, lease),
        "promote": scene.platform().promote,
        "abort": scene.platform().abort,
    }
    for one in effects:
        await steps[one](lease)


async def dies(scene: GitOpsScene, points: Points, number: int, *effects: str, **how: Any) -> bool:
    """Act until a point; says whether it came that far."""
    points.arm(number)
    try:
        await act(scene, *effects, **how)
    except Died:
        return True
    finally:
        points.arm(0)
    return False


async def reset(scene: GitOpsScene) -> int:
    """Bring the first version back by a person's commit, and give the number of commits."""
    lease = await scene.platform().acquire_lease("reset", takeover=True)
    await scene.platform().abort(lease)
    if (await scene.platform().current())["baseline"] != FIRST:
        scene.write_image(FIRST)
        await scene.engine.refresh()
        await scene.world.rolled_out()
    await scene.platform().release_lease(lease)
    return len(scene.repository.subjects())


async def test_a_release_that_dies_anywhere_is_finished_with_one_commit(scene: GitOpsScene, points: Points) -> None:
    """Its effects are begun again in their order, each by another instance under a newer lease."""
    for number in range(1, 100, EVERY):
        before = await reset(scene)
        died = await dies(scene, points, number, "prepare", "shift", "promote")
        seen = await scene.platform().current()
        rest = ["promote"] if seen["baseline"] == SECOND and not seen["canary"] else ["shift", "promote"] if seen["canary"] else None
        await act(scene, *(rest or ["prepare", "shift", "promote"]))
        position = await scene.platform().current()
        assert (position["baseline"], position["canary"], position["previous"]) == (SECOND, None, FIRST), number
        assert scene.repository.subjects()[: len(scene.repository.subjects()) - before] == [FORWARD], number
        if not died:
            return
    raise AssertionError("it passes more points than there are")


async def test_a_rollback_that_dies_anywhere_is_finished_with_one_revert(scene: GitOpsScene, points: Points) -> None:
    """It takes over, and whoever finishes it takes over from itself."""
    for number in range(1, 100, EVERY):
        before = await reset(scene)
        await act(scene, "prepare", "shift")
        died = await dies(scene, points, number, "abort", owner="rollback", takeover=True)
        await act(scene, "abort", owner="rollback", takeover=True)
        position = await scene.platform().current()
        assert (position["baseline"], position["canary"]) == (FIRST, None), number
        assert scene.repository.subjects()[: len(scene.repository.subjects()) - before] == [BACK, FORWARD], number
        if not died:
            return
    raise AssertionError("it passes more points than there are")


async def test_a_rollback_of_a_release_that_died_anywhere_leaves_what_was(scene: GitOpsScene, points: Points) -> None:
    """Whether its commit was pushed or not: at most one commit forward, and one back."""
    for number in range(1, 100, EVERY):
        before = await reset(scene)
        died = await dies(scene, points, number, "prepare", "shift")
        await act(scene, "abort", owner="rollback", takeover=True)
        position = await scene.platform().current()
        assert (position["baseline"], position["canary"]) == (FIRST, None), number
        made = scene.repository.subjects()[: len(scene.repository.subjects()) - before]
        assert made in ([], [BACK], [BACK, FORWARD]), number
        if not died:
            return
    raise AssertionError("it passes more points than there are")
