"""Whether Service and route are a workload's own, in the cluster as it is now: what another workload has is not switched or weighted.

A block is a text that anyone with the API's password edits; what its Service selects, and what its route names, is the cluster's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blocks.errors import BadInput
from blocks.kubernetes.objects.selectors import CANARY, REVISION_LABEL, matches
from blocks.kubernetes.routing.route import leads_to, with_share
from blocks.kubernetes.routing.traffic import selects, service_selector
from blocks.kubernetes.workload import OURS, Target
from blocks.touching import NotOwn

Json = dict[str, Any]
KINDS = ("Deployment", "StatefulSet")


async def touched(target: Target, strategy: str) -> dict[str, str]:
    """Name what a release changes beside the workload, or is reached by.

    A rolling update changes neither Service nor route, so what is not its own does not count: a proxy may stand before the workload.

    Args:
        target: The workload.
        strategy: rolling, canary or blue-green.

    Returns:
        Their identities by words for people; what does not exist, or does not lead to the workload, is left out.

    Raises:
        NotOwn: The workload is a canary of Shipway's, or Service or route are not the workload's own.
    """
    workload, splits = await target.read(), strategy != "rolling"
    service = await target.cluster.read("Service", target.service)
    route = await target.cluster.read("HTTPRoute", target.route) if target.route else None
    if service is not None and not service["spec"].get("selector"):
        service = None  # its requests go where its owner writes
    is_own = service is not None and selects(service, workload)
    found: dict[str, str] = {}
    if service is not None and (is_own or splits):
        found[f"the Service {target.cluster.namespace}/{target.service}"] = f"kubernetes Service {service['metadata']['uid']}"
    if route is not None and (strategy == "canary" or (is_own and leads_to(route, target.service))):
        found[f"the HTTPRoute {target.cluster.namespace}/{target.route}"] = f"kubernetes HTTPRoute {route['metadata']['uid']}"
    _expect_no_canary(target, workload, found)
    if service is not None and splits:
        if not is_own:
            raise _another(target, service_selector(service), found)
        await _expect_alone(target, service, found)
    if route is not None and strategy == "canary":
        _expect_splits(target, route, found)
    return found


def notes(target: Target, strategy: str, things: Mapping[str, str], *, is_named: bool) -> list[str]:
    """Say of a rolling update that the Service that its block names is not its own; see `touched`, which gave the things."""
    if strategy != "rolling" or not is_named or (title := f"the Service {target.cluster.namespace}/{target.service}") in things:
        return []
    return [f"{title} does not select the pods of {target.workload}: it serves for verification alone, and is not owned with it"]


def _expect_splits(target: Target, route: Json, found: dict[str, str]) -> None:
    try:
        with_share(route, 0, stable=target.service, canary=target.canary_backend)
    except BadInput as error:
        is_anothers = not leads_to(route, target.service)
        raise NotOwn(error.wrong, field=error.field, fix=error.fix, things=found, refuses_rollbacks=is_anothers) from None


def _another(target: Target, selector: dict[str, str], found: dict[str, str]) -> NotOwn:
    words = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
    wrong = f"the Service {target.service} does not select the pods of {target.title}, but {words}: it is another workload's"
    return NotOwn(wrong, field="service", fix=f"Name the Service that sends requests to {target.workload}", things=found)


def _expect_no_canary(target: Target, workload: Json, found: dict[str, str]) -> None:
    """Refuse the Deployment beside another workload: a staging that deploys to it would have production's requests."""
    labels = workload["metadata"].get("labels") or {}
    selector = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    if OURS.items() <= labels.items() or selector.get(REVISION_LABEL) == CANARY:
        fix = "Name the workload itself"
        raise NotOwn(f"{target.title} is a canary of Shipway's, beside another workload", field="workload", fix=fix, things=found)


async def _expect_alone(target: Target, service: Json, found: dict[str, str]) -> None:
    """Refuse a Service that sends requests to other workloads, too: their users would go to the canary.

    One that is scaled to 0 has none. This refuses no rollback, which brings the requests back to where they were.
    """
    own, others = {"matchLabels": service_selector(service)}, list[str]()
    for kind in KINDS:
        for one in await target.cluster.list(kind):
            name = one["metadata"]["name"]
            ours = {(target.kind, target.workload), *([] if target.canary_workload else [("Deployment", target.canary)])}
            is_ours = (kind, name) in ours
            if not is_ours and one["spec"].get("replicas", 1) and matches(own, one["spec"]["template"]["metadata"].get("labels") or {}):
                others.append(f"the {kind} {name}")
    if others:
        fix = f"Give {target.workload} a Service of its own, whose selector selects no other pods"
        wrong = f"the Service {target.service} selects the pods of {', '.join(sorted(others))}, too"
        raise NotOwn(wrong, field="service", fix=fix, things=found, refuses_rollbacks=False)
