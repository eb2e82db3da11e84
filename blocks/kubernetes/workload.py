"""Workload: read with its annotations, and changed only by its newest owner, against the resourceVersion that was read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from blocks.errors import BadInput, Temporary, WorldMoved
from blocks.kubernetes.api.argo_rollouts import rollout_fault
from blocks.kubernetes.api.client import JSON_PATCH, Cluster
from blocks.kubernetes.api.errors import Changed
from blocks.kubernetes.objects.annotations import State, annotations_of, check_lease, expect_genuine, number_in
from blocks.kubernetes.objects.config import started_with, suffix_of
from blocks.kubernetes.objects.selectors import CANARY, LONGEST_LABEL, REVISION_LABEL, in_words, renamed
from blocks.kubernetes.objects.taken_over import as_written, remember
from blocks.kubernetes.objects.template import container_of, version_of, without_hash
from blocks.platform import CONFIGURATION, Lease

Json = dict[str, Any]
T = TypeVar("T")
MOST_TRIES = 12
REVISION = "deployment.kubernetes.io/revision"
MOST_REVISIONS = 10**12
OURS = {"app.kubernetes.io/managed-by": "shipway"}
FOR = "shipway.dev/for"
WORKLOAD_LABEL = "shipway.dev/workload"


@dataclass(frozen=True)
class Target:
    """Target: the block's fields about its workload, and the present configuration.

    Fields that are not the block's:
        config, config_parts: The configuration by which versions are named, see `with_configuration`.
        config_fault: Why the present configuration cannot be read; then `config` is the one that the workload's pods started with.
        config_changed: What changed since the pods started, if `config` is not the present one.
        key: What states are sealed with.
        canary_workload, canary_service: The canary's Deployment and Service, if others keep them beside the workload; empty if they are
            Shipway's, made and removed.
    """

    cluster: Cluster
    workload: str
    kind: Literal["Deployment", "StatefulSet"] = "Deployment"
    container: str = ""
    image: str = ""
    route: str = ""
    service: str = ""
    force_conflicts: bool = False
    drain_seconds: float = 1.0
    scheduling_seconds: float = 15.0
    unready_seconds: float | None = None
    rollout_seconds: float = 600.0
    config: str = ""
    config_parts: str = ""
    config_fault: BadInput | None = field(default=None, compare=False)
    config_changed: tuple[str, ...] = ()
    key: bytes = field(default=b"", repr=False)
    canary_workload: str = ""
    canary_service: str = ""

    @property
    def canary(self) -> str:
        """Name of the canary's Deployment, and of its Service if Shipway makes it."""
        return self.canary_workload or renamed(self.workload)

    @property
    def canary_backend(self) -> str:
        """Name of the canary's Service."""
        return self.canary_service or self.canary

    @property
    def canary_selector(self) -> dict[str, str]:
        """Labels that distinguish the pods of the canary's Deployment from all others."""
        return {REVISION_LABEL: CANARY, WORKLOAD_LABEL: self.workload[:LONGEST_LABEL].rstrip("._-")}

    @property
    def title(self) -> str:
        """Kind and name of the workload."""
        return f"{self.cluster.namespace}/{self.workload}"

    async def read(self) -> Json:
        """Read the workload; in a rollback with the state that it wrote, whatever others have written since.

        Raises:
            BadInput: It does not exist, or is one of Argo Rollouts.
        """
        found = await self.cluster.read(self.kind, self.workload)
        if found is None:
            if (fault := await rollout_fault(self.cluster, self.workload)) is not None:
                raise fault
            fix = f"Apply its manifest first; Shipway changes the version of an existing {self.kind}"
            raise BadInput(f"the namespace {self.cluster.namespace} has no {self.kind} {self.workload}", field="workload", fix=fix)
        return as_written(found, self.key)

    def expect_genuine(self, workload: Json) -> State:
        """Return the state of the workload as it was read or watched; in a rollback the one that it wrote.

        Raises:
            Tampered: Others changed the state.
        """
        return expect_genuine(as_written(workload, self.key), self.key, title=self.title)

    def version(self, workload: Json) -> str:
        """Return which version a workload's pod template runs."""
        return self.version_in(workload["spec"]["template"])

    def version_in(self, template: Json) -> str:
        """Return which version a pod template or a pod runs, with the configuration hash if it is not the present one."""
        return version_of(template, name=self.container, pattern=self.image) + suffix_of(template, self.config)

    def started(self, workload: Json) -> str:
        """Return which version a workload runs, always with the configuration hash that was noted when its pods started."""
        template = workload["spec"]["template"]
        noted = started_with(template).hash
        return version_of(template, name=self.container, pattern=self.image) + (f"{CONFIGURATION}{noted}" if noted else "")

    def named(self, version: str) -> str:
        """Return how a version is named here: without the hash of the present configuration."""
        source, _, config = version.partition(CONFIGURATION)
        return source if config == self.config or not self.config else version

    def port(self, template: Json) -> int:
        """Return the port that the version's container serves on, or 0 if the template does not name one."""
        ports = container_of(template, name=self.container, image=self.image).get("ports") or []
        named = [port for port in ports if port.get("name") in {"http", "web"}]
        return int((named or ports)[0]["containerPort"]) if ports else 0


async def until_unchanged(action: Callable[[], Awaitable[T]]) -> T:
    """Optimistic locking: repeat read, decide and write until nothing else wrote in between.

    Raises:
        Temporary: Others wrote every time.
    """
    for attempt in range(MOST_TRIES):
        try:
            return await action()
        except Changed:
            await asyncio.sleep(0.02 * 2 ** min(attempt, 5))
    raise Temporary("the objects of this release keep changing; `kubectl get --show-managed-fields` shows who changes them")


async def owned(target: Target, lease: Lease) -> tuple[Json, State]:
    """Read the workload and its state, for its newest owner only.

    Raises:
        Superseded, Refused: As `check_lease`.
        Tampered: Others changed the state.
    """
    workload = await target.read()
    state = target.expect_genuine(workload)
    check_lease(state, lease, workload=target.title)
    return workload, state


async def write(target: Target, workload: Json, state: State, *, steps: list[Json] | None = None) -> Json:
    """Write a state together with other changes of the workload, in one request.

    Raises:
        Changed: The workload was changed since it was read.
    """
    uid = workload["metadata"]["uid"]
    wanted = annotations_of(state, uid=uid, key=target.key)
    changed = await change(target, target.kind, workload, [annotate(workload, wanted), *(steps or [])])
    remember(uid, state, wanted)
    return changed


async def change(target: Target, kind: str, found: Json, steps: list[Json], *, dry_run: bool = False) -> Json:
    """Change an object exactly as it was read, by JSON Patch (RFC 6902); its resourceVersion makes any other a conflict."""
    same = {"op": "replace", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]}
    patch = [same, *steps]
    return await target.cluster.patch(kind, found["metadata"]["name"], patch, content_type=JSON_PATCH, dry_run=dry_run)


def annotate(found: Json, wanted: dict[str, str] | dict[str, str | None]) -> Json:
    """Return the patch step that merges annotations; None removes one."""
    merged = {**(found["metadata"].get("annotations") or {}), **wanted}
    kept = {key: value for key, value in merged.items() if value is not None}
    return {"op": "add", "path": "/metadata/annotations", "value": kept}


async def history(target: Target, workload: Json) -> list[Json]:
    """List the workload's ReplicaSets or ControllerRevisions, the newest first; a template that came back is the newest one again."""
    uid = workload["metadata"]["uid"]
    kind = "ReplicaSet" if target.kind == "Deployment" else "ControllerRevision"
    found = await target.cluster.list(kind, labels=in_words(workload["spec"]["selector"]))
    mine = [one for one in found if any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences") or [])]
    if kind == "ControllerRevision":
        return sorted(mine, key=lambda one: -int(one["revision"]))
    return sorted(mine, key=lambda one: -(number_in(one, REVISION, most=MOST_REVISIONS) or 0))


def template_of(revision: Json) -> Json:
    """Return the pod template that a ReplicaSet or ControllerRevision holds, as the workload had it."""
    return without_hash(revision["spec"]["template"]) if "spec" in revision else _plain(revision["data"]["spec"]["template"])


async def revisions(target: Target, workload: Json) -> list[tuple[str, Json]]:
    """List the workload's revision history: pod templates by the name of the revision, the newest first."""
    return [(one["metadata"]["name"], template_of(one)) for one in await history(target, workload)]


async def previous_template(target: Target, workload: Json, name: str) -> Json:
    """Read the pod template of a revision in the history.

    Raises:
        WorldMoved: It is not in the cluster's history any more.
    """
    for found, template in await revisions(target, workload):
        if found == name:
            return template
    raise WorldMoved(
        f"the revision {name} of {target.title} is not in the cluster's history any more, so its exact pod template cannot be restored. "
        "Raise revisionHistoryLimit, and deploy the version by hand"
    )


def expect_history(target: Target, workload: Json) -> None:
    """Refuse a workload without a revision history: it could not be rolled back.

    Raises:
        BadInput: Its history limit is 0.
    """
    if workload["spec"].get("revisionHistoryLimit", 10) == 0:
        fix = "Set it to 1 or more (10 is the cluster's default)"
        raise BadInput(f"{target.title} keeps no revision history, so it cannot be rolled back", field="spec.revisionHistoryLimit", fix=fix)


def expect_movable(target: Target, workload: Json, *, beside: bool) -> None:
    """Refuse a workload that would not roll out a new version as the strategy needs.

    Raises:
        BadInput: It is paused, or its own strategy forbids two versions at once.
    """
    if workload["spec"].get("paused"):
        fix = f"`kubectl rollout resume deployment/{target.workload}` resumes it"
        raise BadInput(f"{target.title} is paused, so a new version is not rolled out", field="spec.paused", fix=fix)
    if beside and (workload["spec"].get("strategy") or {}).get("type") == "Recreate":
        wrong = f"{target.title} forbids two versions at once by its strategy Recreate"
        raise BadInput(wrong, field="spec.strategy", fix="Use the strategy rolling, or set the Deployment to RollingUpdate")


def is_ours(found: Json, target: Target) -> bool:
    """Return whether Shipway made an object for this workload: by what it selects, which no annotation of others changes."""
    metadata, selector = found["metadata"], (found.get("spec") or {}).get("selector") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    is_for_it = target.canary_selector.items() <= (selector.get("matchLabels") or selector).items()
    return OURS.items() <= labels.items() and (is_for_it or annotations.get(FOR) == target.workload)


async def canary_of(target: Target) -> Json | None:
    """Read the Deployment beside the workload, or None.

    Raises:
        BadInput: A Deployment that is not Shipway's has that name, and should be.
    """
    found = await target.cluster.read("Deployment", target.canary)
    if found is not None and not target.canary_workload and not is_ours(found, target):
        fix = f"Rename it: Shipway needs the name {target.canary} for the canary of {target.workload}"
        raise BadInput(f"the Deployment {target.canary} is not Shipway's", field="workload", fix=fix)
    return found


async def orphan_of(target: Target) -> Json | None:
    """Read the canary's Deployment that Shipway left, or None; a Deployment of another owner does not count."""
    found = await target.cluster.read("Deployment", target.canary)
    return found if found is not None and is_ours(found, target) else None


async def remove(target: Target, kind: str, name: str, lease: Lease) -> None:
    """Delete an object of ours; a no-op if it does not exist."""

    async def once() -> None:
        found = await target.cluster.read(kind, name)
        if found is not None and is_ours(found, target):
            await owned(target, lease)
            await target.cluster.delete(kind, found)

    await until_unchanged(once)


def _plain(template: Json) -> Json:
    return {key: value for key, value in template.items() if not key.startswith("$")}
