"""One Argo CD Application as Shipway reads and changes it, by the Kubernetes API and by Argo CD's own API."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from blocks.errors import BadInput, Refused, ShipwayError, Temporary, Unreachable
from blocks.gitops.operations import INFO
from tests.cluster.accounts import ACCOUNT, RBAC, account, kubeconfig, token
from tests.cluster.gitops_world import FOLDER, WAYS, GitOps, hook, project, window
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.argocd]
RUN, OTHER = "run-1", "run-2"
ROLE = Path(__file__).parents[2] / "docs" / "argocd-role.yaml"


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_deployed_is_seen(gitops: GitOps, way: str) -> None:
    """The full commit that was compared, in sync, with no operation and nothing wrong."""
    commit = await gitops.deployed()
    seen = await gitops.by(way).look()
    assert (seen.revision, seen.synced, seen.operation, seen.automatic, seen.held) == (commit, True, None, True, False)
    assert seen.waiting == ""
    assert gitops.name in seen.lines[0]


async def test_both_ways_see_the_same(gitops: GitOps) -> None:
    """The same Application has one identity, and the same state but for the health of single resources."""
    await gitops.deployed()
    one, other = gitops.engine(), gitops.engine_by_api()
    assert await one.identity() == await other.identity()
    assert (await one.look()).revision == (await other.look()).revision


@pytest.mark.parametrize("way", WAYS)
async def test_a_refresh_returns_once_git_was_looked_at(gitops: GitOps, way: str) -> None:
    """A commit is known right afterwards, long before Argo CD would look by itself."""
    await gitops.deployed(automatic=False)
    engine = gitops.by(way)
    await engine.refresh()
    commit = gitops.commit("6.9.1")

    async def knows() -> bool:
        await engine.refresh()
        return (await engine.look()).revision == commit

    began = time.monotonic()
    await until(knows, timeout_seconds=30)
    assert time.monotonic() - began < 15


async def test_a_request_to_look_that_was_overlooked_is_made_again(gitops: GitOps) -> None:
    """Argo CD drops one that comes during a look. It does not look into the test's own namespace, so all are dropped here."""
    await gitops.world.apply(gitops.manifest())
    refreshing = asyncio.create_task(gitops.engine(namespace=gitops.world.namespace).refresh())
    seen = set()
    while not refreshing.done():
        found = await gitops.world.cluster.read("Application", gitops.name)
        seen.add(found and found["metadata"]["resourceVersion"])
        await asyncio.sleep(0.1)
    with pytest.raises(Temporary, match="did not look"):
        await refreshing
    assert len(seen) >= 4  # as applied, asked, and each time that it is asked again


@pytest.mark.parametrize("way", WAYS)
async def test_a_sync_by_hand_is_of_the_full_commit_and_names_the_release(gitops: GitOps, way: str) -> None:
    """Asked for again, it is not begun again."""
    commit = await gitops.deployed(automatic=False)
    engine = gitops.by(way)
    await engine.refresh()
    assert (await engine.look()).synced is False
    await engine.sync(commit, note=RUN)
    await gitops.synced(commit)
    began = (await gitops.read())["status"]["operationState"]["startedAt"]
    await engine.sync(commit, note=RUN)
    state = (await gitops.read())["status"]["operationState"]
    assert state["operation"]["sync"]["revision"] == commit
    assert state["operation"]["info"] == [{"name": INFO, "value": RUN}]
    assert state["startedAt"] == began


@pytest.mark.parametrize("way", WAYS)
async def test_no_sync_is_started_for_an_application_that_syncs_by_itself(gitops: GitOps, way: str) -> None:
    """Two who decide would fight."""
    await gitops.deployed()
    with pytest.raises(Refused, match="by itself"):
        await gitops.by(way).sync(gitops.repository.head, note=OTHER)


async def test_no_sync_is_started_into_a_window_that_forbids_it(gitops: GitOps) -> None:
    """It would be done when the window ends, long after the release."""
    await gitops.apply(project(gitops.name, window(namespaces=[gitops.world.namespace])))
    commit = await gitops.deployed(automatic=False, project=gitops.name)
    with pytest.raises(Temporary, match="sync window"):
        await gitops.engine().sync(commit, note=RUN)
    assert "operation" not in await gitops.read()


@pytest.mark.parametrize("way", WAYS)
async def test_a_running_operation_is_stopped(gitops: GitOps, way: str) -> None:
    """It has ended at return, the workload was not touched, and auto-sync does not begin it again."""
    await gitops.deployed()
    commit = gitops.commit("6.9.1", {"hook.yaml": hook("slow", "PreSync", ends="never")})
    engine = gitops.by(way)

    async def running() -> bool:
        await engine.refresh()
        return (await engine.look()).operation == commit

    await until(running, timeout_seconds=60)
    await engine.stop()
    await engine.stop()
    seen = await engine.look()
    assert seen.operation is None
    assert "terminated" in seen.fault
    await gitops.stays("6.9.0")


async def test_an_operation_that_a_window_blocks_is_withdrawn(gitops: GitOps) -> None:
    """Argo CD itself would terminate it only when the window ends."""
    await gitops.apply(project(gitops.name))
    await gitops.deployed(automatic=False, project=gitops.name)
    await gitops.apply(project(gitops.name, window(namespaces=[gitops.world.namespace])))
    engine = gitops.engine()
    await gitops.change({"operation": {"sync": {"revision": gitops.repository.head}, "initiatedBy": {"username": "ann"}}})

    async def blocked() -> bool:
        return "sync window" in (await engine.look()).waiting

    await until(blocked, timeout_seconds=60)
    with pytest.raises(Temporary, match="window"):
        await gitops.engine_by_api().stop()
    await engine.stop()
    assert (await engine.look()).operation is None


@pytest.mark.parametrize(("way", "error"), [("cluster", BadInput), ("api", Refused)])
async def test_an_application_that_is_not_there_is_a_fault(gitops: GitOps, way: str, error: type[ShipwayError]) -> None:
    """It is not an error to look at it; to change it is. Argo CD's API says of it only that access is denied."""
    seen = await gitops.by(way).look()
    assert (seen.revision, seen.temporary) == ("", False)
    assert gitops.name in seen.fault
    with pytest.raises(error, match=gitops.name):
        await gitops.by(way).hold(RUN)


async def test_an_application_of_another_project_is_a_fault(gitops: GitOps) -> None:
    """Whatever it says of itself, it is not followed."""
    await gitops.deployed()
    seen = await gitops.engine(project="shop").look()
    assert (seen.revision, seen.synced, seen.temporary) == ("", False, False)
    assert "in the project default" in seen.fault


async def test_one_of_several_sources_is_seen_by_index_and_by_name(gitops: GitOps) -> None:
    """Without either the block is refused, and the sources are named."""
    commit = gitops.commit()
    gitops.commit(files={"more.yaml": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}}}, folder="more")
    sources = [gitops.source(targetRevision=commit), gitops.source(path="more", name="more")]
    gitops.repository.write({f"{FOLDER}/README": b"not deployed"})
    await gitops.apply(gitops.manifest(sources=sources, automatic=False))
    await gitops.engine(source="0").refresh()
    assert (await gitops.engine(source="0").look()).revision == commit
    assert (await gitops.engine(source="more").look()).revision == gitops.repository.head
    with pytest.raises(BadInput, match="more"):
        await gitops.engine().look()


async def test_the_documented_role_is_enough(gitops: GitOps) -> None:
    """An account with it and nothing else looks, refreshes, syncs, stops, holds and releases; without it the missing right is named."""
    commit = await gitops.deployed(automatic=False)
    binding = {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": {"name": gitops.name}}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": gitops.world.namespace}
    await gitops.world.apply(account())
    engine = gitops.engine(config=SecretStr(kubeconfig(gitops.world, await token(gitops.world))))
    assert "argocd-role.yaml" in (await engine.look()).fault
    role = yaml.safe_load(ROLE.read_text())
    role["metadata"]["name"] = gitops.name
    await gitops.apply(role, {**binding, "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": gitops.name}, "subjects": [subject]})

    async def may() -> bool:
        return "argocd-role" not in (await engine.look()).fault

    await until(may)  # API servers learn of a new Role after a moment
    await engine.refresh()
    await engine.sync(commit, note=RUN)
    await gitops.synced(commit)
    await engine.stop()
    await engine.hold(RUN)
    await engine.release_hold(RUN)
    assert (await engine.look()).revision == commit


async def test_a_wrong_token_is_named_and_not_quoted(gitops: GitOps) -> None:
    """The fix is in the message."""
    await gitops.deployed()
    seen = await gitops.engine(server=gitops.argocd.url, token=SecretStr("not-a-token-of-anyone")).look()
    assert "token" in seen.fault
    assert "not-a-token" not in seen.fault


async def test_a_server_that_does_not_answer_is_unreachable(gitops: GitOps) -> None:
    """Another try may help."""
    with pytest.raises(Unreachable):
        await gitops.engine(server="http://127.0.0.1:9", token=SecretStr("t0ken")).look()
