"""A rollback that meets the promotion of the version that it returns to: it is finished, and the bad version gets no request again."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import RolloutFailed
from flows.rollout import redeploy
from tasks.gitops import by_weights, follow
from tasks.gitops.platform import GitOpsPlatform
from tests.cluster.gitops_weights_scene import history
from tests.cluster.scene import FIRST, SECOND
from tests.git_remotes import Repository, repository
from tests.tasks.gitops.in_memory import LEASE, Workload
from tests.tasks.gitops.weights_in_memory import Routed, deployed_by_weights

__all__ = ["repository"]


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again soon; tasks are called as plain functions."""
    for name in ("FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS", "FETCH_SECONDS"):
        monkeypatch.setattr(follow, name, 0.05)
    monkeypatch.setattr(redeploy, "retried", lambda work: work.fn)
    monkeypatch.setattr(redeploy, "named", lambda work, _: work.fn)
    monkeypatch.setattr(redeploy, "prepare", prepare)
    monkeypatch.setattr(redeploy, "place_of", lambda *_: SimpleNamespace(ready_timeout_seconds=5))


async def prepare(_: Any, platform: Any, version: str, *, lease: Any, timeout_seconds: float, **__: Any) -> Any:
    """Prepare as the task does."""
    await platform.prepare(version, lease, timeout_seconds=timeout_seconds)
    return await platform.current()


async def nothing(*_: Any, **__: Any) -> None:
    """Read no entry."""


async def roll_back(parts: Any) -> str:
    """Bring the second version back, in place of the first one, which is bad."""
    phase: Any = SimpleNamespace(plan=None, key=lambda name: name, read=nothing)
    return await redeploy.redeploy(phase, GitOpsPlatform(parts), SECOND, environment="production", lease=LEASE, number=0)


def dies(*_: Any, **__: Any) -> Any:
    """End the process here."""
    raise Killed


@pytest.mark.parametrize(
    ("where", "name"),
    [(by_weights, "_promoted"), (Workload, "await_version"), (by_weights, "_commit_shift"), (Routed, "promote")],
    ids=["before the version is committed", "while it is rolled out", "before the last share", "when only the state is left"],
)
async def test_a_promotion_that_ended_half_way_is_finished_and_nothing_is_given_back(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, where: Any, name: str
) -> None:
    """At each of its moments, also at the last one, in which the canary's share is 0 already."""
    _, parts = await deployed_by_weights(repository)
    platform = GitOpsPlatform(parts)
    await platform.prepare(SECOND, LEASE, timeout_seconds=5)
    await platform.shift(100, LEASE)
    with monkeypatch.context() as patch:
        patch.setattr(where, name, dies)
        with pytest.raises(Killed):
            await platform.promote(LEASE)
    head, parts.kubernetes.shares[:] = repository.head, []
    assert (await platform.current()).get("under_way") == "promotion"
    assert await roll_back(parts) == SECOND
    assert all(runs == SECOND for runs, *_ in history(repository, since=head))
    assert {canary if share else runs for share, runs, canary in parts.kubernetes.shares} <= {SECOND}
    kept = parts.kubernetes.kept
    assert (parts.kubernetes.runs, parts.kubernetes.share, kept.canary, kept.gitops) == (SECOND, 0, "", "")


async def test_a_promotion_that_is_being_undone_is_not_finished(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests went home already: the version is started anew, in the workload's place."""
    _, parts = await deployed_by_weights(repository)
    platform = GitOpsPlatform(parts)
    await platform.prepare(SECOND, LEASE, timeout_seconds=5)
    await platform.shift(100, LEASE)
    with monkeypatch.context() as patch:
        patch.setattr(by_weights, "_promoted", dies)
        with pytest.raises(Killed):
            await platform.promote(LEASE)
    with monkeypatch.context() as patch:
        patch.setattr(by_weights, "_revert", dies)
        with pytest.raises(Killed):
            await platform.abort(LEASE)
    assert "under_way" not in await platform.current()
    assert await roll_back(parts) == SECOND
    assert (parts.kubernetes.runs, parts.kubernetes.share, parts.kubernetes.kept.canary) == (SECOND, 0, "")


async def test_a_rollback_in_one_step_that_is_late_is_not_begun_anew(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block by weights rolls back in the workload's place: to begin anew would bring the bad version back there."""
    _, parts = await deployed_by_weights(repository)
    platform = GitOpsPlatform(parts)
    await platform.rolling_back().prepare(SECOND, LEASE, timeout_seconds=5)
    await platform.shift(100, LEASE)
    head = repository.head

    async def late(*_: Any, **__: Any) -> None:
        raise RolloutFailed("its pods are not ready in time")

    monkeypatch.setattr(Workload, "await_version", late)
    assert (platform.strategy, (await platform.current()).get("under_way")) == ("canary", "in place")
    with pytest.raises(RolloutFailed):
        await roll_back(parts)
    assert (repository.head, parts.kubernetes.runs) == (head, SECOND)


async def test_a_note_of_something_that_is_due_says_nothing_of_a_promotion(repository: Repository) -> None:
    """Git was not reached when the promotion was undone: that is finished first."""
    _, parts = await deployed_by_weights(repository)
    await GitOpsPlatform(parts).prepare(SECOND, LEASE, timeout_seconds=5)
    await GitOpsPlatform(parts).shift(100, LEASE)
    note = replace((await parts.seen()).note, promoting=True)
    assert (note.under_way, note.owed("revert", why="Git is away").under_way) == ("promotion", "")
    assert (await GitOpsPlatform(parts).current())["baseline"] == FIRST
