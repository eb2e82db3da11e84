"""Argo Rollouts: finds the Rollout that runs a workload's pods, which Shipway must not deploy beside its controller."""

from __future__ import annotations

from blocks.errors import BadInput, ShipwayError
from blocks.kubernetes.api.client import Cluster

FIX = "Name a Deployment or StatefulSet that no Rollout runs; Shipway does not deploy Rollouts"


async def rollout_fault(cluster: Cluster, workload: str) -> BadInput | None:
    """Say which Rollout has a workload's name, or names it in `workloadRef`.

    Args:
        cluster: The namespace.
        workload: The name.

    Returns:
        The fault, with the fix; None if there is none, or if Rollouts cannot be read: without their controller they are not known at all.
    """
    try:
        found = await cluster.list("Rollout")
    except ShipwayError:
        return None
    for one in found:
        name = one["metadata"]["name"]
        if workload in {name, ((one.get("spec") or {}).get("workloadRef") or {}).get("name")}:
            return BadInput(f"Argo Rollouts runs {workload} in {cluster.namespace}, as the Rollout {name}", field="workload", fix=FIX)
    return None
