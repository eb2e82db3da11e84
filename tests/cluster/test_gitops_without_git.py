"""Rollbacks while Git is unreachable: the cluster is right at once, the engine is held, and Git is told when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.errors import Refused, ShipwayError, Unreachable, WorldMoved
from blocks.gitops.gitops import FileEdit
from blocks.platform import Lease
from tasks.gitops.platform import GitOpsPlatform
from tasks.rollout import due
from tests.cluster.cluster_world import IMAGE, World
from tests.cluster.fake_engine import FakeEngine
from tests.cluster.gitops_scene import FILE, GitOpsScene, manifests
from tests.cluster.scene import FIRST, READY, SECOND, THIRD
from tests.git_blocks import over_http
from tests.git_remotes import HttpRemote, Repository, http_remote, make_repository

__all__ = ["http_remote"]
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]
FORWARD, BACK = f"Deploy podinfo {SECOND}", f"Revert podinfo {SECOND}"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """Give podinfo in a repository."""
    found = make_repository(tmp_path)
    found.write({FILE: manifests()}, "podinfo")
    return found


class Away:
    """A scene whose Git can be away."""

    def __init__(self, scene: GitOpsScene, remote: HttpRemote, engine: FakeEngine) -> None:
        """Keep what is switched."""
        self.scene, self.remote, self.engine = scene, remote, engine

    def go(self, *, status: int = 503) -> None:
        """Let Git answer no more, to us and to the engine."""
        self.remote.status, self.engine.reaches_git = status, False

    def come(self) -> None:
        """Let it answer again."""
        self.remote.status, self.engine.reaches_git = 0, True

    async def position(self) -> tuple[str | None, str | None, int]:
        """Say what runs."""
        found = await self.scene.platform().current()
        return found["baseline"], found["canary"], found["percent"]

    async def runs(self) -> set[str]:
        """List the versions of the pods."""
        return {pod["spec"]["containers"][0]["image"].removeprefix(f"{IMAGE}:") for pod in await self.scene.world.pods()}

    async def deploy(self, *, promoted: bool = False) -> Lease:
        """Deploy the second version."""
        lease = await self.scene.platform().acquire_lease("run-1")
        await self.scene.platform().prepare(SECOND, lease, timeout_seconds=READY)
        await self.scene.platform().shift(100, lease)
        if promoted:
            await self.scene.platform().promote(lease)
        return lease


@pytest.fixture
async def away(world: World, repository: Repository, http_remote: HttpRemote) -> Away:
    """Give podinfo, deployed from a repository that is served over HTTP."""
    engine = FakeEngine(repository, world)
    await engine.refresh()
    await world.rolled_out()
    patience = {"git_patience_seconds": 3, "rollback_patience_seconds": 10, "sync_timeout_seconds": 30}
    return Away(GitOpsScene(world, repository, engine, patience, over_http(http_remote)), http_remote, engine)


async def test_the_previous_version_is_restored_and_git_is_told_later(away: Away) -> None:
    """The engine is held until Git says what runs; auto-sync brings nothing in between."""
    lease, scene = await away.deploy(), away.scene
    away.go()
    await scene.platform().abort(lease)
    assert await away.position() == (FIRST, None, 0)
    assert (await away.runs(), scene.image(), away.engine.holder) == ({FIRST}, f"{IMAGE}:{SECOND}", "run-1")
    assert any("Git still has to be told the revert" in line for line in await scene.platform().progress())
    await scene.platform().abort(lease)
    with pytest.raises(Unreachable):
        await scene.platform().settle(lease)
    away.come()
    await away.engine.refresh()
    assert await away.runs() == {FIRST}
    assert "the hold is released" in await scene.platform().settle(lease)
    assert (scene.image(), scene.subjects(), away.engine.holder) == (f"{IMAGE}:{FIRST}", [BACK, FORWARD], "")
    assert not await scene.platform().is_due()
    assert await scene.platform().settle(lease) == ""
    await away.engine.refresh()
    assert await away.runs() == {FIRST}


async def test_a_sync_that_was_decided_on_before_the_hold_is_undone(away: Away) -> None:
    """The engine looks at its own copy of what is to be synced, and may begin after it was held."""
    lease = await away.deploy()
    away.go()
    away.engine.late_seconds = 3
    await away.scene.platform().abort(lease)
    assert away.engine.late is not None
    await away.engine.late
    assert (await away.position(), await away.runs()) == ((FIRST, None, 0), {FIRST})


async def test_a_git_server_that_hangs_is_not_waited_for(away: Away) -> None:
    """No longer than the block's patience."""
    lease = await away.deploy()
    away.remote.hang.set()
    away.engine.reaches_git = False
    await away.scene.platform().abort(lease)
    assert (await away.position(), await away.runs()) == ((FIRST, None, 0), {FIRST})


async def test_an_engine_that_does_not_apply_the_revert_is_held(away: Away) -> None:
    """The revert is in Git; the engine cannot render it, and the previous state is applied all the same."""
    lease = await away.deploy()
    away.engine.fault = "ComparisonError: the repository server is broken"
    await away.scene.platform().abort(lease)
    assert (await away.position(), await away.runs()) == ((FIRST, None, 0), {FIRST})
    assert (away.scene.subjects(), away.engine.holder) == ([BACK, FORWARD], "run-1")
    away.engine.fault = ""
    await away.scene.platform().settle(lease)
    assert (away.scene.subjects(), away.engine.holder) == ([BACK, FORWARD], "")


async def test_what_cannot_be_held_is_restored_and_said(away: Away) -> None:
    """The rollback does not count as done: whoever owns the engine's Application may undo it."""
    away.scene.settings["without_git"] = "accept"
    away.engine.unholdable = "the ApplicationSet web would undo it"
    lease = await away.deploy()
    away.go()
    with pytest.raises(Refused, match="the ApplicationSet web would undo it"):
        await away.scene.platform().abort(lease)
    assert (await away.position(), await away.runs()) == ((FIRST, None, 0), {FIRST})


async def test_a_next_release_tells_git_first(away: Away) -> None:
    """Its own commit comes on top of the revert, and the hold is over."""
    lease, scene = await away.deploy(), away.scene
    away.go()
    await scene.platform().abort(lease)
    await scene.platform().release_lease(lease)
    lease = await scene.platform().acquire_lease("run-2")
    with pytest.raises(ShipwayError):
        await scene.platform().prepare(THIRD, lease, timeout_seconds=READY)
    away.come()
    await scene.platform().prepare(THIRD, lease, timeout_seconds=READY)
    await scene.platform().shift(100, lease)
    await scene.platform().promote(lease)
    assert (await away.position(), away.engine.holder) == ((THIRD, None, 0), "")
    assert scene.subjects() == [f"Deploy podinfo {THIRD}", BACK, FORWARD]


async def test_a_colleagues_version_ends_the_hold(away: Away) -> None:
    """Nothing of ours is left in Git, so what they committed is deployed as they meant it."""
    lease, scene = await away.deploy(), away.scene
    away.go()
    await scene.platform().abort(lease)
    away.come()
    scene.write_image(THIRD)
    assert "Git was changed by others since" in await scene.platform().settle(lease)
    assert (scene.image(), away.engine.holder) == (f"{IMAGE}:{THIRD}", "")
    assert scene.subjects() == ["A colleague's change", FORWARD]


async def test_the_bad_version_by_another_commit_keeps_the_hold(away: Away) -> None:
    """Our value was changed and others set the bad version again: a person must look."""
    scene = away.scene
    edits = [*scene.platform().of.settings.edits, FileEdit(file="values.yaml", path="image.tag")]
    scene.settings |= {"edits": edits, "drift": "tolerate"}
    lease = await away.deploy()
    away.go()
    await scene.platform().abort(lease)
    away.come()
    scene.repository.write({"values.yaml": scene.repository.read("values.yaml").replace(SECOND.encode(), b"7.0.0")})
    with pytest.raises(WorldMoved, match=f"stays held: Git still says {SECOND}"):
        await scene.platform().settle(lease)
    assert (away.engine.holder, await away.runs()) == ("run-1", {FIRST})


async def test_a_promoted_version_is_rolled_back_without_git(away: Away) -> None:
    """The previous version is deployed by the cluster, and committed when Git is back."""
    lease, scene = await away.deploy(promoted=True), away.scene
    await scene.platform().release_lease(lease)
    away.go()
    lease = await scene.platform().acquire_lease("rollback", takeover=True)
    await scene.platform().rolling_back().prepare(FIRST, lease, timeout_seconds=READY)
    assert await away.position() == (SECOND, FIRST, 0)
    await scene.platform().rolling_back().prepare(FIRST, lease, timeout_seconds=READY)
    for _ in range(2):
        await scene.platform().shift(100, lease)
    await scene.platform().promote(lease)
    assert (await away.position(), await away.runs()) == ((FIRST, None, 0), {FIRST})
    assert (scene.image(), away.engine.holder) == (f"{IMAGE}:{SECOND}", "rollback")
    away.come()
    await scene.platform().settle(lease)
    assert (scene.image(), away.engine.holder) == (f"{IMAGE}:{FIRST}", "")
    assert scene.subjects() == [f"Deploy podinfo {FIRST}", FORWARD]


async def test_a_rollback_goes_on_if_git_goes_away_before_its_commit(away: Away) -> None:
    """It was reviewed in Git, and is deployed without it."""
    lease, scene = await away.deploy(promoted=True), away.scene
    await scene.platform().rolling_back().prepare(FIRST, lease, timeout_seconds=READY)
    away.go()
    await scene.platform().shift(100, lease)
    await scene.platform().promote(lease)
    assert (await away.position(), await away.runs()) == ((FIRST, None, 0), {FIRST})
    assert (scene.image(), away.engine.holder) == (f"{IMAGE}:{SECOND}", "run-1")
    away.come()
    await scene.platform().settle(lease)
    assert (scene.subjects(), away.engine.holder) == ([f"Deploy podinfo {FIRST}", FORWARD], "")


async def test_a_rollback_without_git_can_itself_be_undone(away: Away) -> None:
    """Git said the restored version all along, so nothing is due."""
    lease, scene = await away.deploy(promoted=True), away.scene
    away.go()
    await scene.platform().rolling_back().prepare(FIRST, lease, timeout_seconds=READY)
    await scene.platform().shift(100, lease)
    await scene.platform().abort(lease)
    assert (await away.position(), await away.runs(), away.engine.holder) == ((SECOND, None, 0), {SECOND}, "")
    assert not await scene.platform().is_due()


async def test_a_rollback_to_what_git_says_already_needs_no_commit(away: Away) -> None:
    """A colleague reverted it in Git, and the engine did not deploy that yet."""
    lease, scene = await away.deploy(promoted=True), away.scene
    away.engine.automatic = False
    scene.write_image(FIRST)
    await scene.platform().rolling_back().prepare(FIRST, lease, timeout_seconds=READY)
    await scene.platform().shift(100, lease)
    await scene.platform().promote(lease)
    assert (await away.position(), await away.runs()) == ((FIRST, None, 0), {FIRST})
    assert scene.subjects() == ["A colleague's change", FORWARD]


async def test_a_release_does_not_begin_without_git(away: Away) -> None:
    """Only a rollback goes on; nothing was changed."""
    away.go()
    lease = await away.scene.platform().acquire_lease("run-1")
    with pytest.raises(ShipwayError):
        await away.scene.platform().prepare(SECOND, lease, timeout_seconds=READY)
    assert (await away.position(), away.engine.holder) == ((FIRST, None, 0), "")


class Lives:
    """What is known of the run of another keeper."""

    def __init__(self, living: bool) -> None:  # noqa: FBT001
        """Say so of every run."""
        self.living = living

    async def fn(self, run: str) -> bool:
        """Say whether it lives."""
        assert run == "k0"
        return self.living


async def test_the_keeper_tells_git_without_a_person(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while a run owns the environment, nor while Git is away; afterwards once, and it leaves no lease behind."""

    async def names() -> list[str]:
        return ["gitops/podinfo"]

    async def load(name: str, *, field: str, looks: bool = True) -> GitOpsPlatform:  # noqa: ARG001
        assert name == field == "gitops/podinfo"
        return away.scene.platform()

    monkeypatch.setattr(due, "_names", names)
    monkeypatch.setattr(due, "load_platform_to_roll_back", load)
    lease = await away.deploy()
    away.go()
    await away.scene.platform().abort(lease)
    away.come()
    assert await due.tell_git_what_is_due.fn("k1") == []
    away.go()
    await away.scene.platform().release_lease(lease)
    assert await due.tell_git_what_is_due.fn("k1") == []
    assert (await away.scene.platform().current())["owner"] is None
    away.come()
    (line,) = await due.tell_git_what_is_due.fn("k1")
    assert "the hold is released" in line
    assert (away.engine.holder, away.scene.subjects()) == ("", [BACK, FORWARD])
    assert await due.tell_git_what_is_due.fn("k1") == []
    await away.scene.platform().acquire_lease("keeper k0")
    for living, owner in ((True, "keeper k0"), (False, None)):
        monkeypatch.setattr(due, "lives", Lives(living))
        assert await due.tell_git_what_is_due.fn("k1") == []
        assert (await away.scene.platform().current())["owner"] == owner
