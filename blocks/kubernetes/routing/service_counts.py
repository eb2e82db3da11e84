"""Request counts of a workload's Services at the gateway: that of the baseline, and that of the canary."""

from __future__ import annotations

from blocks.kubernetes.routing.gateway_metrics import Backend, read_counts
from blocks.kubernetes.routing.weights import routed_port
from blocks.kubernetes.workload import Target
from blocks.platform import Counts


async def read_service_counts(target: Target, versions: tuple[str | None, str | None], *, url: str, bad_status: str) -> dict[str, Counts]:
    """Read the counts by version.

    Args:
        target: The workload.
        versions: Those of baseline and canary.
        url: The gateway's metrics page.
        bad_status: A regular expression; an answer whose whole status matches is an error.

    Raises:
        ShipwayError: As in `gateway_metrics.read_counts`.
    """
    services = {version: name for version, name in zip(versions, (target.service, target.canary_backend), strict=True) if version}
    port = await routed_port(target)
    namespace = target.cluster.namespace
    backends = {version: Backend(service=name, namespace=namespace, port=port) for version, name in services.items()}
    return await read_counts(url, backends, bad_status=bad_status)
