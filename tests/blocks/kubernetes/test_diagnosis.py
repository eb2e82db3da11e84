"""Why a revision does not come up, out of what a cluster says of it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from blocks.kubernetes.objects.diagnosis import Finding, evidence_of, find_reasons, is_rolled_out, ready_in_words, usual_warm_up

Json = dict[str, Any]
WORKLOAD: Json = {"kind": "Deployment", "metadata": {"name": "web", "generation": 2, "uid": "u"}, "spec": {}, "status": {}}


def pod(*, state: Json | None = None, probe: Json | None = None, conditions: list[Json] | None = None, **status: Any) -> Json:
    """Write a pod of one container, `web`."""
    container = {"name": "web", "image": "shop/web:1.1", "state": state or {"running": {}}, "ready": False, "restartCount": 0}
    container |= {key: status.pop(key) for key in ("restartCount", "lastState", "started", "ready") if key in status}
    return {
        "metadata": {"name": "web-1"},
        "spec": {"containers": [{"name": "web", **({"readinessProbe": probe} if probe else {})}]},
        "status": {"containerStatuses": [container], "conditions": conditions or [], **status},
    }


def event(reason: str, message: str, *, name: str = "web-1", kind: str = "Pod", path: str = "spec.containers{web}", **more: Any) -> Json:
    """Write a warning of the cluster."""
    about = {"kind": kind, "name": name, "fieldPath": path, "uid": "u"}
    return {"type": "Warning", "reason": reason, "message": message, "involvedObject": about, **more}


def waiting(reason: str, message: str = "") -> Json:
    """Write the state of a container that waits."""
    return {"waiting": {"reason": reason, "message": message}}


def found(*pods: Json, events: list[Json] | None = None, workload: Json | None = None, unready: float | None = None) -> list[Finding]:
    """Find reasons with the usual patience."""
    return find_reasons(pods, events or [], workload or WORKLOAD, scheduling_seconds=4, unready_seconds=unready)


@pytest.mark.parametrize(
    ("state", "key", "patience"),
    [
        (waiting("ErrImagePull", "shop/web:1.1: not found"), "image/web", 0),
        (waiting("ImagePullBackOff", "Back-off pulling image: denied"), "image/web", 0),
        (waiting("ErrImagePull", "dial tcp: i/o timeout"), "image/web", 2),
        (waiting("InvalidImageName", "bad"), "image/web", 0),
        (waiting("CreateContainerConfigError", 'secret "x" not found'), "configure/web", 2),
    ],
)
def test_a_container_that_waits_says_why(state: Json, key: str, patience: float) -> None:
    """What the registry denies is at once a failure; what another try may fix gets one."""
    (one,) = found(pod(state=state))
    assert (one.key, one.patience_seconds) == (key, patience)
    assert state["waiting"]["reason"] in one.reason
    assert state["waiting"]["message"] in one.reason


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_container_on_its_way_is_not_a_reason(reason: str) -> None:
    """Creating is what takes time, not what is wrong."""
    assert not found(pod(state=waiting(reason)))


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"exitCode": 3, "reason": "Error"}, "exited with status 3"),
        ({"exitCode": 137, "reason": "OOMKilled"}, "memory limit"),
        ({"signal": 11, "exitCode": 0}, "signal 11"),
    ],
)
def test_a_crash_loop_says_how_it_ended_and_whose_logs_belong_to_it(ended: Json, words: str) -> None:
    """Status, signal or memory, at the second crash, with the pod's name for its last words."""
    (one,) = found(pod(state=waiting("CrashLoopBackOff"), restartCount=1, lastState={"terminated": ended}))
    assert words in one.reason
    assert (one.pod, one.patience_seconds) == ("web-1", 0)


def test_one_crash_may_pass() -> None:
    """A service that came up a moment before its database is started again by the cluster."""
    assert not found(pod(state=waiting("CrashLoopBackOff"), restartCount=0))


UNSCHEDULABLE = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: Insufficient cpu."}]


def test_no_node_is_waited_for_while_one_was_ordered() -> None:
    """The patience for the scheduler is the block's; a cluster that grows has until the deadline."""
    (one,) = found(pod(state=waiting("x"), conditions=UNSCHEDULABLE))
    assert (one.patience_seconds, "Insufficient cpu" in one.reason) == (4, True)
    (one,) = found(pod(state=waiting("x"), conditions=UNSCHEDULABLE), events=[event("TriggeredScaleUp", "one more")])
    assert one.patience_seconds == math.inf


PROBE = {"periodSeconds": 1, "failureThreshold": 3}
NO = event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")


@pytest.mark.parametrize(
    ("probe", "said", "unready", "patience"),
    [
        (PROBE, NO, None, 5),
        ({"periodSeconds": 10, "failureThreshold": 4}, NO, None, 30),
        ({}, NO, None, 20),
        (PROBE, NO, 60.0, 60),
        (PROBE, event("Unhealthy", "Readiness probe failed: dial tcp: connection refused"), None, math.inf),
    ],
)
def test_a_probe_that_says_no_is_waited_for_by_its_own_measure(probe: Json, said: Json, unready: float | None, patience: float) -> None:
    """Its threshold of failures in a row, at least five seconds; without an answer it may only be slow; the block's setting goes before."""
    (one,) = found(pod(probe=probe or {"periodSeconds": 10}), events=[said], unready=unready)
    assert one.patience_seconds == patience
    assert one.reason.endswith(said["message"])


def serving(started: str, ready: str, **more: Any) -> Json:
    """Write a pod that started and became ready at these moments."""
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": ready}]
    return pod(state={"running": {"startedAt": started}}, conditions=conditions, **more)


def test_a_revision_may_warm_up_as_long_as_the_one_that_serves_did() -> None:
    """Its probe may say no for twice that time before a slow start counts as a failure."""
    baseline = serving("2026-01-01T00:00:00Z", "2026-01-01T00:00:45Z")
    usual = usual_warm_up([baseline])
    assert usual == 45
    warming = pod(probe=PROBE)
    (one,) = find_reasons([warming], [NO], WORKLOAD, scheduling_seconds=4, unready_seconds=None, usual_seconds=usual)
    assert one.patience_seconds == 90
    (one,) = find_reasons([warming], [NO], WORKLOAD, scheduling_seconds=4, unready_seconds=7, usual_seconds=usual)
    assert one.patience_seconds == 7


def test_a_pod_that_was_unready_for_a_while_says_nothing_about_starting() -> None:
    """The quickest of the pods counts, and where only such pods tell, none does."""
    quick = serving("2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z")
    flapped = serving("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")
    assert usual_warm_up([flapped, quick]) == 2
    assert usual_warm_up([flapped]) == 0
    assert usual_warm_up([pod(), {"metadata": {"name": "x"}}]) == 0


@pytest.mark.parametrize(
    "settled",
    [
        pod(probe=PROBE, ready=True),
        pod(probe=PROBE, started=False),
        pod(probe=PROBE, state=waiting("ContainerCreating")),
        pod(),
    ],
)
def test_an_old_complaint_of_a_probe_does_not_count(settled: Json) -> None:
    """A container that is ready by now, is still starting, does not run, or has no such probe is not failing it."""
    assert not found(settled, events=[NO])


def test_a_complaint_about_another_container_or_another_probe_does_not_count() -> None:
    """A sidecar's readiness and the service's liveness are different matters."""
    others = [event("Unhealthy", NO["message"], path="spec.containers{proxy}"), event("Unhealthy", "Liveness probe failed: 500")]
    assert not found(pod(probe=PROBE), events=others)


def test_what_the_workload_itself_says_counts() -> None:
    """Quota and admission show as a condition of the Deployment, and as events of a StatefulSet."""
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: small"}
    (one,) = found(workload={**WORKLOAD, "status": {"conditions": [condition]}})
    assert (one.key, one.reason) == ("create", "FailedCreate: exceeded quota: small")
    stateful = {**WORKLOAD, "kind": "StatefulSet"}
    (one,) = found(workload=stateful, events=[event("FailedCreate", "exceeded quota: small", name="web", kind="StatefulSet")])
    assert one.reason == "FailedCreate: exceeded quota: small"


def test_a_deadline_of_the_previous_template_does_not_count() -> None:
    """`Progressing` speaks of the generation that the controller has seen."""
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}
    assert not found(workload={**WORKLOAD, "status": {"conditions": [late], "observedGeneration": 1}})
    (one,) = found(workload={**WORKLOAD, "status": {"conditions": [late], "observedGeneration": 2}})
    assert one.patience_seconds == 5  # and it stands for moments beside the template that came back


def test_a_pod_that_is_going_away_is_not_a_fault() -> None:
    """What it waits for does not matter any more, nor that a node evicted it."""
    going = pod(state=waiting("CrashLoopBackOff"), restartCount=5)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not found(going, pod(phase="Failed", reason="Evicted"))


def test_a_volume_that_is_not_mounted_is_named_while_the_pod_waits() -> None:
    """A running pod's old trouble with its volume is over."""
    trouble = [event("FailedMount", 'configmap "web" not found', path="")]
    assert [one.key for one in found(pod(state=waiting("ContainerCreating"), phase="Pending"), events=trouble)] == ["mount/FailedMount"]
    assert not found(pod(phase="Running"), events=trouble)


def test_the_surest_reason_comes_first() -> None:
    """Where several pods are stuck, what needs no more patience is what is told."""
    slow = pod(state=waiting("ErrImagePull", "timeout"))
    sure = pod(state=waiting("CrashLoopBackOff"), restartCount=3)
    assert [one.patience_seconds for one in found(slow, sure)] == [0, 2]


def test_the_warnings_about_these_pods_are_evidence_each_once() -> None:
    """The newest stands last, and no one else's warnings are there."""
    events = [
        event("Unhealthy", "second", lastTimestamp="2026-01-01T00:00:02Z"),
        event("BackOff", "first", lastTimestamp="2026-01-01T00:00:01Z"),
        event("BackOff", "first", lastTimestamp="2026-01-01T00:00:01Z"),
        event("BackOff", "other", name="db-1"),
        {**event("Pulled", "fine"), "type": "Normal"},
    ]
    assert evidence_of(events, [pod()]) == ["Pod web-1: BackOff: first", "Pod web-1: Unhealthy: second"]


@pytest.mark.parametrize(
    ("kind", "spec", "status", "done"),
    [
        ("Deployment", {"replicas": 2}, {"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}, True),
        ("Deployment", {"replicas": 2}, {"observedGeneration": 1, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}, False),
        ("Deployment", {"replicas": 2}, {"observedGeneration": 2, "updatedReplicas": 2, "replicas": 3, "availableReplicas": 3}, False),
        ("Deployment", {"replicas": 2}, {"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 1}, False),
        ("Deployment", {"replicas": 0}, {"observedGeneration": 2}, True),
        ("Deployment", {}, {"observedGeneration": 2, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}, True),
        ("StatefulSet", {"replicas": 3}, {"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}, True),
        ("StatefulSet", {"replicas": 3}, {"observedGeneration": 2, "updatedReplicas": 1, "replicas": 3, "availableReplicas": 3}, False),
        ("StatefulSet", {"replicas": 3}, {"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "readyReplicas": 3}, False),
        (
            "StatefulSet",
            {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
            {"observedGeneration": 2, "updatedReplicas": 1, "replicas": 3, "readyReplicas": 3, "availableReplicas": 3},
            True,
        ),
        (
            "StatefulSet",
            {"replicas": 3, "minReadySeconds": 9, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
            {"observedGeneration": 2, "updatedReplicas": 1, "replicas": 3, "readyReplicas": 3, "availableReplicas": 2},
            False,
        ),
        (
            "Deployment",
            {"replicas": 2, "minReadySeconds": 9},
            {"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "readyReplicas": 2, "availableReplicas": 1},
            False,
        ),
    ],
)
def test_a_rollout_is_over_when_only_the_new_template_runs_and_is_ready(kind: str, spec: Json, status: Json, done: bool) -> None:  # noqa: FBT001
    """Neither a stale status, nor old pods, nor unready new ones count as done; a partition stops where it says."""
    assert is_rolled_out({**WORKLOAD, "kind": kind, "spec": spec, "status": status}) is done


def test_how_far_it_came_is_said_in_numbers() -> None:
    """For an operator, and for the message at the deadline."""
    workload = {**WORKLOAD, "spec": {"replicas": 4}, "status": {"updatedReplicas": 1, "availableReplicas": 3}}
    assert ready_in_words(workload) == "1 of 4 pods are of the new revision, 3 available"


@pytest.mark.parametrize(
    ("events", "status", "patience"),
    [
        ([], {}, 4),
        ([event("TriggeredScaleUp", "pod triggered scale-up")], {}, math.inf),
        ([event("Nominated", "Pod should schedule on: nodeclaim/default")], {}, math.inf),
        ([], {"nominatedNodeName": "n1"}, math.inf),
    ],
    ids=["none", "cluster autoscaler", "Karpenter", "preemption"],
)
def test_a_node_that_was_ordered_is_waited_for(events: list[Json], status: Json, patience: float) -> None:
    """Whoever ordered it; where no one did, the block's own time counts."""
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
    (one,) = found(pod(conditions=[unschedulable], **status), events=events)
    assert one.patience_seconds == patience


def with_sidecar(*, restart: str | None = "Always", ready: bool = False, started: bool = True, **probes: Json) -> Json:
    """Write a pod whose container is ready, beside an init container, `proxy`."""
    one = pod(ready=True)
    one["spec"]["initContainers"] = [{"name": "proxy", **({"restartPolicy": restart} if restart else {}), **probes}]
    one["status"]["initContainerStatuses"] = [{"name": "proxy", "state": {"running": {}}, "ready": ready, "started": started}]
    return one


PROXY = {"path": "spec.initContainers{proxy}"}


def test_a_sidecar_that_is_not_ready_is_named_with_its_probes_words() -> None:
    """An init container that stays counts for readiness like any other; one that ends, or is ready, does not."""
    says_no = event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", **PROXY)
    probe = {"readinessProbe": {"periodSeconds": 1}}
    (one,) = found(with_sidecar(**probe), events=[says_no])
    assert (one.key, one.patience_seconds, one.pod) == ("ready/proxy", 5.0, "web-1")
    assert one.reason == "container proxy is not ready: Readiness probe failed: HTTP probe failed with statuscode: 503"
    assert not found(with_sidecar(restart=None, **probe), events=[says_no])
    assert not found(with_sidecar(ready=True, **probe), events=[says_no])
    assert not found(with_sidecar(**probe), events=[event("Unhealthy", "Readiness probe failed: no", path="spec.containers{proxy}")])


def test_a_startup_probe_that_says_no_is_named_at_the_deadline() -> None:
    """The cluster itself ends the container when its patience is over; until then it may still start, whatever the block says."""
    says_no = event("Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 500", **PROXY)
    (one,) = found(with_sidecar(started=False, startupProbe={}), events=[says_no], unready=3)
    assert (one.key, one.patience_seconds) == ("ready/proxy", math.inf)
    assert "Startup probe failed" in one.reason


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (None, "readiness gate example.org/balanced is not open: nothing has set it"),
        ({"status": "False", "reason": "Pending", "message": "not in the target group"}, "is not open: Pending not in the target group"),
        ({"status": "True"}, ""),
    ],
)
def test_a_readiness_gate_that_is_not_open_is_named_at_the_deadline(condition: Json | None, said: str) -> None:
    """Once the containers are ready it is what the pod waits for."""
    gate = "example.org/balanced"
    ready = {"type": "ContainersReady", "status": "True"}
    one = pod(ready=True, conditions=[ready, *([{"type": gate, **condition}] if condition else [])])
    one["spec"]["readinessGates"] = [{"conditionType": gate}]
    assert [(reason.patience_seconds, said in reason.reason) for reason in found(one)] == ([(math.inf, True)] if said else [])
    one["status"]["conditions"][0]["status"] = "False"
    assert not found(one)
