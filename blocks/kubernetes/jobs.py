"""Jobs that run once: created under a name that a retry finds again, watched to the end, and their log read."""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import dataclass, field
from typing import Any

from blocks.errors import BadInput, RolloutFailed, ShipwayError, WorldMoved
from blocks.kubernetes.api.client import JSON_PATCH, MANAGER
from blocks.kubernetes.api.errors import Changed, Missing
from blocks.kubernetes.api.watch import Again, Seen, Source, watch_until
from blocks.kubernetes.objects.annotations import PREFIX, check_lease
from blocks.kubernetes.objects.diagnosis import TELLING, Finding, evidence_of, find_reasons
from blocks.kubernetes.objects.secrets import mask, secrets_of
from blocks.kubernetes.objects.selectors import in_words, matches
from blocks.kubernetes.observe.events import record_event
from blocks.kubernetes.observe.logs import known_secrets, tail_of
from blocks.kubernetes.routing.traffic import service_selector
from blocks.kubernetes.workload import FOR, OURS, Target, owned
from blocks.platform import Lease

Json = dict[str, Any]
RUN, MIGRATION = f"{PREFIX}run", f"{PREFIX}migration"
# A Job that is deleted while its release may still be retried would run twice.
KEEP_SECONDS = 7 * 86_400
GRACE_SECONDS = 30.0
DONE = "done"
MOST_LINES = 200
LONGEST_NAME = 40
# What keeps a Job from starting; how often it may fail is the Job's own setting.
NOT_BEGINNING = ("image/", "configure/", "mount/", "schedule", "create")


async def run_job(target: Target, manifest: Json, lease: Lease, *, name: str, timeout_seconds: float) -> list[str]:
    """Run a Job to its end, once for this owner, name and manifest.

    Args:
        target: The workload for which it runs, in whose namespace it is.
        manifest: The Job.
        lease: Our lease.
        name: What the Job is called in the plan.
        timeout_seconds: The cluster ends it after this time.

    Returns:
        The last lines that its pods wrote, secrets masked.

    Raises:
        BadInput: The cluster rejects it; nothing ran.
        RolloutFailed: It failed, or could not start and was suspended; carries its last lines and events.
        Superseded, Refused: Another owner holds the workload. The Job goes on.
        WorldMoved: It was deleted.
    """
    job = await _placed(target, manifest, lease, name=name, timeout_seconds=timeout_seconds)
    try:
        return await _to_its_end(target, job, lease, name=name)
    except BadInput as error:
        raise RolloutFailed(
            f"the Job {job['metadata']['name']} in {target.cluster.namespace} was created, but cannot be watched: {error}. "
            "Check how far it came before you release again"
        ) from error


async def _to_its_end(target: Target, job: Json, lease: Lease, *, name: str) -> list[str]:
    watch, title = _Watch(target, job, lease), job["metadata"]["name"]
    await record_event(target, reason="ShipwayMigrate", note=f"The migration {name} runs as the Job {title}")
    left = float(job["spec"]["activeDeadlineSeconds"]) + GRACE_SECONDS
    try:
        reason = await watch_until(target.cluster, watch.sources(), watch.decide, timeout_seconds=left)
    except TimeoutError:
        reason = f"it did not end within {left:g} s of waiting"
    lines = await _log(target, watch.pods())
    if reason == DONE:
        return lines
    if not watch.has_ended():
        await _stop(target, title)
    await record_event(target, reason="ShipwayMigrate", note=f"The migration {name} failed: {reason[:300]}", warning=True)
    raise _failure(watch, reason, lines)


def _failure(watch: _Watch, reason: str, lines: list[str]) -> RolloutFailed:
    """Build the error from the conditions of the cluster and the last container that exited."""
    pods = watch.pods()
    lines = [*lines, *(line for pod in pods for line in _ends(pod))]
    evidence = (*lines, *evidence_of(watch.seen["events"].values() if watch.seen else [], [watch.job, *pods]))
    message = f"the Job {watch.job['metadata']['name']} in {watch.target.cluster.namespace} failed: {' '.join(reason.split())[:600]}"
    last = f" ({'; '.join(line[:300] for line in lines[-2:])})" if lines else ""
    return RolloutFailed(f"{message}{last}. Fix the migration, then release again", evidence=evidence)


def _ends(pod: Json) -> list[str]:
    """Return the exit statuses of a pod's failed containers."""
    status = pod.get("status") or {}
    every = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    ended = [(one["name"], one["state"]["terminated"]) for one in every if "terminated" in (one.get("state") or {})]
    texts = [(name, found.get("exitCode", 0), f"{found.get('reason', '')}: {found.get('message', '')}") for name, found in ended]
    lines = [f"container {name} exited with status {code}, {text.strip(': ')}" for name, code, text in texts if code != 0]
    return mask([" ".join(line.split()) for line in lines], secrets_of(pod))


@dataclass
class _Watch:
    """Watch of one Job: decides from what is observed."""

    target: Target
    job: Json
    lease: Lease
    since: dict[str, float] = field(default_factory=dict)
    seen: Seen = field(default_factory=dict)

    def sources(self) -> list[Source]:
        """List what is watched: the Job, its pods, their events, and the workload with its lease."""
        return [
            Source("job", "Job", fields=f"metadata.name={self.job['metadata']['name']}"),
            Source("pods", "Pod", labels=in_words(self.job["spec"]["selector"])),
            Source("events", "Event", fields=TELLING),
            Source("owner", self.target.kind, fields=f"metadata.name={self.target.workload}"),
        ]

    def decide(self, seen: Seen) -> str | Again | None:
        """Return how it ended, why it cannot start, or when to look again."""
        self.seen = seen
        owner = seen["owner"].get(self.target.workload)
        if owner is not None:
            check_lease(self.target.expect_genuine(owner), self.lease, workload=self.target.title)
        name = self.job["metadata"]["name"]
        job = seen["job"].get(name)
        if job is None or job["metadata"]["uid"] != self.job["metadata"]["uid"]:
            raise WorldMoved(f"the Job {name} was deleted while it was waited for; check how far it came before you release again")
        self.job = {**job, "kind": "Job"}
        if _condition(job, "Complete"):
            return DONE
        if failed := _condition(job, "Failed"):
            return f"{failed.get('reason', 'Failed')}: {failed.get('message', '')}"
        if job["spec"].get("suspend"):
            return "it is suspended: it could not start before, or another client suspended it"
        return self._stuck()

    def _stuck(self) -> str | Again | None:
        found = [one for one in self._findings() if one.key.startswith(NOT_BEGINNING)]
        now = time.monotonic()
        self.since = {one.key: self.since.get(one.key, now) for one in found}
        left = {one: self.since[one.key] + one.patience_seconds - now for one in found}
        over = next((one.reason for one, seconds in left.items() if seconds <= 0), None)
        finite = [seconds for seconds in left.values() if seconds != float("inf")]
        return over or (Again(min(finite)) if finite else None)

    def _findings(self) -> list[Finding]:
        # A Job reports by an event alone, as a StatefulSet does, that it cannot create its pods.
        as_set = {**self.job, "kind": "StatefulSet"}
        events, wait = self.seen["events"].values(), self.target.scheduling_seconds
        return find_reasons(self.pods(), events, as_set, scheduling_seconds=wait, unready_seconds=None)

    def pods(self) -> list[Json]:
        """List its pods, the oldest first."""
        return sorted(self.seen["pods"].values() if self.seen else [], key=lambda pod: str(pod["metadata"].get("creationTimestamp")))

    def has_ended(self) -> bool:
        """Return whether its conditions say that it completed or failed."""
        return _condition(self.job, "Complete") is not None or _condition(self.job, "Failed") is not None


def job_name(target: Target, manifest: Json, lease: Lease, *, name: str) -> str:
    """Return the Job's name: always the same for the same owner, migration and manifest."""
    what = json.dumps([lease["owner"], target.workload, name, manifest], sort_keys=True)
    return f"{name[:LONGEST_NAME].rstrip('-')}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


async def _placed(target: Target, manifest: Json, lease: Lease, *, name: str, timeout_seconds: float) -> Json:
    """Find the Job, or create it; of two processes that create it at once, one finds the other's."""
    workload, _ = await owned(target, lease)
    title = job_name(target, manifest, lease, name=name)
    found = await target.cluster.read("Job", title)
    if found is None:
        _expect_apart(target, manifest, workload, await target.cluster.list("Service"))
        body = job_body(target, manifest, lease, name=name, timeout_seconds=timeout_seconds)
        try:
            found = await target.cluster.call("POST", target.cluster.path("Job"), body=body, query={"fieldManager": MANAGER})
        except Changed:
            found = await target.cluster.read("Job", title)
        except RolloutFailed as error:
            raise BadInput(f"the cluster rejects the Job {name}: {error}", field="migrations", fix="Fix its manifest.") from None
    if found is None or (found["metadata"].get("annotations") or {}).get(RUN) != lease["owner"]:
        fix = f"Delete the Job {title} if it is not needed"
        raise BadInput(f"the Job {title} in {target.cluster.namespace} is not this release's", field="migrations", fix=fix)
    return found


def job_body(target: Target, manifest: Json, lease: Lease, *, name: str, timeout_seconds: float) -> Json:
    """Build the Job as it is created: the manifest, and what makes it run once, end in time and be found again.

    Raises:
        BadInput: It names another namespace.
    """
    metadata, spec = manifest.get("metadata") or {}, manifest["spec"]
    if metadata.get("namespace", target.cluster.namespace) != target.cluster.namespace:
        fix = f"Leave it out: the Job runs in the block's namespace {target.cluster.namespace}"
        raise BadInput(f"the Job {name} names the namespace {metadata['namespace']}", field="migrations", fix=fix)
    notes = {FOR: target.workload, RUN: lease["owner"], MIGRATION: name}
    longest = math.ceil(timeout_seconds)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(target, manifest, lease, name=name),
            "namespace": target.cluster.namespace,
            "labels": {**(metadata.get("labels") or {}), **OURS},
            "annotations": {**(metadata.get("annotations") or {}), **notes},
        },
        "spec": {
            "backoffLimit": 0,
            **spec,
            "activeDeadlineSeconds": min(longest, int(spec.get("activeDeadlineSeconds", longest))),
            "ttlSecondsAfterFinished": max(KEEP_SECONDS, int(spec.get("ttlSecondsAfterFinished", 0))),
        },
    }


def _expect_apart(target: Target, manifest: Json, workload: Json, services: list[Json]) -> None:
    """Refuse a Job whose pods any Service of the namespace would select and send requests to, or the workload would count as its own.

    Raises:
        BadInput: The selector of the workload or of a Service selects them.
    """
    labels = (manifest["spec"]["template"].get("metadata") or {}).get("labels") or {}
    selectors = [(target.title, workload["spec"]["selector"])]
    for service in services:
        title = f"the Service {service['metadata']['name']}"
        selecting = [service["spec"]["selector"], service_selector(service)] if service["spec"].get("selector") else []
        selectors += [(title, {"matchLabels": one}) for one in selecting]
    if ours := sorted(label for label in labels if label.startswith(PREFIX)):
        wrong = f"the labels of the Job's pods are those by which Shipway tells pods apart: {', '.join(ours)}"
        raise BadInput(wrong, field="migrations", fix="Leave them out")
    for whose, selector in selectors:
        if matches(selector, labels):
            wrong = f"the labels of the Job's pods are those of {whose}, which would select them"
            raise BadInput(wrong, field="migrations", fix="Give the Job's pod template other labels, or none")


async def _stop(target: Target, title: str) -> None:
    """Suspend a Job that could not start, so that it does not start later; it stays for inspection."""
    found = await target.cluster.read("Job", title)
    if found is not None:
        steps = [{"op": "add", "path": "/spec/suspend", "value": True}]
        await target.cluster.patch("Job", title, steps, content_type=JSON_PATCH)


async def _log(target: Target, pods: list[Json]) -> list[str]:
    """Read the last lines of all its containers, the oldest pod first; a line notes what cannot be read."""
    lines: list[str] = []
    for pod in pods:
        secrets = await known_secrets(target, pod)
        for container in [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]:
            try:
                content = await tail_of(target, pod["metadata"]["name"], container["name"], lines=MOST_LINES)
            except Missing:
                continue
            except BadInput as error:
                if "is waiting to start" not in str(error) and "is terminated" not in str(error):
                    lines.append(f"(the log of {container['name']} could not be read: {error})")
                continue
            except ShipwayError as error:
                lines.append(f"(the log of {container['name']} could not be read: {error})")
                continue
            said = [line for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
            lines += mask(said, secrets)
    return lines[-MOST_LINES:]


def _condition(job: Json, kind: str) -> Json | None:
    conditions: list[Json] = (job.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind and one["status"] == "True"), None)
