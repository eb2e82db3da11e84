"""Holds on a real Argo CD: what runs stays, with Git away too, and whoever owns the Application does not undo it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from blocks.errors import Refused
from tests.cluster.gitops_world import WAYS, GitOps
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.argocd]
RUN, OTHER = "run-1", "run-2"


@pytest.mark.parametrize("way", WAYS)
async def test_a_hold_keeps_what_runs_until_it_is_released(gitops: GitOps, way: str) -> None:
    """Another commit is not deployed, though Argo CD knows it; afterwards it is, and the sync policy is what it was."""
    await gitops.deployed()
    engine, policy = gitops.by(way), (await gitops.read())["spec"]["syncPolicy"]
    await engine.hold(RUN)
    await engine.hold(RUN)
    assert (await engine.look()).held
    commit = gitops.commit("6.9.1")
    await engine.refresh()
    await gitops.stays("6.9.0")
    await engine.release_hold(RUN)
    await gitops.synced(commit)
    assert (await gitops.read())["spec"]["syncPolicy"] == policy
    assert not (await engine.look()).held


@pytest.mark.parametrize("way", WAYS)
async def test_a_hold_keeps_what_was_changed_in_the_cluster(gitops: GitOps, way: str) -> None:
    """Self-heal does not set the workload to what Git says."""
    await gitops.deployed()
    await gitops.by(way).hold(RUN)
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "ghcr.io/stefanprodan/podinfo:6.9.1"}]
    path = gitops.world.cluster.path("Deployment", "podinfo")
    await gitops.world.cluster.call("PATCH", path, body=patch, content_type="application/json-patch+json")
    await gitops.stays("6.9.1")


@pytest.mark.parametrize("way", WAYS)
async def test_a_hold_does_not_need_git(gitops: GitOps, way: str) -> None:
    """With the repository away it holds within seconds, and is released."""
    await gitops.deployed()
    gitops.remote.status = 503
    engine, began = gitops.by(way), time.monotonic()
    await engine.hold(RUN)
    assert (await engine.look()).held
    await engine.release_hold(RUN)
    assert time.monotonic() - began < 15
    assert not (await engine.look()).held


async def test_a_hold_of_another_release_is_refused(gitops: GitOps) -> None:
    """The message names who holds it."""
    await gitops.deployed()
    await gitops.engine().hold(RUN)
    with pytest.raises(Refused, match=RUN):
        await gitops.engine().hold(OTHER)


def application_set(gitops: GitOps, **spec: Any) -> dict[str, Any]:
    """Write an ApplicationSet with the one Application."""
    application = gitops.manifest()
    template = {"metadata": {"name": gitops.name}, "spec": application["spec"]}
    body = {"goTemplate": True, "generators": [{"list": {"elements": [{"one": "1"}]}}], "template": template, **spec}
    return {"apiVersion": application["apiVersion"], "kind": "ApplicationSet", "metadata": {"name": gitops.name}, "spec": body}


async def test_a_hold_that_an_application_set_would_undo_is_refused_with_its_name(gitops: GitOps) -> None:
    """What the set needs is named, and nothing was changed."""
    commit = gitops.commit()
    await gitops.apply(application_set(gitops))
    await gitops.synced(commit)
    assert f"ApplicationSet {gitops.home.namespace}/{gitops.name}" in await gitops.engine().holdable()
    with pytest.raises(Refused, match="ignoreApplicationDifferences"):
        await gitops.engine().hold(RUN)
    assert (await gitops.read())["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}
    with pytest.raises(Refused, match="ApplicationSet"):
        await gitops.engine_by_api().hold(RUN)


async def test_a_hold_stands_where_an_application_set_leaves_the_policy_alone(gitops: GitOps) -> None:
    """With the two settings that the refusal names."""
    commit = gitops.commit()
    ignored = [{"jsonPointers": ["/spec/syncPolicy"]}]
    preserved = {"annotations": ["shipway.dev/hold"]}
    await gitops.apply(application_set(gitops, ignoreApplicationDifferences=ignored, preservedFields=preserved))
    await gitops.synced(commit)
    assert await gitops.engine().holdable() == ""
    await gitops.engine().hold(RUN)
    gitops.commit("6.9.1")
    await gitops.engine().refresh()
    await gitops.stays("6.9.0")
    await gitops.engine().release_hold(RUN)
    await gitops.runs("6.9.1")


async def app_of_apps(gitops: GitOps, **automated: Any) -> str:
    """Let an Application that heals itself deploy the one of the test from a folder beside it."""
    child = gitops.manifest(policy={"automated": {"prune": True, "selfHeal": True, **automated}})
    child["metadata"]["namespace"] = gitops.argocd.cluster.namespace
    gitops.repository.write({"root/child.yaml": json.dumps(child).encode()})
    commit = gitops.commit()
    root = gitops.manifest(source=gitops.source(path="root"))
    root["metadata"]["name"] = name = f"{gitops.name}-root"
    root["spec"]["destination"]["namespace"] = gitops.argocd.cluster.namespace
    await gitops.apply(root)
    gitops.made.append(child)
    gitops.made.reverse()  # the root first, which would make the child again

    async def is_there() -> bool:
        return await gitops.argocd.cluster.read("Application", gitops.name) is not None

    await until(is_there, timeout_seconds=60)
    await gitops.synced(commit)
    return name


async def test_a_hold_stands_on_a_child_of_an_app_of_apps(gitops: GitOps) -> None:
    """The parent heals itself and merges, so a switch that Git never set stays."""
    root = await app_of_apps(gitops)
    engine = gitops.engine()
    assert await engine.holdable() == ""
    await engine.hold(RUN)
    gitops.commit("6.9.1")
    await engine.refresh()
    await gitops.engine(application=root).refresh()
    await gitops.stays("6.9.0")
    assert (await engine.look()).held
    await engine.release_hold(RUN)
    await gitops.runs("6.9.1")


async def test_a_hold_that_an_app_of_apps_would_undo_is_refused_with_its_name(gitops: GitOps) -> None:
    """Git sets the switch itself, so the parent would set it again."""
    root = await app_of_apps(gitops, enabled=True)
    with pytest.raises(Refused, match=root):
        await gitops.engine().hold(RUN)
