"""Whether Service and route are a workload's own, in the cluster as it is now: what another workload has is not switched or weighted.

A block is a text that anyone with the API's password edits; what its Service selects, and what its route names, is the cluster's.
"""

from __future__ import annotations

from typing import Any

from blocks.errors import BadInput
from blocks.kubernetes.objects.selectors import CANARY, REVISION_LABEL, matches
from blocks.kubernetes.routing.route import with_share
from blocks.kubernetes.routing.traffic import selects, service_selector
from blocks.kubernetes.workload import OURS, Target

Json = dict[str, Any]
KINDS = ("Deployment", "StatefulSet")


async def touched(target: Target, strategy: str, *, is_named: bool) -> dict[str, str]:
    """Name what a release changes beside the workload, or is verified through.

    Args:
        target: The workload.
        strategy: rolling, canary or blue-green.
        is_named: Whether the block names the Service, which a rolling update does not change.

    Returns:
        Their identities by words for people; what does not exist, or is neither named nor needed, is left out.

    Raises:
        BadInput: The workload is a canary of Shipway's, or Service or route are not the workload's own.
    """
    workload, splits = await target.read(), strategy != "rolling"
    _expect_no_canary(target, workload)
    service = await target.cluster.read("Service", target.service)
    route = await target.cluster.read("HTTPRoute", target.route) if target.route else None
    found: dict[str, str] = {}
    if service is not None and service["spec"].get("selector"):
        if (splits or is_named) and not selects(service, workload):
            raise _another(target, service_selector(service))
        if splits:
            await _expect_alone(target, service)
        if selects(service, workload):
            found[f"the Service {target.cluster.namespace}/{target.service}"] = f"kubernetes Service {service['metadata']['uid']}"
    if route is not None:
        if strategy == "canary":
            with_share(route, 0, stable=target.service, canary=target.canary)  # raises what is wrong with it
        found[f"the HTTPRoute {target.cluster.namespace}/{target.route}"] = f"kubernetes HTTPRoute {route['metadata']['uid']}"
    return found


def _another(target: Target, selector: dict[str, str]) -> BadInput:
    words = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
    wrong = f"the Service {target.service} does not select the pods of {target.title}, but {words}: it is another workload's"
    return BadInput(wrong, field="service", fix=f"Name the Service that sends requests to {target.workload}")


def _expect_no_canary(target: Target, workload: Json) -> None:
    """Refuse the Deployment beside another workload: a staging that deploys to it would have production's requests."""
    labels = workload["metadata"].get("labels") or {}
    selector = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    if OURS.items() <= labels.items() or selector.get(REVISION_LABEL) == CANARY:
        fix = "Name the workload itself"
        raise BadInput(f"{target.title} is a canary of Shipway's, beside another workload", field="workload", fix=fix)


async def _expect_alone(target: Target, service: Json) -> None:
    """Refuse a Service that sends requests to other workloads, too: their users would go to the canary."""
    own, others = {"matchLabels": service_selector(service)}, list[str]()
    for kind in KINDS:
        for one in await target.cluster.list(kind):
            name = one["metadata"]["name"]
            is_ours = (kind, name) in {(target.kind, target.workload), ("Deployment", target.canary)}
            if not is_ours and matches(own, one["spec"]["template"]["metadata"].get("labels") or {}):
                others.append(f"the {kind} {name}")
    if others:
        fix = f"Give {target.workload} a Service of its own, whose selector selects no other pods"
        wrong = f"the Service {target.service} selects the pods of {', '.join(sorted(others))}, too"
        raise BadInput(wrong, field="service", fix=fix)
