"""The workload that a plan releases: read with its state, and changed only by its newest owner, one version of it at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from blocks.errors import BadInput, Temporary, WorldMoved
from blocks.kubernetes.api.client import JSON_PATCH, Cluster
from blocks.kubernetes.api.errors import Changed
from blocks.kubernetes.objects.annotations import GENERATION, State, annotations_of, check_lease, claimed, state_of
from blocks.kubernetes.objects.config import suffix_of
from blocks.kubernetes.objects.selectors import CANARY, LONGEST_LABEL, REVISION_LABEL, in_words, renamed
from blocks.kubernetes.objects.template import container_of, version_of, without_hash
from blocks.platform import Lease

Json = dict[str, Any]
T = TypeVar("T")
MOST_TRIES = 12
REVISION = "deployment.kubernetes.io/revision"
OURS = {"app.kubernetes.io/managed-by": "shipway"}
FOR = "shipway.dev/for"
WORKLOAD_LABEL = "shipway.dev/workload"


@dataclass(frozen=True)
class Target:
    """What a block was told about its workload; the fields are those of the block, and the present configuration."""

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

    @property
    def canary(self) -> str:
        """The name of what stands beside the workload: Deployment and Service."""
        return renamed(self.workload)

    @property
    def canary_selector(self) -> dict[str, str]:
        """The labels that tell the pods of the canary's Deployment from all others."""
        return {REVISION_LABEL: CANARY, WORKLOAD_LABEL: self.workload[:LONGEST_LABEL].rstrip("._-")}

    @property
    def title(self) -> str:
        """The workload in words."""
        return f"{self.cluster.namespace}/{self.workload}"

    async def read(self) -> Json:
        """Read the workload.

        Raises:
            BadInput: It is not there.
        """
        found = await self.cluster.read(self.kind, self.workload)
        if found is None:
            fix = f"Apply its manifest first; Shipway changes the version of a {self.kind} that is there"
            raise BadInput(f"the namespace {self.cluster.namespace} has no {self.kind} {self.workload}", field="workload", fix=fix)
        return found

    def version(self, workload: Json) -> str:
        """Say which version a workload's pod template runs."""
        return self.version_in(workload["spec"]["template"])

    def version_in(self, template: Json) -> str:
        """Say which version a pod template or a pod runs, and with which configuration where it is not the present one."""
        return version_of(template, name=self.container, pattern=self.image) + suffix_of(template, self.config)

    def port(self, template: Json) -> int:
        """Name the port that the version's container serves on, or 0 where the template does not say."""
        ports = container_of(template, name=self.container, image=self.image).get("ports") or []
        named = [port for port in ports if port.get("name") in {"http", "web"}]
        return int((named or ports)[0]["containerPort"]) if ports else 0


async def until_unchanged(action: Callable[[], Awaitable[T]]) -> T:
    """Repeat a read-decide-write until nobody wrote in between.

    Raises:
        Temporary: Others wrote every time.
    """
    for attempt in range(MOST_TRIES):
        try:
            return await action()
        except Changed:
            await asyncio.sleep(0.02 * 2 ** min(attempt, 5))
    raise Temporary("others change the objects of this release all the time; `kubectl get --show-managed-fields` says who")


async def acquire_lease(target: Target, owner: str, *, takeover: bool) -> Lease:
    """Take the workload under the next generation, then stamp what a release writes besides, so that older writers fail there, too."""

    async def once() -> Lease:
        workload = await target.read()
        state = claimed(state_of(workload), owner, takeover=takeover, workload=target.title)
        await write(target, workload, state)
        return Lease(owner=owner, generation=state.generation)

    lease = await until_unchanged(once)
    for kind, name in (("HTTPRoute", target.route), ("Service", target.service), ("Deployment", target.canary)):
        if name and not (kind == "Service" and target.route):
            await until_unchanged(lambda kind=kind, name=name: _stamp(target, kind, name, lease))  # type: ignore[misc]
    return lease


async def _stamp(target: Target, kind: str, name: str, lease: Lease) -> None:
    found = await target.cluster.read(kind, name)
    if found is not None and (name != target.canary or is_ours(found, target)):
        await change(target, kind, found, [annotate(found, {GENERATION: str(lease["generation"])})])


async def release_lease(target: Target, lease: Lease) -> None:
    """Give the workload up, where this lease still owns it."""

    async def once() -> None:
        workload = await target.read()
        state = state_of(workload)
        if (state.owner, state.generation) == (lease["owner"], lease["generation"]):
            await write(target, workload, State(**{**_as_dict(state), "owner": "", "back": ""}))

    await until_unchanged(once)


async def owned(target: Target, lease: Lease) -> tuple[Json, State]:
    """Read the workload and its state, for its newest owner only.

    Raises:
        Superseded, Refused: As `check_lease` says.
    """
    workload = await target.read()
    state = state_of(workload)
    check_lease(state, lease, workload=target.title)
    return workload, state


async def write(target: Target, workload: Json, state: State, *, steps: list[Json] | None = None) -> Json:
    """Write a state, and what else is to change in the workload with it, in one request.

    Raises:
        Changed: Somebody wrote since the workload was read.
    """
    return await change(target, target.kind, workload, [annotate(workload, annotations_of(state)), *(steps or [])])


async def change(target: Target, kind: str, found: Json, steps: list[Json], *, dry_run: bool = False) -> Json:
    """Change an object exactly as it was read, by JSON Patch (RFC 6902); its resourceVersion makes any other a conflict."""
    same = {"op": "replace", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]}
    patch = [same, *steps]
    return await target.cluster.patch(kind, found["metadata"]["name"], patch, content_type=JSON_PATCH, dry_run=dry_run)


def annotate(found: Json, wanted: dict[str, str] | dict[str, str | None]) -> Json:
    """Give the patch step that merges annotations; None takes one away."""
    merged = {**(found["metadata"].get("annotations") or {}), **wanted}
    kept = {key: value for key, value in merged.items() if value is not None}
    return {"op": "add", "path": "/metadata/annotations", "value": kept}


async def revisions(target: Target, workload: Json) -> list[tuple[str, Json]]:
    """List what the cluster remembers of the workload's pod templates, by the name of the revision, the newest first."""
    uid = workload["metadata"]["uid"]
    kind = "ReplicaSet" if target.kind == "Deployment" else "ControllerRevision"
    found = await target.cluster.list(kind, labels=in_words(workload["spec"]["selector"]))
    mine = [one for one in found if any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences") or [])]
    if kind == "ControllerRevision":
        mine.sort(key=lambda one: -int(one["revision"]))
        return [(one["metadata"]["name"], _plain(one["data"]["spec"]["template"])) for one in mine]
    mine.sort(key=lambda one: -int((one["metadata"].get("annotations") or {}).get(REVISION, 0)))
    return [(one["metadata"]["name"], without_hash(one["spec"]["template"])) for one in mine]


async def former_template(target: Target, workload: Json, name: str) -> Json:
    """Read the pod template of a remembered revision.

    Raises:
        WorldMoved: The cluster remembers it no more.
    """
    for found, template in await revisions(target, workload):
        if found == name:
            return template
    raise WorldMoved(
        f"the revision {name} of {target.title} is gone from the cluster's history, so its exact pod template cannot be brought back. "
        "Raise revisionHistoryLimit, and deploy the version that you want by hand"
    )


def expect_history(target: Target, workload: Json) -> None:
    """Refuse a workload that keeps no former revision: there would be no way back.

    Raises:
        BadInput: Its history limit is 0.
    """
    if workload["spec"].get("revisionHistoryLimit", 10) == 0:
        fix = "Set it to 1 or more (10 is the cluster's default)"
        raise BadInput(f"{target.title} keeps no former revision, so there is no way back", field="spec.revisionHistoryLimit", fix=fix)


def expect_movable(target: Target, workload: Json, *, beside: bool) -> None:
    """Refuse a workload that would not follow a change of its version as the strategy needs.

    Raises:
        BadInput: It is paused, or its own strategy says that two versions must not run at once.
    """
    if workload["spec"].get("paused"):
        fix = f"`kubectl rollout resume deployment/{target.workload}` lets it go on"
        raise BadInput(f"{target.title} is paused, so no version comes up in it", field="spec.paused", fix=fix)
    if beside and (workload["spec"].get("strategy") or {}).get("type") == "Recreate":
        wrong = f"{target.title} says by its strategy Recreate that two versions must not run at once"
        raise BadInput(wrong, field="spec.strategy", fix="Use the strategy rolling, or let the Deployment say RollingUpdate")


def is_ours(found: Json, target: Target) -> bool:
    """Say whether Shipway made an object for this workload."""
    metadata = found["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return OURS.items() <= labels.items() and annotations.get(FOR) == target.workload


async def canary_of(target: Target) -> Json | None:
    """Read the Deployment beside the workload, or None.

    Raises:
        BadInput: Somebody else's Deployment has that name.
    """
    found = await target.cluster.read("Deployment", target.canary)
    if found is not None and not is_ours(found, target):
        fix = f"Rename it: Shipway needs the name {target.canary} for what it brings in beside {target.workload}"
        raise BadInput(f"the Deployment {target.canary} is not Shipway's", field="workload", fix=fix)
    return found


async def orphan_of(target: Target) -> Json | None:
    """Read what Shipway left beside the workload, or None; somebody else's Deployment of that name is none of it."""
    found = await target.cluster.read("Deployment", target.canary)
    return found if found is not None and is_ours(found, target) else None


async def remove(target: Target, kind: str, name: str, lease: Lease) -> None:
    """Delete an object of ours; a no-op where it is gone."""

    async def once() -> None:
        found = await target.cluster.read(kind, name)
        if found is not None and is_ours(found, target):
            await owned(target, lease)
            await target.cluster.delete(kind, found)

    await until_unchanged(once)


def _plain(template: Json) -> Json:
    return {key: value for key, value in template.items() if not key.startswith("$")}


def _as_dict(state: State) -> Json:
    return {name: getattr(state, name) for name in State.__dataclass_fields__}
