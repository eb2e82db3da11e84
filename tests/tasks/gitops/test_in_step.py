"""Steps of a release through Git: what is due in Git, and what other commits do meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused, RolloutFailed, ShipwayError, Superseded, Unreachable, WorldMoved
from tasks.gitops import in_step
from tests.cluster.cluster_world import IMAGE
from tests.cluster.gitops_scene import FILE
from tests.cluster.scene import FIRST, SECOND, THIRD
from tests.git_remotes import Repository, repository
from tests.tasks.gitops.in_memory import LEASE, deployed

__all__ = ["repository"]


@pytest.mark.parametrize("error", [WorldMoved("stands again"), Refused("not as it was written"), Unreachable("no answer")])
@pytest.mark.parametrize("is_rollback", [False, True])
async def test_what_is_due_does_not_stop_a_rollback(error: ShipwayError, monkeypatch: pytest.MonkeyPatch, *, is_rollback: bool) -> None:
    """As a hold that a neighbour writes again and again, or another commit of the bad version."""

    async def tell(parts: Any, lease: Any) -> str:
        del parts, lease
        raise error

    monkeypatch.setattr(in_step, "tell_git", tell)
    parts: Any = SimpleNamespace(is_rollback=is_rollback)
    if is_rollback:
        await in_step._settle(parts, {"owner": "run", "generation": 1})
    else:
        with pytest.raises(type(error)):
            await in_step._settle(parts, {"owner": "run", "generation": 1})


async def test_a_newer_owner_stops_a_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees to the environment."""

    async def tell(parts: Any, lease: Any) -> str:
        del parts, lease
        raise Superseded("a newer run")

    monkeypatch.setattr(in_step, "tell_git", tell)
    parts: Any = SimpleNamespace(is_rollback=True)
    with pytest.raises(Superseded):
        await in_step._settle(parts, {"owner": "run", "generation": 1})


def colleague(scene: Any, monkeypatch: pytest.MonkeyPatch, commit: Any) -> None:
    """Let a colleague do something once, after our push and before the engine looks at Git."""
    refresh = scene.engine.refresh

    async def later() -> None:
        monkeypatch.setattr(scene.engine, "refresh", refresh)
        commit()
        await refresh()

    monkeypatch.setattr(scene.engine, "refresh", later)


async def test_another_commit_that_sets_our_value_before_the_sync_is_named(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place and what it says, not our edits, which are right; it stays, and the abort says so once."""
    scene, parts = await deployed(repository)
    await in_step.prepare(parts, SECOND, LEASE)
    colleague(scene, monkeypatch, lambda: scene.write_image(THIRD))
    with pytest.raises(WorldMoved, match=f"set to {THIRD}, not to {SECOND}: another .* {FILE}:.* says `{IMAGE}:{THIRD}`") as moved:
        await in_step.raise_to_all(parts, LEASE)
    assert "Fix `edits`" not in str(moved.value)
    with pytest.raises(WorldMoved, match="is not overwritten"):
        await in_step.abort(parts, LEASE)
    assert scene.image() == f"{IMAGE}:{THIRD}"
    assert (parts.kubernetes.runs, parts.kubernetes.kept.canary) == (THIRD, "")


async def test_edits_that_do_not_set_the_workload_are_still_named(repository: Repository) -> None:
    """Git says what we set, and the workload does not move."""
    edits = [{"file": "values.yaml", "path": "image.tag"}]
    _, parts = await deployed(repository, edits=edits, drift="tolerate")
    await in_step.prepare(parts, SECOND, LEASE)
    with pytest.raises(RolloutFailed, match=f"is set to {FIRST}, not to {SECOND}. Fix `edits`"):
        await in_step.raise_to_all(parts, LEASE)
