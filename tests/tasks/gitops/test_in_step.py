"""Steps of a release through Git: what is due in Git, and what other commits do meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused, RolloutFailed, ShipwayError, Superseded, Unreachable, WorldMoved
from tasks.analysis.watch import _expect_ours
from tasks.gitops import follow, in_step
from tasks.gitops.commit import revert_change
from tasks.gitops.platform import GitOpsPlatform
from tasks.rules.gitops.note import write_note
from tests.cluster.cluster_world import IMAGE
from tests.cluster.gitops_scene import FILE
from tests.cluster.scene import FIRST, SECOND, THIRD
from tests.git_remotes import Repository, repository
from tests.tasks.gitops.in_memory import LEASE, OWNED, deployed

__all__ = ["repository"]
PATIENT = SimpleNamespace(git_patience_seconds=30)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again soon."""
    for name in ("FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS", "FETCH_SECONDS"):
        monkeypatch.setattr(follow, name, 0.05)


@pytest.mark.parametrize("error", [WorldMoved("stands again"), Refused("not as it was written"), Unreachable("no answer")])
@pytest.mark.parametrize("is_rollback", [False, True])
async def test_what_is_due_does_not_stop_a_rollback(error: ShipwayError, monkeypatch: pytest.MonkeyPatch, *, is_rollback: bool) -> None:
    """As a hold that a neighbour writes again and again, or another commit of the bad version."""

    async def tell(parts: Any, lease: Any) -> str:
        del parts, lease
        raise error

    monkeypatch.setattr(in_step, "tell_git", tell)
    parts: Any = SimpleNamespace(is_rollback=is_rollback, settings=PATIENT)
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
    parts: Any = SimpleNamespace(is_rollback=True, settings=PATIENT)
    with pytest.raises(Superseded):
        await in_step._settle(parts, {"owner": "run", "generation": 1})


@pytest.mark.parametrize("hangs", ["git", "the engine"])
async def test_a_rollback_that_finds_something_due_acts_within_its_patience_with_git(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, hangs: str
) -> None:
    """Whatever Git and the engine do: what the first rollback owes stays noted, and the older version is deployed without Git, too."""
    scene, parts = await deployed(repository, git_patience_seconds=0.5, sync_timeout_seconds=300)
    await in_step.prepare(parts, SECOND, LEASE)
    owed = write_note((await parts.seen()).note.owed("revert", why="no answer within 30 s"))
    parts.kubernetes.kept = replace(OWNED, gitops=owed)

    async def hung(*_: Any, **__: Any) -> None:
        await asyncio.sleep(3600)

    if hangs == "git":
        monkeypatch.setattr(revert_change, "fn", hung)
    scene.engine.reaches_git = False

    async def undone(*_: Any, **__: Any) -> None:
        parts.kubernetes.kept = replace(OWNED, gitops=owed)

    monkeypatch.setattr(in_step, "roll_back_without_git", undone)
    async with asyncio.timeout(15):
        await in_step.prepare(replace(parts, is_rollback=True), THIRD, LEASE)
    assert (parts.kubernetes.kept.canary, (await parts.seen()).note.due) == (THIRD, "commit")


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


@pytest.mark.parametrize("onto", ["the commit before", "another commit"])
async def test_a_history_that_is_rewritten_while_it_is_followed_ends_the_release(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, onto: str
) -> None:
    """Within a few looks, not after `sync_timeout_seconds`; and the abort finds nothing to revert."""
    scene, parts = await deployed(repository, sync_timeout_seconds=300)
    before = repository.head
    await in_step.prepare(parts, SECOND, LEASE)

    def rewrite() -> None:
        repository.rewrite(before)
        if onto == "another commit":
            repository.write({"other.txt": b"rewritten\n"}, "Rewritten")

    colleague(scene, monkeypatch, rewrite)
    with pytest.raises(RolloutFailed, match="any more: its history was rewritten"):
        await in_step.raise_to_all(parts, LEASE)
    await in_step.abort(parts, LEASE)
    assert (parts.kubernetes.runs, parts.kubernetes.kept.canary, scene.image()) == (FIRST, "", f"{IMAGE}:{FIRST}")


async def test_a_mirror_that_is_behind_for_one_fetch_is_waited_out(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look at a branch without our commit proves nothing."""
    scene, parts = await deployed(repository)
    before = repository.head
    await in_step.prepare(parts, SECOND, LEASE)
    refresh, heads = scene.engine.refresh, list[str]()

    async def behind() -> None:
        heads.append(repository.head)
        repository.rewrite(before if len(heads) == 1 else heads[0])
        await refresh()

    monkeypatch.setattr(scene.engine, "refresh", behind)
    await in_step.raise_to_all(parts, LEASE)
    assert parts.kubernetes.runs == SECOND


async def test_a_rollback_whose_revert_was_lost_goes_on_without_git(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git says the bad version again: it is held and restored, instead of being left."""
    scene, parts = await deployed(repository)
    await in_step.prepare(parts, SECOND, LEASE)
    await in_step.raise_to_all(parts, LEASE)
    bad, done = repository.head, list[str]()

    async def restored(parts: Any, note: Any, lease: Any, *, why: str, waits: bool) -> None:
        del parts, note, lease, waits
        done.append(why)

    monkeypatch.setattr(in_step, "roll_back_without_git", restored)
    colleague(scene, monkeypatch, lambda: repository.rewrite(bad))
    await in_step.abort(parts, LEASE)
    assert "its history was rewritten" in done[0]


@pytest.mark.parametrize("theirs", [THIRD, FIRST])
async def test_a_version_of_others_ends_the_watch_of_ours(repository: Repository, theirs: str) -> None:
    """Also the baseline, once ours was deployed: what is judged is ours alone. The abort leaves theirs."""
    scene, parts = await deployed(repository)
    platform = GitOpsPlatform(parts)
    await in_step.prepare(parts, SECOND, LEASE)
    await in_step.raise_to_all(parts, LEASE)
    _expect_ours(await platform.current(), version=SECOND, percent=100, lease=LEASE)
    head = scene.write_image(theirs)
    await scene.engine.refresh()
    with pytest.raises(WorldMoved, match=f"shop/podinfo is set to {theirs}, not to {SECOND}"):
        _expect_ours(await platform.current(), version=SECOND, percent=100, lease=LEASE)
    with contextlib.suppress(WorldMoved):  # Git says the baseline again: there is nothing to say of that
        await in_step.abort(parts, LEASE)
    assert (repository.head, parts.kubernetes.runs, "trouble" in await platform.current()) == (head, theirs, False)


async def test_the_baseline_before_the_sync_is_not_the_change_of_others(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong until the engine has looked."""
    scene, parts = await deployed(repository)
    await in_step.prepare(parts, SECOND, LEASE)
    seen: list[Any] = []
    refresh = scene.engine.refresh

    async def look() -> None:
        seen.append(await GitOpsPlatform(parts).current())
        await refresh()

    monkeypatch.setattr(scene.engine, "refresh", look)
    await in_step.raise_to_all(parts, LEASE)
    assert [(one["canary"], one["percent"], "trouble" in one) for one in seen] == [(SECOND, 100, False)]


async def test_a_note_that_others_changed_is_trouble_and_can_still_be_read(repository: Repository) -> None:
    """The position is known."""
    _, parts = await deployed(repository)
    await in_step.prepare(parts, SECOND, LEASE)
    await in_step.raise_to_all(parts, LEASE)
    parts.kubernetes.kept = replace(parts.kubernetes.kept, gitops="{}")
    assert "cannot be read" in (await GitOpsPlatform(parts).current()).get("trouble", "")
