"""Reads how an environment stands: the workload, what stands beside it, and who gets the requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from blocks.errors import BadInput, WorldMoved
from blocks.kubernetes.api.errors import Missing
from blocks.kubernetes.objects.annotations import State, state_of
from blocks.kubernetes.objects.diagnosis import available, ready_in_words
from blocks.kubernetes.objects.selectors import in_words, matches
from blocks.kubernetes.workload import Target, canary_of
from blocks.platform import Position

Json = dict[str, Any]
HASHES = ("pod-template-hash", "controller-revision-hash")


@dataclass(frozen=True)
class View:
    """How an environment stands.

    Fields:
        workload: The Deployment or StatefulSet of the plan.
        state: What we remember on it.
        beside: The canary's Deployment, or None.
        percent: The canary's share of the requests.
        trouble: Why the share cannot be read from what splits the requests, and the fix; or "".
    """

    workload: Json
    state: State
    beside: Json | None
    percent: int
    trouble: str = ""

    def versions(self, target: Target) -> tuple[str | None, str | None]:
        """Name what serves and what is being brought in."""
        runs = target.version(self.workload)
        if not self.state.canary:
            return runs, None
        if self.state.phase or target_is_moving(self, runs):
            return self.state.baseline or None, self.state.canary
        return runs, self.state.canary


def target_is_moving(view: View, runs: str) -> bool:
    """Say whether the workload itself was brought to the canary's version, so that it no longer tells what served before."""
    return runs == view.state.canary != view.state.baseline


async def look(target: Target, percent: int | None, *, trouble: str = "") -> View:
    """Read how the environment stands.

    Args:
        target: The workload.
        percent: The canary's share where it is known; None takes what the state says.
        trouble: Why it is not known where it should be.
    """
    workload = await target.read()
    state = state_of(workload)
    beside = await canary_of(target) if target.kind == "Deployment" else None
    return View(workload, state, beside, state.percent if percent is None else percent, trouble)


async def look_through(target: Target, read_share: Callable[[], Awaitable[int]]) -> View:
    """Read how the environment stands; a share that cannot be read hides nothing else, since the way back needs the rest."""
    try:
        return await look(target, await read_share())
    except (BadInput, WorldMoved) as error:
        return await look(target, 0 if isinstance(error, Missing) else None, trouble=str(error))


def position_of(target: Target, view: View) -> Position:
    """Say in the platform's words how it stands."""
    baseline, canary = view.versions(target)
    ready = {baseline: is_available(view.workload)} if baseline else {}
    if canary:
        ready[canary] = is_available(view.beside or view.workload) and (view.beside is not None or target.version(view.workload) == canary)
    position = Position(
        baseline=baseline,
        canary=canary,
        percent=view.percent if canary else 0,
        ready=ready,
        previous=view.state.previous or None,
        owner=view.state.owner or None,
        generation=view.state.generation,
    )
    if view.trouble:
        position["trouble"] = view.trouble
    return position


def is_available(workload: Json) -> bool:
    """Say whether a workload serves by the cluster's own measure: its condition, or as many available pods as it wants."""
    status, wanted = workload.get("status") or {}, workload["spec"].get("replicas", 1)
    if not available(workload):
        return False
    for condition in status.get("conditions") or []:
        if condition["type"] == "Available":
            return bool(condition["status"] == "True")
    return bool(available(workload) >= wanted)


def told(target: Target, view: View) -> list[str]:
    """Say in a few lines for an operator how it stands."""
    baseline, canary = view.versions(target)
    lines = [f"{target.title}: {baseline} serves, {ready_in_words(view.workload)}"]
    if canary:
        lines.append(f"{canary} gets {view.percent} %" + (f", {ready_in_words(view.beside)}" if view.beside else ""))
    if view.trouble:
        lines.append(view.trouble)
    if view.state.owner:
        lines.append(f"owned by {view.state.owner} (generation {view.state.generation})")
    return lines


async def pods_of(target: Target, workload: Json) -> list[Json]:
    """List the pods of a workload that are not on their way out, its own only, where another one's share its labels."""
    selector = workload["spec"]["selector"]
    theirs = {"matchLabels": target.canary_selector} if workload["metadata"]["name"] != target.canary else None
    found = await target.cluster.list("Pod", labels=in_words(selector))
    return [
        pod
        for pod in found
        if not pod["metadata"].get("deletionTimestamp") and (theirs is None or not matches(theirs, pod["metadata"].get("labels") or {}))
    ]


async def revision_labels(target: Target, view: View) -> dict[str, dict[str, str]]:
    """Say by which label the pods of each version are told from the others: the hash of their pod template.

    Returns:
        By version one label and its value; a version without pods is left out.
    """
    pods = [pod for workload in (view.workload, view.beside) if workload for pod in await pods_of(target, workload)]
    found: dict[str, dict[str, str]] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"])):
        labels = pod["metadata"].get("labels") or {}
        name = next((name for name in HASHES if name in labels), "")
        if name:
            found[version_in(target, pod)] = {name: labels[name]}
    return found


def version_in(target: Target, pod: Json) -> str:
    """Say which version a pod runs, by its own manifest."""
    return target.version_in(pod)
