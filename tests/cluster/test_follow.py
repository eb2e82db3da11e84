"""A commit is followed until a real Argo CD has deployed it, or until it is known why it will not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blocks.errors import RolloutFailed, Temporary
from blocks.gitops.engine import Engine, Observed
from tasks.gitops.follow import follow
from tests.cluster.gitops_world import BROKEN, FOLDER, WAYS, GitOps, hook, project, window
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.argocd]
RUN = "run-1"
SECONDS = 90.0
SOON = 15.0


@dataclass
class Following:
    """Someone who follows commits, and hears what is said.

    Fields:
        gitops: The service.
        engine: The block.
        said: All lines.
    """

    gitops: GitOps
    engine: Engine
    said: list[str] = field(default_factory=list)

    async def __call__(self, commit: str, *, timeout_seconds: float = SECONDS) -> Observed:
        """Follow a commit."""

        async def say(lines: tuple[str, ...]) -> None:
            self.said.extend(lines)

        return await follow(self.engine, self.gitops.git, commit=commit, note=RUN, timeout_seconds=timeout_seconds, say=say)

    async def hears(self, word: str) -> None:
        """Wait until something was said."""
        await until(lambda: any(word in line for line in self.said), timeout_seconds=60)


def following(gitops: GitOps, way: str = "cluster", **fields: Any) -> Following:
    """Follow by one of the two ways."""
    return Following(gitops, gitops.by(way, **fields))


@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.parametrize("way", WAYS)
async def test_a_commit_is_followed_until_it_is_deployed(gitops: GitOps, way: str, *, automatic: bool) -> None:
    """By itself or by a sync of ours; the workload's template is the commit's at return."""
    await gitops.deployed(automatic=automatic)
    commit = gitops.commit("6.9.1")
    seen = await following(gitops, way)(commit)
    assert (seen.revision, seen.synced, seen.operation) == (commit, True, None)
    assert await gitops.image() == "6.9.1"


async def test_a_commit_that_is_deployed_already_is_not_synced_again(gitops: GitOps) -> None:
    """A release that was killed and goes on finds what is there."""
    commit = await gitops.deployed()
    began = time.monotonic()
    await following(gitops)(commit)
    assert time.monotonic() - began < SOON


async def test_a_commit_of_another_after_ours_counts_as_ours(gitops: GitOps) -> None:
    """What is deployed is a descendant, so ours is in it."""
    await gitops.deployed(automatic=False)
    commit = gitops.commit("6.9.1")
    later = gitops.repository.write({f"{FOLDER}/notes.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\n"})
    seen = await following(gitops)(commit)
    assert seen.revision == later
    assert await gitops.image() == "6.9.1"


async def test_a_hook_that_fails_is_named_within_seconds(gitops: GitOps) -> None:
    """With its kind, name and what Argo CD says of it; the workload is not touched by a hook before the sync."""
    await gitops.deployed()
    commit = gitops.commit("6.9.1", {"hook.yaml": hook("migrate", "PreSync", ends="badly")})
    began = time.monotonic()
    with pytest.raises(RolloutFailed, match="migrate"):
        await following(gitops)(commit)
    assert time.monotonic() - began < 2 * SOON
    assert await gitops.image() == "6.9.0"


async def test_a_hook_after_the_sync_that_fails_is_a_failure_although_all_is_in_sync(gitops: GitOps) -> None:
    """Synced alone is not enough."""
    await gitops.deployed()
    commit = gitops.commit("6.9.1", {"hook.yaml": hook("smoke", "PostSync", ends="badly")})
    with pytest.raises(RolloutFailed, match="smoke"):
        await following(gitops)(commit)


@pytest.mark.parametrize("way", WAYS)
async def test_a_manifest_that_cannot_be_rendered_is_named_within_seconds(gitops: GitOps, way: str) -> None:
    """The message is Argo CD's own."""
    await gitops.deployed()
    commit = gitops.repository.write({f"{FOLDER}/deployment.yaml": BROKEN})
    began = time.monotonic()
    with pytest.raises(RolloutFailed, match=r"deployment\.yaml"):
        await following(gitops, way)(commit)
    assert time.monotonic() - began < SOON


async def test_a_fault_of_the_commit_before_is_not_taken_for_ours(gitops: GitOps) -> None:
    """A revert is followed while Argo CD still says what was wrong with what it reverts."""
    await gitops.deployed()
    bad = gitops.repository.write({f"{FOLDER}/deployment.yaml": BROKEN})
    with pytest.raises(RolloutFailed):
        await following(gitops)(bad)
    assert "ComparisonError" in (await gitops.engine().look()).fault
    seen = await following(gitops)(gitops.commit("6.9.0"))
    assert seen.synced
    failing = gitops.commit("6.9.1", {"hook.yaml": hook("migrate", "PreSync", ends="badly")})
    with pytest.raises(RolloutFailed):
        await following(gitops)(failing)
    seen = await following(gitops)(gitops.commit("6.9.1", {"hook.yaml": hook("migrate", "PreSync")}))
    assert seen.synced
    assert await gitops.image() == "6.9.1"


async def test_a_resource_that_the_cluster_rejects_is_named(gitops: GitOps) -> None:
    """With the API server's words."""
    await gitops.deployed()
    commit = gitops.commit("6.9.1", change={"replicas": -1})
    with pytest.raises(RolloutFailed, match="replicas"):
        await following(gitops)(commit)


async def test_a_sync_that_argo_cd_retries_may_still_succeed(gitops: GitOps) -> None:
    """The fault is told within seconds; once its cause is gone the commit is deployed."""
    policy = {"retry": {"limit": 20, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "1s"}}}
    await gitops.deployed(policy=policy)
    elsewhere = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes", "namespace": f"{gitops.name}-late"}}
    commit, late = gitops.commit("6.9.1", {"notes.yaml": elsewhere}), f"{gitops.name}-late"
    who = following(gitops)
    task = asyncio.create_task(who(commit))
    await who.hears("the sync failed")
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": late}}
    await gitops.world.apply(space)
    try:
        assert (await task).synced
    finally:
        await gitops.world.remove(space)


async def test_a_degraded_resource_that_heals_does_not_end_the_release(gitops: GitOps) -> None:
    """While the sync waits for it the fault is told; it is deployed once the resource is healthy."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "1"}}}
    await gitops.deployed(policy={"retry": {"limit": 20, "backoff": {"duration": "2s", "factor": 1, "maxDuration": "2s"}}})
    await gitops.world.apply(quota)
    after = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "after", "annotations": {"argocd.argoproj.io/sync-wave": "1"}}}
    commit = gitops.commit("6.9.1", {"after.yaml": after}, change={"progressDeadlineSeconds": 3})
    who = following(gitops)
    task = asyncio.create_task(who(commit))
    await who.hears("Degraded")
    await gitops.world.remove(quota)
    assert (await task).synced
    await gitops.world.rolled_out()


@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.parametrize("way", WAYS)
async def test_a_sync_window_is_told_with_its_end_and_waited_for(gitops: GitOps, way: str, *, automatic: bool) -> None:
    """It is never called stuck; once it is over the commit is deployed."""
    await gitops.apply(project(gitops.name))
    await gitops.deployed(automatic=automatic, project=gitops.name)
    begin = datetime.now(UTC) - timedelta(minutes=5)
    end = f"{begin + timedelta(hours=1):%Y-%m-%d %H:%M} UTC"
    closing = window(schedule=f"{begin.minute} {begin.hour} * * *", duration="1h", namespaces=[gitops.world.namespace])
    await gitops.apply(project(gitops.name, closing))
    commit = gitops.commit("6.9.1")
    who = following(gitops, way)
    task = asyncio.create_task(who(commit))
    await who.hears(f"sync window until {end}")
    await asyncio.sleep(3)
    assert not task.done()
    await gitops.apply(project(gitops.name))
    assert (await task).revision == commit


async def test_a_sync_that_does_not_end_is_named_with_what_it_waits_for(gitops: GitOps) -> None:
    """After the time that it may take; it can then be stopped, and the commit before be followed."""
    await gitops.deployed()
    commit = gitops.commit("6.9.1", {"hook.yaml": hook("slow", "PreSync", ends="never")})
    with pytest.raises(RolloutFailed, match="slow"):
        await following(gitops)(commit, timeout_seconds=25)
    await gitops.engine().stop()
    seen = await following(gitops)(gitops.commit("6.9.0", {"hook.yaml": hook("slow", "PreSync")}))
    assert seen.synced


async def test_an_application_that_goes_away_ends_the_wait(gitops: GitOps) -> None:
    """It is named within seconds."""
    await gitops.deployed(automatic=False)
    await gitops.remove()
    began = time.monotonic()
    with pytest.raises(RolloutFailed, match=gitops.name):
        await following(gitops)(gitops.commit("6.9.1"))
    assert time.monotonic() - began < SOON


async def test_an_application_of_another_project_is_not_synced(gitops: GitOps) -> None:
    """No sync is begun in it."""
    await gitops.deployed(automatic=False)
    commit = gitops.commit("6.9.1")
    with pytest.raises(RolloutFailed, match="in the project default"):
        await following(gitops, project="shop")(commit)
    assert "operation" not in await gitops.read()


async def test_git_away_for_a_while_is_waited_out(gitops: GitOps) -> None:
    """What Argo CD says of it is told, and the commit is deployed afterwards."""
    await gitops.deployed()
    commit = gitops.commit("6.9.1")
    gitops.remote.status = 503
    who = following(gitops)
    task = asyncio.create_task(who(commit))
    await who.hears("ComparisonError")
    await asyncio.sleep(5)
    assert not task.done()
    gitops.remote.status = 0
    assert (await task).revision == commit


async def test_an_argo_cd_that_does_not_look_is_named_after_the_time(gitops: GitOps) -> None:
    """It is temporary: the commit may be deployed later. Argo CD does not look into the test's own namespace."""
    commit = gitops.commit()
    await gitops.world.apply(gitops.manifest())
    with pytest.raises(Temporary, match="did not look"):
        await following(gitops, namespace=gitops.world.namespace)(commit, timeout_seconds=15)


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.alone
@pytest.mark.parametrize("part", ["argocd-application-controller", "argocd-repo-server", "argocd-server"])
async def test_a_part_of_argo_cd_that_is_away_for_a_while_is_waited_out(gitops: GitOps, argocd_parts: dict[str, int], part: str) -> None:
    """The controller, the repository server or the API: it is said, and the commit is deployed once it is there again."""
    await gitops.deployed()
    who = following(gitops, "api" if part == "argocd-server" else "cluster")
    commit = gitops.commit("6.9.1")
    with stopped(argocd_parts[part]):
        task = asyncio.create_task(who(commit, timeout_seconds=150))
        await asyncio.sleep(20)
        assert not task.done()
        assert who.said
    assert (await task).revision == commit
