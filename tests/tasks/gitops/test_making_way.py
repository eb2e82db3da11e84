"""A rollback to an older version by its name, in Git: whatever canary stands there goes, although the baseline is never well again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import RolloutFailed, Unreachable
from blocks.platform import Lease
from flows.rollout import redeploy
from tasks.gitops import by_weights, follow, in_step
from tasks.gitops.platform import GitOpsPlatform
from tests.cluster.gitops_scene import FILE
from tests.cluster.gitops_weights_scene import says
from tests.cluster.scene import FIRST, SECOND, THIRD
from tests.git_remotes import Repository, repository
from tests.tasks.gitops.in_memory import LEASE, Workload
from tests.tasks.gitops.test_rollback_in_promotion import Killed, dies, prepare
from tests.tasks.gitops.weights_in_memory import Routed, deployed_by_weights

__all__ = ["repository"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again soon; tasks are called as plain functions, and what waits for the first version waits in vain."""
    for name in ("FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS", "FETCH_SECONDS"):
        monkeypatch.setattr(follow, name, 0.05)
    stand_ins = {"retried": lambda work: work.fn, "named": lambda work, _: work.fn, "prepare": prepare, "rollback_under_way": none}
    for name, stand_in in {**stand_ins, "place_of": lambda *_: SimpleNamespace(ready_timeout_seconds=5)}.items():
        monkeypatch.setattr(redeploy, name, stand_in)
    comes, restore = Workload.await_version, Routed.shift

    async def await_version(self: Workload, version: str, lease: Lease, *, patient: bool = False) -> None:
        await comes(self, version, lease, patient=patient)
        if version == FIRST:
            raise RolloutFailed(f"{FIRST} does not become ready")

    async def shift(self: Routed, percent: int, lease: Lease) -> None:
        await restore(self, percent, lease)
        raise RolloutFailed(f"{FIRST} does not become ready")

    async def abort(self: Routed, lease: Lease, *, waits: bool = True) -> None:
        if self.kept.canary:
            await restore(self, 0, lease)
            if waits:
                raise RolloutFailed(f"{FIRST} does not become ready")
            self.kept = self.kept.__class__(owner=LEASE["owner"], generation=LEASE["generation"], gitops=self.kept.gitops)

    for of, method in {Workload: await_version, Routed: shift}.items():
        monkeypatch.setattr(of, method.__name__, method)
    monkeypatch.setattr(Routed, "abort", abort)


async def none(*_: Any) -> None:
    """Find no rollback that is under way."""


async def bring(parts: Any, how: str) -> None:
    """Let a release of the second version stand there."""
    if how == "in one step":
        await in_step.prepare(parts, SECOND, LEASE)
        await in_step.raise_to_all(parts, LEASE)
        return
    await GitOpsPlatform(parts).prepare(SECOND, LEASE, timeout_seconds=5)
    await GitOpsPlatform(parts).shift(100, LEASE)


@pytest.mark.parametrize(("how", "without_git"), [("in one step", False), ("in one step", True), ("by weights, in its promotion", False)])
async def test_an_older_version_is_deployed_although_the_baseline_never_becomes_ready(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, how: str, *, without_git: bool
) -> None:
    """Git may answer again only when the canary is gone."""
    _, parts = await deployed_by_weights(repository)
    await bring(parts, how)
    if how.endswith("promotion"):
        with monkeypatch.context() as patch:
            patch.setattr(by_weights, "_commit_shift", dies)
            with pytest.raises(Killed):
                await GitOpsPlatform(parts).promote(LEASE)

    async def nothing(*_: Any, **__: Any) -> None:
        """Read no entry."""

    async def away(*_: Any, **__: Any) -> str:
        raise Unreachable("Git does not answer")

    abort, phase = GitOpsPlatform.abort, SimpleNamespace(plan=None, key=lambda name: name, read=nothing)

    async def without(self: GitOpsPlatform, lease: Lease, *, waits: bool = True) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(in_step, "_revert", away)
            patch.setattr(by_weights, "undo_weights", away)
            await abort(self, lease, waits=waits)

    if without_git:
        monkeypatch.setattr(GitOpsPlatform, "abort", without)
    there: Any = phase
    await redeploy.redeploy(there, GitOpsPlatform(parts), THIRD, environment="production", lease=LEASE, number=0)
    assert (parts.kubernetes.runs, parts.kubernetes.share, parts.kubernetes.kept.canary) == (THIRD, 0, "")
    assert says(repository.read(FILE))[0] == THIRD
