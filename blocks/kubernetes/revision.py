"""Revisions: which one a workload runs, and whether it is still the one that a release found."""

from __future__ import annotations

import copy
from typing import Any

from blocks.errors import WorldMoved
from blocks.kubernetes.objects.annotations import State
from blocks.kubernetes.objects.diff import Leaf, compare, leaves
from blocks.kubernetes.workload import Target, previous_template, revisions

Json = dict[str, Any]
MOST_DIFFERENCES = 5


async def revision_of(target: Target, workload: Json) -> str:
    """Name the revision that holds the workload's present pod template.

    Raises:
        WorldMoved: The cluster has none yet: the workload was changed just now.
    """
    found = await revisions(target, workload)
    present = next((name for name, template in found if _same(template, workload["spec"]["template"])), None)
    if present is None:
        raise WorldMoved(f"{target.title} is being changed elsewhere right now; release again once that is over")
    return present


def _same(one: Json, other: Json) -> bool:
    """Compare two pod templates, without the defaults that the API server writes into them."""
    left, right = copy.deepcopy(one), copy.deepcopy(other)
    for template in (left, right):
        metadata = template.setdefault("metadata", {})
        metadata.pop("creationTimestamp", None)
        for name in ("labels", "annotations"):
            if not metadata.get(name):
                metadata.pop(name, None)
    return left == right


def expect_version(target: Target, workload: Json, state: State) -> None:
    """Refuse to act on a workload that runs a third version.

    Raises:
        WorldMoved: It runs neither the baseline nor the canary; names which.
    """
    runs = target.version(workload)
    if runs not in {state.baseline, state.canary}:
        raise WorldMoved(
            f"{target.title} runs {runs}, neither {state.baseline}, which this release found, nor {state.canary}: "
            "it was changed elsewhere. Nothing more was changed; check it, then release again"
        )


async def expect_untouched(target: Target, workload: Json, state: State) -> None:
    """Refuse to build on a workload that was changed meanwhile: the result would be a pod template that no canary ran.

    Raises:
        WorldMoved: It runs neither the baseline nor the canary, or the baseline by another pod template; names what differs.
    """
    expect_version(target, workload, state)
    if target.version(workload) != state.baseline or not state.baseline_revision:
        return
    previous = await previous_template(target, workload, state.baseline_revision)
    changed = compare(flat_template(previous), flat_template(workload["spec"]["template"]))
    if changed:
        raise WorldMoved(
            f"the pod template of {target.title} was changed since this release found it, and no canary ran it like that: "
            f"{'; '.join(changed[:MOST_DIFFERENCES])}. Nothing more was changed; check it, then release again"
        )


def flat_template(template: Json) -> dict[str, Leaf]:
    """Flatten a pod template into its values, without the notes of `kubectl rollout restart` and Shipway."""
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if key in {"labels", "annotations"}}
    return leaves({"spec": {"template": {"metadata": metadata, "spec": template["spec"]}}}, kind="Pod")
