"""Planned writes: what a release of a version would apply, object by object."""

from __future__ import annotations

from typing import Any, NamedTuple

from blocks.kubernetes.objects.annotations import state_of
from blocks.kubernetes.routing.select import traffic_of
from blocks.kubernetes.routing.traffic import service_body, service_of
from blocks.kubernetes.strategies.canary import beside_body
from blocks.kubernetes.workload import Target, canary_of, expect_history, expect_movable
from blocks.kubernetes.write import applied_body, new_template

Json = dict[str, Any]


class Planned(NamedTuple):
    """One object that a release would apply.

    Fields:
        kind: Its kind.
        name: Its name.
        live: As it is, or None if it does not exist.
        body: What would be applied as the field manager `shipway`.
    """

    kind: str
    name: str
    live: Json | None
    body: Json


async def planned(target: Target, strategy: str, version: str) -> list[Planned]:
    """List what a release would apply; the weights of a route and the selector of a Service are changed besides, and restored.

    Args:
        target: The workload.
        strategy: rolling, canary or blue-green.
        version: The version.

    Raises:
        BadInput: Workload, Service or version cannot be used.
    """
    workload = await target.read()
    expect_history(target, workload)
    expect_movable(target, workload, beside=strategy != "rolling")
    template = new_template(target, workload, version)
    found = [Planned(target.kind, target.workload, workload, applied_body(target, workload, template))]
    if strategy == "rolling" or target.version(workload) == version:
        return found
    service, traffic = await service_of(target), traffic_of(target, strategy)
    generation = state_of(workload).generation
    pods = traffic.pods(0, int(workload["spec"].get("replicas", 1)))
    body = beside_body(target, workload, template, traffic.labels(workload, service), pods=pods, generation=generation)
    found.insert(0, Planned("Deployment", target.canary, await canary_of(target), body))
    if strategy == "blue-green" or target.route:
        live = await target.cluster.read("Service", target.canary)
        found.insert(0, Planned("Service", target.canary, live, service_body(target, service, generation=generation)))
    return found
