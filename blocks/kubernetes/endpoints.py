"""Addresses of an environment: of the service as users reach it, and of each revision in private, through the API server."""

from __future__ import annotations

from blocks.errors import BadInput
from blocks.kubernetes import snapshot
from blocks.kubernetes.api.port_forward import forward
from blocks.kubernetes.objects.selectors import in_words
from blocks.kubernetes.routing.traffic import service_of
from blocks.kubernetes.workload import Target
from blocks.platform import Endpoints


async def endpoints(target: Target, seen: snapshot.View, *, url: str, port: int, through_service: bool) -> Endpoints:
    """Return the base URLs of the service and of each revision that has pods.

    Args:
        target: The workload.
        seen: A snapshot of it.
        url: As users reach it; "" goes through the API server.
        port: The port that the version serves on; 0 takes the container's.
        through_service: Whether users reach it by the Service; else by any pod of the workload.

    Raises:
        BadInput: No port is named.
    """
    baseline, canary = seen.versions(target)
    labels = await snapshot.revision_labels(target, seen)
    port = port or target.port(seen.workload["spec"]["template"])
    if not port:
        fix = "Give the block the port, or name it in the container's `ports`"
        raise BadInput(f"the container of {target.title} does not name a port", field="port", fix=fix)
    public = url or await forward(target.cluster, selector=await _public(target, seen, through_service=through_service), port=port)
    found = Endpoints(public=public)
    if baseline in labels and baseline:
        found["baseline"] = await forward(target.cluster, selector=in_words({"matchLabels": labels[baseline]}), port=port)
    if canary in labels and canary:
        found["canary"] = await forward(target.cluster, selector=in_words({"matchLabels": labels[canary]}), port=port)
    return found


async def _public(target: Target, seen: snapshot.View, *, through_service: bool) -> str:
    """Select what users reach if no address is named: the Service's pods, or the workload's."""
    if not through_service:
        return in_words(seen.workload["spec"]["selector"])
    return in_words({"matchLabels": (await service_of(target))["spec"]["selector"]})
