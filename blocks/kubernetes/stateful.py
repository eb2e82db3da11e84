"""StatefulSets: the partition, by which they roll out in steps, and stuck pods, for which their controller waits."""

from __future__ import annotations

import math
from typing import Any

from blocks.errors import BadInput, RolloutFailed
from blocks.kubernetes.api.watch import Seen, Source, watch_until
from blocks.kubernetes.objects.annotations import PREFIX, number_in
from blocks.kubernetes.objects.diagnosis import is_ready
from blocks.kubernetes.objects.selectors import in_words
from blocks.kubernetes.workload import Target, annotate, change, owned, until_unchanged
from blocks.platform import Lease

Json = dict[str, Any]
ALL = 100
MOST_PODS = 100_000
PARTITION = f"{PREFIX}partition"
REVISION = "controller-revision-hash"
OBSERVED_SECONDS = 60.0


async def set_partition(target: Target, percent: int, lease: Lease) -> None:
    """Set the partition so that the highest pods take a new template: this share, rounded up. The owner's partition is noted."""

    async def once() -> None:
        workload, _ = await owned(target, lease)
        wanted = int(workload["spec"].get("replicas", 1))
        await _write(target, workload, wanted - math.ceil(wanted * percent / ALL), note=_noted(workload) or str(_partition(workload)))

    await until_unchanged(once)


async def restore_partition(target: Target, lease: Lease) -> None:
    """Restore the partition that the StatefulSet's owner set; a no-op if it was not changed."""

    async def once() -> None:
        workload, _ = await owned(target, lease)
        noted = _noted(workload)
        if noted:
            await _write(target, workload, int(noted), note=None)

    if target.kind == "StatefulSet":
        await until_unchanged(once)


def _noted(workload: Json) -> str:
    noted = number_in(workload, PARTITION, most=MOST_PODS)
    return "" if noted is None else str(noted)


def _partition(workload: Json) -> int:
    return int(((workload["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0))


async def _write(target: Target, workload: Json, partition: int, *, note: str | None) -> None:
    strategy: Json = workload["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        fix = "Set spec.updateStrategy.type to RollingUpdate"
        raise BadInput(f"{target.title} does not update its pods itself", field="spec.updateStrategy", fix=fix)
    if _partition(workload) == partition and (note is not None or not _noted(workload)):
        return
    rolling = {"type": "RollingUpdate", "rollingUpdate": {**(strategy.get("rollingUpdate") or {}), "partition": partition}}
    steps = [annotate(workload, {PARTITION: note}), {"op": "add", "path": "/spec/updateStrategy", "value": rolling}]
    await change(target, target.kind, workload, steps)


async def free_stuck(target: Target, lease: Lease) -> None:
    """Delete pods of an outdated revision that are not ready: an ordered StatefulSet waits for them before it changes any.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    """
    workload = await _observed(target)
    revision = (workload.get("status") or {}).get("updateRevision", "")
    for pod in await target.cluster.list("Pod", labels=in_words(workload["spec"]["selector"])):
        if revision and is_stuck(pod, revision):
            await _delete(target, pod["metadata"]["name"], revision, lease)


async def _observed(target: Target) -> Json:
    """Wait until the controller has observed the last template: before that it names the previous revision."""

    def decide(seen: Seen) -> Json | None:
        found = seen["workload"].get(target.workload)
        is_seen = found and (found.get("status") or {}).get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
        return found if is_seen else None

    source = Source("workload", target.kind, fields=f"metadata.name={target.workload}")
    try:
        return await watch_until(target.cluster, [source], decide, timeout_seconds=OBSERVED_SECONDS)
    except TimeoutError:
        wrong = f"the cluster's controller has not observed {target.title} for {OBSERVED_SECONDS:g} s"
        raise RolloutFailed(f"{wrong}; check that kube-controller-manager runs") from None


async def _delete(target: Target, name: str, revision: str, lease: Lease) -> None:
    async def once() -> None:
        pod = await target.cluster.read("Pod", name)
        await owned(target, lease)
        if pod is not None and is_stuck(pod, revision):
            await target.cluster.delete("Pod", pod)

    await until_unchanged(once)


def is_stuck(pod: Json, revision: str) -> bool:
    """Return whether a pod is of another revision, not ready, and not terminating."""
    metadata = pod["metadata"]
    return (metadata.get("labels") or {}).get(REVISION) != revision and not is_ready(pod) and not metadata.get("deletionTimestamp")
