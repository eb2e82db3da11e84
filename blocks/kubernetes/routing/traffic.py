"""Traffic split: the protocol of all kinds, and what they share."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from blocks.errors import BadInput
from blocks.kubernetes.objects.annotations import GENERATION
from blocks.kubernetes.objects.selectors import REVISION_LABEL, apart
from blocks.kubernetes.workload import FOR, OURS, Target, is_ours, owned, until_unchanged
from blocks.kubernetes.write import make
from blocks.platform import Lease

Json = dict[str, Any]
ALL = 100
SELECTOR = "shipway.dev/selector"
SHARE = "shipway.dev/share"


class Traffic(Protocol):
    """One kind of traffic split; each method converges."""

    async def read(self) -> int:
        """Read the canary's share, in percent."""
        ...

    def labels(self, workload: Json, service: Json) -> dict[str, str]:
        """Return the labels of the canary's pods, so that the Service selects them only if it should."""
        ...

    def pods(self, percent: int, stable: int) -> int:
        """Return how many pods the canary needs for a share, beside so many stable ones."""
        ...

    async def attach(self, lease: Lease, service: Json) -> None:
        """Attach the canary with a share of 0 %."""
        ...

    async def set(self, percent: int, lease: Lease) -> None:
        """Set the canary's share of the requests, and return once it is in force."""
        ...

    async def detach(self, lease: Lease) -> None:
        """Detach the canary: restore everything as it was before."""
        ...


async def service_of(target: Target) -> Json:
    """Read the Service through which users reach the workload.

    Raises:
        BadInput: It is not named, does not exist, or selects nothing.
    """
    found = await target.cluster.read("Service", target.service) if target.service else None
    if found is None or not found["spec"].get("selector"):
        fix = f"Name the Service that sends requests to {target.workload}, one with a selector"
        raise BadInput(
            f"the namespace {target.cluster.namespace} has no Service {target.service or '(none is named)'}", field="service", fix=fix
        )
    return found


def labels_apart(target: Target, workload: Json, service: Json) -> dict[str, str]:
    """Return labels that neither the workload nor the Service selects."""
    labels = workload["spec"]["template"]["metadata"].get("labels") or {}
    changed = apart(labels, [workload["spec"]["selector"], {"matchLabels": service_selector(service)}])
    return {**changed, **target.canary_selector}


def service_selector(service: Json) -> dict[str, str]:
    """Return a Service's own selector, also while it is switched to the canary."""
    selector = dict(service["spec"]["selector"])
    remembered = (service["metadata"].get("annotations") or {}).get(SELECTOR, "")
    if not remembered or REVISION_LABEL not in selector:
        return selector
    return dict(part.split("=", 1) for part in remembered.split(",") if "=" in part)


def selects(service: Json, workload: Json) -> bool:
    """Return whether a Service's own selector selects the pods of a workload."""
    own = service_selector(service)
    return bool(own) and own.items() <= (workload["spec"]["template"]["metadata"].get("labels") or {}).items()


def ports_of(service: Json) -> list[Json]:
    """List a Service's ports.

    Raises:
        BadInput: It has none, so a canary's Service could not be reached.
    """
    ports: list[Json] = service["spec"].get("ports") or []
    if not ports:
        raise BadInput(f"the Service {service['metadata']['name']} has no ports", field="service", fix="Give it the port that users reach")
    return ports


def is_switched(service: Json) -> bool:
    """Return whether a Service selects the canary."""
    return REVISION_LABEL in service["spec"]["selector"]


async def make_service(target: Target, service: Json, lease: Lease) -> None:
    """Create or update the Service of the canary."""

    async def once() -> None:
        found = await target.cluster.read("Service", target.canary)
        if found is not None and not is_ours(found, target):
            fix = f"Rename it: Shipway needs the name {target.canary} for the canary of {target.workload}"
            raise BadInput(f"the Service {target.canary} is not Shipway's", field="workload", fix=fix)
        await owned(target, lease)
        await make(target, "Service", service_body(target, service, generation=lease["generation"]), lease, found=found)

    await until_unchanged(once)


def service_body(target: Target, service: Json, *, generation: int) -> Json:
    """Build the Service of the canary, with the ports of the stable one."""
    kept = ("name", "port", "targetPort", "protocol", "appProtocol")
    ports = [{key: port[key] for key in kept if key in port} for port in ports_of(service)]
    annotations = {FOR: target.workload, GENERATION: str(generation)}
    metadata = {"name": target.canary, "namespace": target.cluster.namespace, "labels": OURS, "annotations": annotations}
    spec = {"selector": target.canary_selector, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


async def drain(target: Target) -> None:
    """Drain: let requests in flight end before their pods are deleted."""
    await asyncio.sleep(target.drain_seconds)
