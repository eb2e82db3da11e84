"""Diagnosis: why a revision does not become ready, from its pods, events and workload. Values in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

Json = dict[str, Any]
CRASHES = 2
MOST_EVENTS = 15
AT_ONCE = {"InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
PULLING = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"}
CONFIGURING = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PostStartHookError"}
# A retry is useless: the registry has answered that it does not have or give this image.
NO_SUCH_IMAGE = re.compile(r"not found|manifest unknown|denied|unauthorized|no such image|does not exist", re.IGNORECASE)
# A node was ordered for the pod, or found: by the cluster autoscaler, and by Karpenter.
SCALED_UP = {"TriggeredScaleUp", "Nominated"}
PROGRESS_SECONDS = 5.0  # the condition of the previous revision stays for moments beside the new one
# Events of every rollout, which explain nothing; a namespace with fifty releases at once has thousands of these.
USUAL = ("Scheduled", "Pulling", "Pulled", "Created", "Started", "Killing", "ScalingReplicaSet", "SuccessfulCreate", "SuccessfulDelete")
TELLING = ",".join(["reportingComponent!=shipway", *(f"reason!={reason}" for reason in USUAL)])
MOUNTING = {"FailedMount": 8.0, "FailedAttachVolume": 20.0, "FailedCreatePodSandBox": 10.0}
PULL_SECONDS, CONFIGURE_SECONDS, CREATE_SECONDS = 2.0, 2.0, 2.0
READINESS_FLOOR_SECONDS = 5.0
# A pod that was unready in between shows only the later moment; a longer time than this is taken for such a case.
LONGEST_WARM_UP_SECONDS = 600.0


class Finding(NamedTuple):
    """Finding: one thing that is wrong.

    Fields:
        key: The same for the same cause, so that its duration can be measured.
        reason: The cluster's reason and its object, in one sentence.
        patience_seconds: How long it may last before it counts as a failure; infinite if only the deadline decides.
        pod: The pod whose last log lines belong to it, or empty.
    """

    key: str
    reason: str
    patience_seconds: float
    pod: str = ""


def find_reasons(
    pods: Iterable[Json],
    events: Iterable[Json],
    workload: Json,
    *,
    scheduling_seconds: float,
    unready_seconds: float | None,
    usual_seconds: float = 0.0,
) -> list[Finding]:
    """Find what keeps a revision from becoming ready, the most specific first.

    Args:
        pods: The revision's pods.
        events: Events of the namespace; those that `TELLING` selects are enough.
        workload: Its Deployment or StatefulSet.
        scheduling_seconds: How long a pod may be unschedulable; if a node was ordered for it, until the deadline.
        unready_seconds: How long the readiness probe of a running container may fail; None takes the probe's own threshold, or twice the
            usual time if that is longer.
        usual_seconds: How long the baseline took to become ready.
    """
    about = _by_object(events)
    found = [*_of_workload(workload, about)]
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp"):
            continue
        own = about.get(pod["metadata"]["name"], [])
        found += [*_of_scheduling(pod, own, scheduling_seconds), *_of_containers(pod), *_of_mounts(pod, own)]
        found += _of_readiness(pod, own, unready_seconds, usual_seconds)
    return sorted(found, key=lambda one: one.patience_seconds)


def _by_object(events: Iterable[Json]) -> dict[str, list[Json]]:
    about: dict[str, list[Json]] = {}
    for event in events:
        about.setdefault((event.get("involvedObject") or {}).get("name", ""), []).append(event)
    return about


def _of_workload(workload: Json, about: Mapping[str, list[Json]]) -> Iterator[Finding]:
    metadata = workload["metadata"]
    for condition in (workload.get("status") or {}).get("conditions") or []:
        kind, value, message = condition["type"], condition["status"], condition.get("message", "")
        if kind == "ReplicaFailure" and value == "True":
            yield Finding("create", f"{condition.get('reason', 'FailedCreate')}: {message}", CREATE_SECONDS)
        current = (workload.get("status") or {}).get("observedGeneration", 0) >= metadata.get("generation", 0)
        if kind == "Progressing" and value == "False" and current:
            yield Finding("progress", f"{condition.get('reason', 'ProgressDeadlineExceeded')}: {message}", PROGRESS_SECONDS)
    if workload.get("kind") == "StatefulSet":  # it has no condition for this
        for event in about.get(metadata["name"], []):
            if event.get("reason") == "FailedCreate" and event["involvedObject"].get("uid") == metadata.get("uid"):
                yield Finding("create", f"FailedCreate: {event.get('message', '')}", CREATE_SECONDS)


def _of_scheduling(pod: Json, events: list[Json], scheduling_seconds: float) -> Iterator[Finding]:
    for condition in pod.get("status", {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False" and condition.get("reason") == "Unschedulable":
            ordered = bool(pod["status"].get("nominatedNodeName")) or any(event.get("reason") in SCALED_UP for event in events)
            patience = float("inf") if ordered else scheduling_seconds
            yield Finding("schedule", f"Unschedulable: {condition.get('message', '')}", patience)


def _of_containers(pod: Json) -> Iterator[Finding]:
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        what = f"{reason}: container {container['name']} ({container.get('image', '')})"
        if reason in AT_ONCE:
            yield Finding(f"image/{container['name']}", f"{what}: {message}", 0)
        elif reason in PULLING:
            yield Finding(f"image/{container['name']}", f"{what}: {message}", 0 if NO_SUCH_IMAGE.search(message) else PULL_SECONDS)
        elif reason in CONFIGURING:
            yield Finding(f"configure/{container['name']}", f"{what}: {message}", CONFIGURE_SECONDS)
        elif reason == "CrashLoopBackOff" and container.get("restartCount", 0) + 1 >= CRASHES:
            ended = (container.get("lastState") or {}).get("terminated") or {}
            exits = container["restartCount"] + 1
            yield Finding(f"crash/{container['name']}", f"{what} {_end_of(ended)}, {exits} times in {name}", 0, name)
    if status.get("phase") == "Failed" and status.get("reason") not in {"Evicted", "Shutdown", "NodeShutdown", "Terminated", "Preempting"}:
        yield Finding("failed", f"pod {name} failed: {status.get('reason', '')} {status.get('message', '')}".strip(), CREATE_SECONDS, name)


def _end_of(terminated: Json) -> str:
    if terminated.get("reason") == "OOMKilled":
        return "ran out of its memory limit (OOMKilled)"
    signal = terminated.get("signal")
    return f"killed by signal {signal}" if signal else f"exited with status {terminated.get('exitCode', 'unknown')}"


def _of_mounts(pod: Json, events: list[Json]) -> Iterator[Finding]:
    if pod.get("status", {}).get("phase") != "Pending":
        return
    for event in events:
        patience = MOUNTING.get(event.get("reason", ""))
        if patience is not None:
            yield Finding(f"mount/{event['reason']}", f"{event['reason']}: {event.get('message', '')}", patience)


def _of_readiness(pod: Json, events: list[Json], unready_seconds: float | None, usual_seconds: float) -> Iterator[Finding]:
    """Find failing readiness probes, with the event's message; a probe with a bad answer gets less time than one without an answer."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    every = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    running = {one["name"]: one for one in every if "running" in (one.get("state") or {}) and not one.get("ready")}
    for place, container in _counting(pod):
        found = running.get(container["name"])
        if found is None:
            continue
        kind = "Startup" if found.get("started", True) is False else "Readiness"
        probe, words = container.get(f"{kind.lower()}Probe"), _words(events, f"spec.{place}{{{container['name']}}}", kind)
        if probe is None or not words:
            continue
        measured = _readiness_patience(probe, usual_seconds, answered="statuscode" in words and kind == "Readiness")
        patience = measured if unready_seconds is None or kind == "Startup" else unready_seconds
        yield Finding(f"ready/{container['name']}", f"container {container['name']} is not ready: {words}", patience, name)
    yield from _of_gates(pod)


def _counting(pod: Json) -> Iterator[tuple[str, Json]]:
    """List the containers whose readiness is the pod's, with their place: containers, and init containers that run as sidecars.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    for container in pod["spec"].get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            yield "initContainers", container
    for container in pod["spec"].get("containers") or []:
        yield "containers", container


def _words(events: list[Json], path: str, kind: str) -> str:
    said = [one for one in events if one.get("reason") == "Unhealthy" and one["involvedObject"].get("fieldPath", path) == path]
    return next((str(one["message"]) for one in reversed(said) if str(one.get("message", "")).startswith(kind)), "")


def _of_gates(pod: Json) -> Iterator[Finding]:
    """Find the readiness gates that are not open once the containers are ready; only the deadline ends the wait for them."""
    conditions = {one["type"]: one for one in pod.get("status", {}).get("conditions") or []}
    if conditions.get("ContainersReady", {}).get("status") != "True":
        return
    for gate in pod["spec"].get("readinessGates") or []:
        found = conditions.get(gate["conditionType"], {})
        if found.get("status") != "True":
            said = f"{found.get('reason', '')} {found.get('message', '')}".strip() or "nothing has set it"
            yield Finding(f"gate/{gate['conditionType']}", f"readiness gate {gate['conditionType']} is not open: {said}", float("inf"))


def _readiness_patience(probe: Json, usual_seconds: float, *, answered: bool) -> float:
    """Return how long a probe may fail: its own threshold of failures in a row, and at least the usual warm-up."""
    if not answered:
        return float("inf")
    own = float(probe.get("periodSeconds", 10)) * (float(probe.get("failureThreshold", 3)) - 1)
    return max(READINESS_FLOOR_SECONDS, own, 2 * usual_seconds)


def usual_warm_up(pods: Iterable[Json]) -> float:
    """Return how many seconds the quickest ready pod took from the start of its containers; 0 if none shows it."""
    found = [seconds for pod in pods if (seconds := _warm_up(pod)) is not None and 0 <= seconds <= LONGEST_WARM_UP_SECONDS]
    return min(found, default=0.0)


def _warm_up(pod: Json) -> float | None:
    status = pod.get("status") or {}
    ready = [one for one in status.get("conditions") or [] if one["type"] == "Ready" and one["status"] == "True"]
    starts = [((one.get("state") or {}).get("running") or {}).get("startedAt") for one in status.get("containerStatuses") or []]
    try:
        since = max(datetime.fromisoformat(str(one)) for one in starts)
        return (datetime.fromisoformat(ready[0]["lastTransitionTime"]) - since).total_seconds()
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def evidence_of(events: Iterable[Json], pods: Iterable[Json]) -> list[str]:
    """Write the warnings about these pods and their owners as lines, the newest last."""
    names = {pod["metadata"]["name"] for pod in pods}
    warnings = [one for one in events if one.get("type") == "Warning" and (one.get("involvedObject") or {}).get("name") in names]
    warnings.sort(key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime") or ""))
    lines = [
        f"{one['involvedObject']['kind']} {one['involvedObject']['name']}: {one.get('reason')}: {one.get('message')}" for one in warnings
    ]
    return list(dict.fromkeys(line[:500] for line in lines))[-MOST_EVENTS:]


def is_rolled_out(workload: Json) -> bool:
    """Return whether a workload runs its newest template everywhere, available, and nothing older."""
    spec, status = workload["spec"], workload.get("status") or {}
    wanted = spec.get("replicas", 1)
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return False
    if workload.get("kind") == "StatefulSet":
        partition = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0)
        updated = max(0, wanted - partition)
        everywhere = status.get("updatedReplicas", 0) >= updated and wanted == status.get("replicas", 0)
    else:
        everywhere = status.get("updatedReplicas", 0) == wanted == status.get("replicas", 0)
    return bool(everywhere and available(workload) >= wanted)


def is_ready(pod: Json) -> bool:
    """Return whether a pod is ready, by its condition."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in (pod.get("status") or {}).get("conditions") or [])


def available(workload: Json) -> int:
    """Count the pods that have been ready for the workload's `minReadySeconds`; ready alone is one good answer."""
    return int((workload.get("status") or {}).get("availableReplicas") or 0)


def ready_in_words(workload: Json) -> str:
    """Return the progress of a workload's rollout in words."""
    status = workload.get("status") or {}
    wanted = workload["spec"].get("replicas", 1)
    return f"{status.get('updatedReplicas', 0)} of {wanted} pods are of the new revision, {available(workload)} available"
