"""What a release would change, and what others changed since the last one, on a real cluster."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import BadInput, WorldMoved
from blocks.kubernetes.leases import acquire_lease
from blocks.kubernetes.observe.drift import leave
from blocks.kubernetes.preview.dry_run import preview
from blocks.kubernetes.preview.planned import planned
from blocks.kubernetes.workload import Target
from blocks.platform import Preview
from tests.cluster.cluster_world import World, deployment, service
from tests.cluster.scene import FIRST, SECOND, THIRD, Scene, platform_of

pytestmark = pytest.mark.cluster
IMAGE_LINE = "spec.template.spec.containers[podinfo].image: ghcr.io/stefanprodan/podinfo:6.9.0 → ghcr.io/stefanprodan/podinfo:6.9.1"


def target_of(world: World, **fields: Any) -> Target:
    """Return the workload of a world; its image is taken over from whoever applied it."""
    return Target(cluster=world.cluster, workload="podinfo", service="podinfo", **{"force_conflicts": True, **fields})


async def seen(target: Target, *, strategy: str = "rolling", version: str = "6.9.1") -> Preview:
    """Ask what a release would change."""
    return await preview(target, await planned(target, strategy, version))


async def test_a_preview_names_every_change_and_makes_none(world: World) -> None:
    """The image's line is there with both values, and nothing of the workload that its owner writes has changed."""
    await world.apply(deployment("podinfo", "6.9.0", replicas=0), service("podinfo"))
    target = target_of(world)
    before = await target.read()
    found = await seen(target)
    assert f"Deployment podinfo: {IMAGE_LINE}" in found["changes"]
    assert all("shipway.dev" not in line and "managedFields" not in line for line in found["changes"])
    assert "not known" in found["notes"][0], "no one has released here yet, which is neither drift nor a proof of none"
    beside = await seen(target, strategy="canary")
    assert "Deployment podinfo-canary: would be created, and removed at the end" in beside["changes"]
    assert await target.cluster.read("Deployment", "podinfo-canary") is None
    after = await target.read()
    assert (after["spec"], after["metadata"]["generation"]) == (before["spec"], before["metadata"]["generation"])
    assert not [name for name in after["metadata"]["annotations"] if name.startswith("shipway.dev/")]


async def test_what_the_cluster_would_refuse_is_raised_with_its_fix(world: World) -> None:
    """An owner of the image that does not give it up, and a version that makes no image."""
    await world.apply(deployment("podinfo", "6.9.0", replicas=0), service("podinfo"), manager="argocd")
    with pytest.raises(WorldMoved, match=r"argocd.*force_conflicts"):
        await seen(target_of(world, force_conflicts=False))
    with pytest.raises(BadInput):
        await seen(target_of(world), version="6.9.1+build")


async def test_drift_is_what_others_changed_since_a_release_left_it(world: World) -> None:
    """Old and new value, and by whom; not what Shipway itself noted, and no secret."""
    await world.apply(deployment("podinfo", "6.9.0", replicas=1), service("podinfo"))
    await world.rolled_out()
    target = target_of(world)
    lease = await acquire_lease(target, "run-1", takeover=False)
    await leave(target, lease)
    await acquire_lease(target, "run-2", takeover=True)
    assert (await seen(target))["drift"] == []
    env = [{"name": "PODINFO_LEVEL", "value": "debug"}, {"name": "API_TOKEN", "value": "hush-hush"}]
    container = {"name": "podinfo", "image": "ghcr.io/stefanprodan/podinfo:6.9.0", "env": env}
    await world.merge(
        "Deployment", "podinfo", {"spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}}}, manager="kubectl-edit"
    )
    drift = (await seen(target))["drift"]
    assert "Deployment podinfo: spec.replicas: 1 → 2 (by kubectl-edit)" in drift
    place = "Deployment podinfo: spec.template.spec.containers[podinfo].env[PODINFO_LEVEL].value: warn → debug (by kubectl-edit)"
    assert place in drift, drift
    assert (
        "Deployment podinfo: spec.template.spec.containers[podinfo].env[API_TOKEN].value: (nothing) → ******** (by kubectl-edit)" in drift
    )
    assert "hush-hush" not in str(drift)
    await world.rolled_out()
    await leave(target, await acquire_lease(target, "run-3", takeover=True))
    assert (await seen(target))["drift"] == [], "the next release leaves it anew"


@pytest.mark.parametrize("version", [SECOND, THIRD], ids=["the same version", "another version"])
async def test_a_secret_that_was_rotated_is_named_by_its_key_and_never_by_its_value(world: World, version: str) -> None:
    """Since the release that serves one key changed and one came; the preview says so, whatever version comes next, and writes nothing."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web"}, "stringData": {"WORD": "hush-old", "OTHER": "hush-same"}}
    manifest = deployment("podinfo", FIRST)
    manifest["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "web"}}]
    await world.apply(secret, manifest, service("podinfo"))
    await world.rolled_out()
    scene = Scene(world, platform_of(world, "rolling"))
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 100)
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)
    assert not [line for line in (await scene.platform.preview(version))["changes"] if "Secret" in line]
    await world.apply({**secret, "stringData": {"WORD": "hush-new", "OTHER": "hush-same", "EXTRA": "hush-more"}})
    before = await world.cluster.read("Deployment", "podinfo")
    found = await scene.platform.preview(version)
    assert [line for line in found["changes"] if "Secret" in line] == ["Secret web: EXTRA is new, WORD changed"]
    assert "hush" not in str(found)
    assert await world.cluster.read("Deployment", "podinfo") == before
