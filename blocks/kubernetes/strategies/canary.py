"""Canary Deployment beside the workload: created, scaled and waited for."""

from __future__ import annotations

import copy
import math
from typing import Any

from blocks.errors import WorldMoved
from blocks.kubernetes.objects.annotations import GENERATION, number_in
from blocks.kubernetes.objects.template import VERSION_LABEL
from blocks.kubernetes.rollout import await_rollout
from blocks.kubernetes.routing.traffic import ALL, SHARE
from blocks.kubernetes.snapshot import version_in
from blocks.kubernetes.workload import FOR, OURS, Target, annotate, canary_of, change, owned, until_unchanged
from blocks.kubernetes.write import make
from blocks.platform import Lease

Json = dict[str, Any]
STABLE = "shipway.dev/stable-pods"
MOST_PODS = 100_000
MOST_TIMES = 4  # as many stable pods as there are now a canary may have been created beside


def beside_body(target: Target, workload: Json, template: Json, labels: dict[str, str], *, pods: int, generation: int) -> Json:
    """Build the canary's Deployment: the workload's own, of another version, with labels that distinguish them."""
    new = copy.deepcopy(template)
    new.setdefault("metadata", {})["labels"] = {**labels, **_version_label(template)}
    spec: Json = {"replicas": pods, "selector": {"matchLabels": target.canary_selector}, "template": new, "revisionHistoryLimit": 1}
    kept = ("minReadySeconds", "progressDeadlineSeconds")
    spec |= {name: workload["spec"][name] for name in kept if name in workload["spec"]}
    stable = str(workload["spec"].get("replicas", 1))
    annotations = {FOR: target.workload, GENERATION: str(generation), SHARE: "0", STABLE: stable}
    metadata = {"name": target.canary, "namespace": target.cluster.namespace, "labels": OURS, "annotations": annotations}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _version_label(template: Json) -> dict[str, str]:
    value = (template.get("metadata", {}).get("labels") or {}).get(VERSION_LABEL)
    return {VERSION_LABEL: value} if value else {}


async def apply_beside(target: Target, body: Json, lease: Lease) -> None:
    """Create the canary's Deployment, or update it to this version; the number of its pods stays."""

    async def once() -> None:
        found = await canary_of(target)
        await owned(target, lease)
        if found is not None:
            body["spec"]["replicas"] = max(int(found["spec"].get("replicas", 0)), body["spec"]["replicas"])
            notes, before = body["metadata"]["annotations"], found["metadata"].get("annotations") or {}
            notes[SHARE] = before.get(SHARE, "0")
            notes[STABLE] = str(max(noted_pods(found), int(notes[STABLE])))
        await make(target, "Deployment", body, lease, found=found)

    await until_unchanged(once)


def noted_pods(canary: Json | None) -> int:
    """Read how many stable pods there were when the canary was created; 0 if that was not noted."""
    return number_in(canary, STABLE, most=MOST_PODS) or 0


def stable_before(canary: Json | None, workload: Json, *, percent: int) -> int:
    """Give how many stable pods there were when the canary was created, as far as it can be believed: others may change the annotation.

    Args:
        canary: The canary's Deployment, or None.
        workload: The workload, of which an autoscaler may have removed pods since.
        percent: The share that the canary's pods were scaled for, so that their number speaks for that of the stable ones.
    """
    replicas = int(workload["spec"].get("replicas", 1))
    pods = int(((canary or {}).get("status") or {}).get("replicas") or 0)
    carried = math.ceil(pods * ALL / percent) if percent else 0
    return min(noted_pods(canary), max(MOST_TIMES * replicas + MOST_TIMES, carried))


async def scale(target: Target, pods: int, percent: int, lease: Lease) -> None:
    """Scale the canary up if it needs more pods, and note the share that they are for."""

    async def once() -> None:
        found = await canary_of(target)
        await owned(target, lease)
        if found is None:
            raise WorldMoved(f"the Deployment {target.canary} does not exist any more; something else changed the environment")
        present = int(found["spec"].get("replicas", 0))
        wanted = max(pods, present)
        if (wanted, str(percent)) != (present, (found["metadata"].get("annotations") or {}).get(SHARE)):
            steps = [annotate(found, {SHARE: str(percent)}), {"op": "add", "path": "/spec/replicas", "value": wanted}]
            await change(target, "Deployment", found, steps)

    await until_unchanged(once)


async def await_beside(target: Target, version: str, lease: Lease, *, timeout_seconds: float) -> None:
    """Wait until the canary's Deployment runs a version everywhere."""
    found = await canary_of(target)
    if found is None:
        raise WorldMoved(f"the Deployment {target.canary} does not exist any more; something else changed the environment")
    await await_rollout(
        target,
        found,
        kind="Deployment",
        version=version,
        lease=lease,
        is_new=lambda pod: version_in(target, pod) == version,
        timeout_seconds=timeout_seconds,
    )
