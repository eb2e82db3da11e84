"""Releases through Git on a real cluster and a real remote, with an engine in memory: forward, back, and never over another's commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from blocks.errors import Refused, RolloutFailed, Superseded, WorldMoved
from blocks.git.git import Git
from blocks.kubernetes.objects.template import VERSION_ANNOTATION
from blocks.platform import About, Lease
from tests.cluster.cluster_world import IMAGE, World
from tests.cluster.fake_engine import FakeEngine
from tests.cluster.gitops_scene import FILE, GitOpsScene, manifests
from tests.cluster.scene import FIRST, READY, SECOND, THIRD
from tests.git_remotes import git, make_repository

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]
FORWARD, BACK = f"Deploy podinfo {SECOND}", f"Revert podinfo {SECOND}"


@pytest.fixture
async def scene(world: World, tmp_path: Path) -> GitOpsScene:
    """Give podinfo, deployed from Git."""
    repository = make_repository(tmp_path)
    repository.write({FILE: manifests()}, "podinfo")
    engine = FakeEngine(repository, world)
    await engine.refresh()
    await world.rolled_out()
    patience = {"git_patience_seconds": 20, "rollback_patience_seconds": 30, "sync_timeout_seconds": 30}
    return GitOpsScene(world, repository, engine, patience, Git(remote=repository.url))


async def bring(scene: GitOpsScene, lease: Lease, *shares: int, version: str = SECOND) -> None:
    """Prepare a version and deploy it."""
    await scene.platform().prepare(version, lease, timeout_seconds=READY)
    for share in shares:
        await scene.platform().shift(share, lease)


async def position(scene: GitOpsScene) -> tuple[str | None, str | None, int]:
    """Say what runs."""
    found = await scene.platform().current()
    return found["baseline"], found["canary"], found["percent"]


async def images(scene: GitOpsScene) -> set[str]:
    """List the images of the pods."""
    return {pod["spec"]["containers"][0]["image"].removeprefix(f"{IMAGE}:") for pod in await scene.world.pods()}


async def template(scene: GitOpsScene) -> dict:  # type: ignore[type-arg]
    """Read the Deployment's pod template."""
    found = await scene.world.cluster.read("Deployment", "podinfo")
    assert found is not None
    return dict(found["spec"]["template"])


async def test_a_release_is_one_commit_with_its_trailers(scene: GitOpsScene) -> None:
    """Git says the version, the cluster runs it, and Shipway wrote nothing into the manifest."""
    about = About(release="run-1", service="podinfo", digest="d1", approvers=["ann", "bob"], reason="the basket")
    lease = await scene.platform().acquire_lease("run-1")
    await scene.platform().informed(about).prepare(SECOND, lease, timeout_seconds=READY)
    assert await position(scene) == (FIRST, SECOND, 0)
    assert scene.subjects() == []
    await scene.platform().shift(100, lease)
    assert await position(scene) == (FIRST, SECOND, 100)
    await scene.platform().promote(lease)
    assert await position(scene) == (SECOND, None, 0)
    assert (scene.image(), await images(scene), scene.subjects()) == (f"{IMAGE}:{SECOND}", {SECOND}, [FORWARD])
    trailers = dict(
        line.split(": ", 1) for line in git(scene.repository.bare, "log", "-1", "--format=%(trailers:only)", "main").splitlines()
    )
    assert trailers["Shipway-Change"].startswith(f"run-1/{scene.world.namespace}/podinfo/{SECOND}/")
    wanted = {"Release": "run-1", "Service": "podinfo", "Version": SECOND, "Digest": "d1", "Approver": "bob", "Reason": "the basket"}
    assert {name: trailers[f"Shipway-{name}"] for name in wanted} == wanted
    assert trailers["Shipway-Token"] == str(lease["generation"])
    metadata = (await template(scene))["metadata"]
    assert VERSION_ANNOTATION not in (metadata.get("annotations") or {})


async def test_an_abort_reverts_our_commit_alone(scene: GitOpsScene) -> None:
    """A colleague's commit in between stays, in Git and in the cluster."""
    lease = await scene.platform().acquire_lease("run-1")
    await bring(scene, lease, 100)
    content = scene.repository.read(FILE).replace(b"replicas: 1", b"replicas: 2")
    scene.repository.write({FILE: content})
    await scene.platform().abort(lease)
    assert await position(scene) == (FIRST, None, 0)
    assert scene.image() == f"{IMAGE}:{FIRST}"
    assert b"replicas: 2" in scene.repository.read(FILE)
    assert scene.subjects() == [BACK, "A colleague's change", FORWARD]
    found = await scene.world.cluster.read("Deployment", "podinfo")
    assert found is not None
    assert found["spec"]["replicas"] == 2
    await scene.platform().abort(lease)
    assert len(scene.subjects()) == 3


async def test_what_is_stopped_can_be_deployed_again(scene: GitOpsScene) -> None:
    """Down to nothing and up again is three commits, each under a key of its own."""
    lease = await scene.platform().acquire_lease("run-1")
    await bring(scene, lease, 100, 0)
    assert (await position(scene), scene.image()) == ((FIRST, SECOND, 0), f"{IMAGE}:{FIRST}")
    await scene.platform().shift(100, lease)
    assert (await position(scene), scene.image()) == ((FIRST, SECOND, 100), f"{IMAGE}:{SECOND}")
    assert scene.subjects() == [FORWARD, BACK, FORWARD]


async def test_a_colleagues_version_is_not_overwritten(scene: GitOpsScene) -> None:
    """It came between review and commit: the release ends, and its abort leaves it where it is."""
    lease = await scene.platform().acquire_lease("run-1")
    await bring(scene, lease)
    head = scene.write_image(THIRD)
    with pytest.raises(WorldMoved, match=f"says `{IMAGE}:{THIRD}`, not `{IMAGE}:{FIRST}` as reviewed"):
        await scene.platform().shift(100, lease)
    assert scene.repository.head == head


async def test_a_colleagues_version_on_top_of_ours_stays(scene: GitOpsScene) -> None:
    """The abort says so, and does not act twice."""
    lease = await scene.platform().acquire_lease("run-1")
    await bring(scene, lease, 100)
    head = scene.write_image(THIRD)
    with pytest.raises(WorldMoved, match="was changed by another commit, which is not overwritten"):
        await scene.platform().abort(lease)
    assert scene.repository.head == head
    await scene.platform().abort(lease)
    assert scene.repository.head == head


async def test_drift_is_refused_before_anything_moves(scene: GitOpsScene) -> None:
    """Git says another version than the one that runs: refused, or tolerated and restored as it was found."""
    scene.engine.automatic = False  # type: ignore[attr-defined]
    scene.write_image(THIRD)
    lease = await scene.platform().acquire_lease("run-1")
    with pytest.raises(WorldMoved, match=f"says `{IMAGE}:{THIRD}`, not `{IMAGE}:{FIRST}`, though {FIRST} runs"):
        await scene.platform().prepare(SECOND, lease, timeout_seconds=READY)
    with pytest.raises(WorldMoved, match="though"):
        await scene.platform().preview(SECOND)
    assert (await scene.platform(drift="tolerate").preview(SECOND))["drift"]
    await scene.platform(drift="tolerate").prepare(SECOND, lease, timeout_seconds=READY)
    await scene.platform(drift="tolerate").shift(100, lease)
    assert scene.engine.syncs == ["run-1"]  # type: ignore[attr-defined]
    await scene.platform(drift="tolerate").abort(lease)
    assert scene.image() == f"{IMAGE}:{THIRD}"


async def test_a_version_that_another_commit_brought_is_refused(scene: GitOpsScene) -> None:
    """There would be nothing of ours to revert."""
    scene.write_image(SECOND)
    lease = await scene.platform().acquire_lease("run-1")
    with pytest.raises(WorldMoved, match="the version came by another commit"):
        await scene.platform().prepare(SECOND, lease, timeout_seconds=READY)


async def test_an_edit_that_does_not_set_the_workload_is_named(scene: GitOpsScene) -> None:
    """The commit is deployed and the workload does not move: the abort reverts it."""
    edits = [{"file": "values.yaml", "path": "image.tag"}]
    scene.settings["edits"], scene.settings["drift"] = edits, "tolerate"
    lease = await scene.platform().acquire_lease("run-1")
    await scene.platform().prepare(SECOND, lease, timeout_seconds=READY)
    with pytest.raises(RolloutFailed, match=f"is set to {FIRST}, not to {SECOND}. Fix `edits`"):
        await scene.platform().shift(100, lease)
    await scene.platform().abort(lease)
    assert scene.subjects() == [BACK, FORWARD]
    assert await position(scene) == (FIRST, None, 0)


async def test_the_preview_shows_the_edit(scene: GitOpsScene) -> None:
    """As a diff, with what the cluster says; and what people approve is the values alone."""
    found = await scene.platform().preview(SECOND)
    changes = "\n".join(found["changes"])
    assert f"-        image: {IMAGE}:{FIRST}" in changes
    assert f"+        image: {IMAGE}:{SECOND}" in changes
    assert f"{IMAGE}:{FIRST} → {IMAGE}:{SECOND}" in changes
    assert (found["drift"], found.get("notes")) == ([], [])
    (edit,) = await scene.platform().edits(SECOND)
    assert edit.startswith(FILE)
    assert edit.endswith(f"{IMAGE}:{FIRST} → {IMAGE}:{SECOND}")


async def test_a_release_that_could_not_be_held_is_refused_unless_that_is_accepted(scene: GitOpsScene) -> None:
    """Whoever owns the engine's Application is named."""
    scene.engine.unholdable = "the ApplicationSet web would undo it"  # type: ignore[attr-defined]
    lease = await scene.platform().acquire_lease("run-1")
    for refused in (scene.platform().preview(SECOND), scene.platform().prepare(SECOND, lease, timeout_seconds=READY)):
        with pytest.raises(Refused, match="could not be rolled back while Git is unreachable: the ApplicationSet web would undo it"):
            await refused
    (note,) = (await scene.platform(without_git="accept").preview(SECOND)).get("notes", [])
    assert "the ApplicationSet web would undo it" in note


async def test_a_takeover_keeps_an_older_owner_from_committing(scene: GitOpsScene) -> None:
    """The lease is looked at right before the push."""
    old = await scene.platform().acquire_lease("run-1")
    await bring(scene, old)
    newer = await scene.platform().acquire_lease("rollback", takeover=True)
    with pytest.raises(Superseded):
        await scene.platform().shift(100, old)
    await scene.platform().abort(newer)
    assert scene.subjects() == []
