"""Why a rollout is stuck, named by a real cluster within five seconds of its knowing it, instead of at the deadline."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from blocks.errors import RolloutFailed, Superseded
from blocks.kubernetes.api.watch import Seen, Source, watch_until
from blocks.kubernetes.leases import acquire_lease
from blocks.kubernetes.objects.diagnosis import TELLING
from blocks.kubernetes.observe.events import record_event
from blocks.kubernetes.rollout import await_rollout
from blocks.kubernetes.workload import Target
from tests.cluster.cluster_world import PATH, World, deployment

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]
Json = dict[str, Any]
SECONDS = 5.0
SOURCES = [Source("pods", "Pod"), Source("events", "Event"), Source("workloads", "Deployment")]


async def failure_of(world: World, sign: Callable[[Seen], Any], *, spec: Json, **more: Any) -> tuple[RolloutFailed, float]:
    """Apply a podinfo that cannot come up, and give how it failed and how long after the cluster's first sign of it, in seconds."""
    await world.podinfo(ready=False, change=spec)
    target = Target(world.cluster, "podinfo", **more)
    lease = await acquire_lease(target, "run", takeover=False)

    async def first_sign() -> float:
        await watch_until(world.cluster, SOURCES, lambda seen: sign(seen) or None, timeout_seconds=60)
        return time.monotonic()

    known = asyncio.create_task(first_sign())
    with pytest.raises(RolloutFailed) as caught:
        await await_rollout(
            target, await target.read(), kind="Deployment", version="6.9.0", lease=lease, is_new=lambda _: True, timeout_seconds=60
        )
    failed = time.monotonic()
    return caught.value, failed - await known


def template(**container: Any) -> Json:
    """Write the spec of a podinfo whose container differs."""
    whole = deployment("podinfo", "6.9.0")["spec"]["template"]
    whole["spec"]["containers"][0] |= container
    return {"template": whole}


def waits(seen: Seen, *reasons: str) -> bool:
    """Return whether a container waits for one of these reasons."""
    statuses = [one for pod in seen["pods"].values() for one in pod["status"].get("containerStatuses") or []]
    return any((one["state"].get("waiting") or {}).get("reason") in reasons for one in statuses)


def condition(seen: Seen, kind: str, status: str) -> bool:
    """Return whether the workload has a condition."""
    conditions = [one for workload in seen["workloads"].values() for one in (workload.get("status") or {}).get("conditions") or []]
    return any((one["type"], one["status"]) == (kind, status) for one in conditions)


async def test_an_image_that_cannot_be_pulled(world: World) -> None:
    """The image and the registry's trouble are named."""
    error, late = await failure_of(
        world, lambda seen: waits(seen, "ErrImagePull", "ImagePullBackOff"), spec=template(image="registry.invalid/podinfo:6.9.0")
    )
    assert "registry.invalid/podinfo:6.9.0" in str(error)
    assert "podinfo does not become ready" in str(error)
    assert late < SECONDS


async def test_a_crash_loop_with_its_last_words(world: World) -> None:
    """The exit status and the last lines that the container wrote are there, with a secret of its manifest masked."""
    # podinfo ends at once where its certificate is not there.
    env = [
        {"name": "PODINFO_LEVEL", "value": "info"},
        {"name": "PODINFO_SECURE_PORT", "value": "9443"},
        {"name": "PODINFO_CERT_PATH", "value": "/nowhere/s3cr3t-path"},
        {"name": "API_TOKEN", "value": "s3cr3t-path"},
    ]
    error, late = await failure_of(world, lambda seen: waits(seen, "CrashLoopBackOff"), spec=template(env=env))
    assert "CrashLoopBackOff" in str(error)
    assert "exited with status" in str(error)
    assert any("/nowhere/********/" in line and "no such file" in line for line in error.evidence)
    assert not any("s3cr3t-path" in line for line in error.evidence)
    assert any(re.search(r"^podinfo-\S+/podinfo: \d+ restarts", line) for line in error.evidence)
    assert late < SECONDS


async def test_readiness_with_the_answer_of_the_probe(world: World) -> None:
    """The probe's status code is named once it has failed as often in a row as its manifest allows."""
    probe = {"httpGet": {"path": "/status/503", "port": 9898}, "periodSeconds": 1, "failureThreshold": 3}

    def unready(seen: Seen) -> bool:
        return any(one.get("reason") == "Unhealthy" and "503" in one["message"] for one in seen["events"].values())

    error, late = await failure_of(world, unready, spec=template(readinessProbe=probe))
    assert "statuscode: 503" in str(error)
    assert late < SECONDS + 2  # the first of three failures is the sign


async def test_a_sidecar_that_is_not_ready_with_the_answer_of_its_probe(world: World) -> None:
    """An init container that stays counts for readiness; its probe's words are named, and not the deadline alone."""
    probe = {"httpGet": {"path": "/status/503", "port": 9000}, "periodSeconds": 1, "failureThreshold": 3}
    whole = template()
    aside = {**whole["template"]["spec"]["containers"][0], "name": "proxy", "restartPolicy": "Always", "readinessProbe": probe}
    aside |= {"command": ["podinfo", "--port=9000", "--level=warn"], "env": [PATH], "ports": []}
    whole["template"]["spec"]["initContainers"] = [aside]

    def unready(seen: Seen) -> bool:
        return any(one.get("reason") == "Unhealthy" and "503" in one["message"] for one in seen["events"].values())

    error, late = await failure_of(world, unready, spec=whole)
    assert "container proxy is not ready" in str(error)
    assert "statuscode: 503" in str(error)
    assert late < SECONDS + 2


async def test_a_quota_that_is_exceeded(world: World) -> None:
    """The quota's name and numbers are the cluster's own words."""
    await world.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {"pods": "0"}}})
    error, late = await failure_of(world, lambda seen: condition(seen, "ReplicaFailure", "True"), spec={})
    assert "exceeded quota: small" in str(error)
    assert late < SECONDS


async def test_no_node_that_fits(world: World) -> None:
    """The scheduler's count of nodes and what they lack is named."""
    resources = {"requests": {"cpu": "10k"}}

    def unschedulable(seen: Seen) -> bool:
        conditions = [one for pod in seen["pods"].values() for one in pod["status"].get("conditions") or []]
        return any(one.get("reason") == "Unschedulable" for one in conditions)

    error, late = await failure_of(world, unschedulable, spec=template(resources=resources))
    assert "Unschedulable" in str(error)
    assert "Insufficient cpu" in str(error)
    assert 15 <= late < 15 + SECONDS  # as long as the block waits for a node by default


async def test_pods_that_admission_refuses(world: World) -> None:
    """What the namespace's policy forbids is quoted."""
    limit = {"type": "Container", "max": {"memory": "8Mi"}}
    await world.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "tiny"}, "spec": {"limits": [limit]}})
    error, late = await failure_of(
        world,
        lambda seen: condition(seen, "ReplicaFailure", "True"),
        spec=template(resources={"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}}),
    )
    assert "maximum memory usage per Container is 8Mi" in str(error)
    assert late < SECONDS


async def test_a_secret_that_is_not_there(world: World) -> None:
    """The missing object is named."""
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "nowhere", "key": "token"}}}]
    error, late = await failure_of(world, lambda seen: waits(seen, "CreateContainerConfigError"), spec=template(env=env))
    assert 'secret "nowhere" not found' in str(error)
    assert late < SECONDS


async def test_a_newer_owner_ends_the_wait_at_once(world: World) -> None:
    """Whoever waits for a rollout under an older lease stops in a second."""
    await world.podinfo(ready=False, change=template(readinessProbe={"httpGet": {"path": "/nowhere", "port": 1}, "periodSeconds": 1}))
    target = Target(world.cluster, "podinfo")
    lease = await acquire_lease(target, "run", takeover=False)
    workload = await target.read()

    waiting = asyncio.create_task(
        await_rollout(target, workload, kind="Deployment", version="6.9.0", lease=lease, is_new=lambda _: True, timeout_seconds=60)
    )
    await asyncio.sleep(0.5)
    began = time.monotonic()
    await acquire_lease(target, "rollback", takeover=True)
    with pytest.raises(Superseded):
        await waiting
    assert time.monotonic() - began < 1


async def test_what_happens_in_every_rollout_is_not_even_sent_to_us(world: World) -> None:
    """The API server leaves out the usual events of a rollout and our own, so that releases in one namespace do not wake each other."""
    await world.podinfo()
    target = Target(world.cluster, "podinfo")
    await record_event(target, reason="ShipwayShift", note="to the canary")
    everything = await world.cluster.list("Event")
    assert {"Scheduled", "Started", "ScalingReplicaSet", "ShipwayShift"} <= {one["reason"] for one in everything}
    telling = {one["reason"] for one in await world.cluster.list("Event", fields=TELLING)}
    assert telling <= {"Unhealthy"}
