"""Drift: what others changed in the workload since a release left it.

A release notes on the workload how it left it: the revision that holds its pod template, which the cluster itself keeps, and the few fields
besides. So the old value is known exactly, no secret is copied, and nothing that the cluster writes for itself counts as a change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from blocks.errors import WorldMoved
from blocks.kubernetes.api.client import MANAGER
from blocks.kubernetes.objects.annotations import PREFIX
from blocks.kubernetes.objects.diff import Leaf, compare, leaves
from blocks.kubernetes.revision import flat_template, revision_of
from blocks.kubernetes.workload import Target, annotate, change, owned, revisions, until_unchanged
from blocks.platform import Lease

Json = dict[str, Any]
LEFT = f"{PREFIX}left"
# Managers that scale workloads; their writes of `replicas` are not drift.
AUTOSCALING = {"kube-controller-manager", "vpa-updater", "keda-operator"}
LONGEST_NOTE = 16_000


async def leave(target: Target, lease: Lease) -> None:
    """Record on the workload how a release leaves it; a no-op if that is recorded already.

    If it is changed at this very moment the note is removed: then the drift is not known, which is reported and blocks no release.

    Raises:
        Superseded, Refused: Another owner holds it.
    """

    async def once() -> None:
        workload, _ = await owned(target, lease)
        note = await _note(target, workload)
        if (workload["metadata"].get("annotations") or {}).get(LEFT) != note:
            await change(target, target.kind, workload, [annotate(workload, {LEFT: note})])

    await until_unchanged(once)


async def _note(target: Target, workload: Json) -> str | None:
    try:
        revision = await revision_of(target, workload)
    except WorldMoved:
        return None
    note = json.dumps({"revision": revision, "spec": _besides(workload)}, sort_keys=True)
    return note if len(note) <= LONGEST_NOTE else None


async def drift(target: Target, workload: Json) -> tuple[list[str], list[str]]:
    """Compare a workload with how the last release left it.

    Args:
        target: Whose workload.
        workload: As it is now.

    Returns:
        A line for each field that differs, with who owns it now; and notes on what is not known.
    """
    title = f"{target.kind} {target.workload}"
    try:
        left = json.loads((workload["metadata"].get("annotations") or {})[LEFT])
        revision, besides = str(left["revision"]), {str(path): Leaf(str(text)) for path, text in left["spec"].items()}
    except (KeyError, ValueError, TypeError, AttributeError):
        return [], [f"{title}: no release of Shipway recorded its final state, so changes since then are not known"]
    owners = _owners(workload)
    lines = compare(besides, {path: Leaf(text) for path, text in _besides(workload).items()})
    previous = next((template for name, template in await revisions(target, workload) if name == revision), None)
    if previous is None:
        lines.append(f"spec.template: the revision {revision} of the last release is not in the history any more")
    else:
        lines += compare(flat_template(previous), flat_template(workload["spec"]["template"]))
    return [f"{title}: {line}{_by(owners, line.partition(': ')[0])}" for line in lines], []


def _besides(workload: Json) -> dict[str, str]:
    """Flatten the spec without its pod template, its selector (which cannot change) and an autoscaler's replicas."""
    spec = {name: value for name, value in workload["spec"].items() if name not in {"template", "selector", "volumeClaimTemplates"}}
    if is_autoscaled(workload):
        spec.pop("replicas", None)
    return {path: leaf.text for path, leaf in leaves({"spec": spec}, kind=workload.get("kind", "")).items()}


def is_autoscaled(workload: Json) -> bool:
    """Return whether an autoscaler wrote the number of pods last, or Shipway, which restores what one removed."""
    return bool({*AUTOSCALING, MANAGER} & set(_owners(workload).get("spec.replicas", [])))


def _by(owners: dict[str, list[str]], path: str) -> str:
    others = [name for name in owners.get(path, []) if name != MANAGER]
    return f" (by {', '.join(others)})" if others else ""


def _owners(workload: Json) -> dict[str, list[str]]:
    """Return which managers own which fields, by path as `leaves` spells it."""
    owners: dict[str, list[str]] = {}
    for entry in workload["metadata"].get("managedFields") or []:
        if entry.get("subresource") == "status":
            continue
        for path in _paths(entry.get("fieldsV1") or {}, ""):
            owners.setdefault(path, []).append(str(entry.get("manager", "")))
    return owners


def _paths(fields: Json, path: str) -> Iterator[str]:
    for key, below in fields.items():
        if key.startswith("f:"):
            here = f"{path}.{key[2:]}".removeprefix(".")
        elif key.startswith("k:") and '"name"' in key:
            here = f"{path}[{json.loads(key[2:])['name']}]"
        else:
            continue
        yield here
        yield from _paths(below, here)
