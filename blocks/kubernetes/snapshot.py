"""Snapshot of an environment: the workload, the canary beside it, and the traffic split."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from blocks.errors import BadInput, ShipwayError, WorldMoved
from blocks.kubernetes.api.argo_rollouts import rollout_fault
from blocks.kubernetes.api.errors import Missing
from blocks.kubernetes.leases import believed_state, replaced
from blocks.kubernetes.objects.annotations import NO_STATE, State, is_genuine, state_of
from blocks.kubernetes.objects.config import changed_configuration, read_configuration, started_with
from blocks.kubernetes.objects.diagnosis import available, is_ready, ready_in_words
from blocks.kubernetes.objects.selectors import in_words, matches
from blocks.kubernetes.reader import is_stranger
from blocks.kubernetes.workload import Target, canary_of, orphan_of
from blocks.platform import Position

Json = dict[str, Any]
LOG = logging.getLogger("shipway.kubernetes")
HASHES = ("pod-template-hash", "controller-revision-hash")


@dataclass(frozen=True)
class View:
    """Snapshot of an environment.

    Fields:
        workload: The Deployment or StatefulSet of the plan.
        state: Our annotations on it.
        beside: The canary's Deployment, or None.
        percent: The canary's share of the requests.
        trouble: Why the traffic split cannot be read, and the fix; or "".
    """

    workload: Json
    state: State
    beside: Json | None
    percent: int
    trouble: str = ""

    def versions(self, target: Target) -> tuple[str | None, str | None]:
        """Return the versions of baseline and canary."""
        runs = target.version(self.workload)
        if not self.state.canary:
            return runs, None
        if self.state.phase or target_is_moving(self, runs):
            return self.state.baseline or None, self.state.canary
        return runs, self.state.canary


def target_is_moving(view: View, runs: str) -> bool:
    """Return whether the workload itself was updated to the canary's version, so that it no longer shows the baseline."""
    return runs == view.state.canary != view.state.baseline


async def read_view(target: Target, percent: int | None, *, trouble: str = "", ours: bool = False) -> View:
    """Read a snapshot of the environment.

    Args:
        target: The workload.
        percent: The canary's share if it is known; None takes it from the annotations.
        trouble: Why it is not known, if it should be.
        ours: Whether a canary's Deployment of another owner does not count, as one that is in Git; else it is an error.
    """
    workload = await target.read()
    state = await believed_state(target, workload)
    beside = await (orphan_of if ours else canary_of)(target) if target.kind == "Deployment" else None
    return View(workload, state, beside, state.percent if percent is None else percent, trouble)


async def read_view_with(target: Target, read_share: Callable[[], Awaitable[int]]) -> View:
    """Read a snapshot with the share of `read_share`; a share that cannot be read is noted, because a rollback needs the rest."""
    try:
        return await read_view(target, await read_share())
    except (BadInput, WorldMoved, ValueError, OverflowError, RecursionError) as error:  # the last three by what others wrote there
        return await read_view(target, 0 if isinstance(error, Missing) else None, trouble=str(error))


def position_of(target: Target, view: View) -> Position:
    """Convert a snapshot to the protocol's position."""
    baseline, canary = view.versions(target)
    ready = {baseline: is_available(view.workload)} if baseline else {}
    if canary:
        runs = view.beside or view.workload
        ready[canary] = is_available(runs) and (target.version(runs) == canary or (view.beside is not None and not target.canary_workload))
    position = Position(
        baseline=baseline,
        canary=canary,
        percent=view.percent if canary else 0,
        ready=ready,
        previous=target.named(view.state.previous) or None,
        owner=view.state.owner or None,
        generation=view.state.generation,
    )
    if view.trouble:
        position["trouble"] = view.trouble
    if canary and view.state.phase:
        position["under_way"] = "promotion"
    if stood := replaced(target, view.workload, view.state):
        position["replaced"] = stood
    if target.config:
        position["configuration"] = target.config
    if target.config_changed:
        position["changed"] = list(target.config_changed)
    return position


def is_available(workload: Json) -> bool:
    """Return whether a workload is available: by its condition, or with as many available pods as it wants."""
    status, wanted = workload.get("status") or {}, workload["spec"].get("replicas", 1)
    if not available(workload):
        return False
    for condition in status.get("conditions") or []:
        if condition["type"] == "Available":
            return bool(condition["status"] == "True")
    return bool(available(workload) >= wanted)


def progress_lines(target: Target, view: View) -> list[str]:
    """Report a snapshot in a few lines for an operator."""
    baseline, canary = view.versions(target)
    lines = [f"{target.title}: {baseline} serves, {ready_in_words(view.workload)}"]
    if canary:
        lines.append(f"{canary} gets {view.percent} %" + (f", {ready_in_words(view.beside)}" if view.beside else ""))
    if view.trouble:
        lines.append(view.trouble)
    if target.config_fault:
        lines.append(f"a change of the configuration alone would not be seen: {target.config_fault}")
    lines += [f"changed since {baseline} started: {one}" for one in target.config_changed]
    if view.state.owner:
        lines.append(f"owned by {view.state.owner} (generation {view.state.generation})")
    return lines


async def pods_of(target: Target, workload: Json) -> list[Json]:
    """List the pods of a workload that are not terminating; its own only, if another workload's pods share its labels."""
    selector = workload["spec"]["selector"]
    theirs = {"matchLabels": target.canary_selector} if workload["metadata"]["name"] != target.canary else None
    found = await target.cluster.list("Pod", labels=in_words(selector))
    return [
        pod
        for pod in found
        if not pod["metadata"].get("deletionTimestamp") and (theirs is None or not matches(theirs, pod["metadata"].get("labels") or {}))
    ]


async def pods_by_version(target: Target, view: View) -> dict[str, list[Json]]:
    """List the pods of both workloads by version; half-way through a rollout one workload has pods of two."""
    found: dict[str, list[Json]] = {}
    for some in await asyncio.gather(*(pods_of(target, one) for one in (view.workload, view.beside) if one)):
        for pod in some:
            found.setdefault(target.version_in(pod), []).append(pod)
    return found


async def revision_labels(target: Target, view: View) -> dict[str, dict[str, str]]:
    """Return the label that distinguishes the pods of each version: the hash of their pod template.

    Returns:
        By version one label and its value; a version without pods is left out.
    """
    beside = view.beside if view.state.canary or not target.canary_workload else None  # one that is in Git runs without requests, too
    pods = [pod for workload in (view.workload, beside) if workload for pod in await pods_of(target, workload)]
    found: dict[str, dict[str, str]] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"])):
        labels = pod["metadata"].get("labels") or {}
        name = next((name for name in HASHES if name in labels), "")
        if name:
            found[version_in(target, pod)] = {name: labels[name]}
    return found


async def with_idle(target: Target, view: View, position: Position) -> Position:
    """Add whether a canary is idle: in the baseline's place none of its pods is ready, and some of the baseline's are still there."""
    if view.beside is not None or not view.state.canary or not target_is_moving(view, target.version(view.workload)):
        return position
    try:
        pods = await pods_by_version(target, view)
    except ShipwayError as error:  # a rollback needs the rest; what is not known may have requests
        LOG.warning("The pods of %s cannot be read: %s", target.title, error)
        return position
    if pods.get(view.state.baseline) and not any(is_ready(pod) for pod in pods.get(view.state.canary, [])):
        position["idle"] = True
    return position


def version_in(target: Target, pod: Json) -> str:
    """Return which version a pod runs, by its own manifest."""
    return target.version_in(pod)


async def with_configuration(target: Target, *, ignored: Sequence[str]) -> Target:
    """Return a target with the configuration by which versions are named: that of the objects that the pods read, or the owner's.

    While there is a canary, and for the owner until the lease is released, it stays as the owner found it: a ConfigMap or Secret that
    changes meanwhile gives no version another name. Another release that looks at what serves sees it as it is called once the lease is
    released: by the owner's name it would be what that release brings. One that cannot be read is taken as unchanged since the pods
    started: a rollback needs none of it, and `expect_releasable` refuses whatever goes forward.
    """
    workload = await target.read()
    state = state_of(workload) if is_genuine(workload, target.key) else NO_STATE
    named = replace(target, config=state.config, config_parts=state.config_parts)
    if state.canary:
        return named
    template, fault = workload["spec"]["template"], None
    try:
        now = await read_configuration(target.cluster, template, ignored=ignored)
    except BadInput as error:
        now, fault = started_with(template), error
    if state.owner and state.config and not is_stranger(state.owner):
        return replace(named, config_fault=fault, config_changed=tuple(changed_configuration(template, now)))
    return replace(target, config=now.hash, config_parts=now.parts, config_fault=fault)


async def expect_releasable(target: Target) -> None:
    """Refuse to deploy a version whose pods Argo Rollouts runs, or whose configuration cannot be read; a rollback goes on.

    Raises:
        BadInput: A Rollout names the workload, or the account may not read the configuration.
    """
    fault = await rollout_fault(target.cluster, target.workload) or target.config_fault
    if fault is None:
        return
    if not target.expect_genuine(await target.read()).rollback:
        raise fault
    LOG.warning("The rollback of %s goes on: %s", target.title, fault)
