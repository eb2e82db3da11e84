"""The metrics of several services, each by itself, with one look at all facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from tasks.rules.metrics.deployments import Deployment, deployments_in
from tasks.rules.metrics.facts import Facts
from tasks.rules.metrics.metrics import Metrics, Selection, measure


def measure_each(facts: Iterable[Facts], services: Iterable[str], selection: Selection, *, broken: int = 0) -> list[Metrics]:
    """Compute the metrics of several services, each by itself, in one environment and span; arguments as those of `measure`."""
    known = list(facts)
    begin = min((one.opened for one in known), default=None)
    of, made = defaultdict[str, list[Facts]](list), defaultdict[str, list[Deployment]](list)
    for one in known:
        of[one.service].append(one)
    for deployment in deployments_in(known, selection.environment):
        made[deployment.facts.service].append(deployment)
    return [
        measure([*of[name], *of[""]], replace(selection, service=name), broken=broken, made=made[name], begin=begin) for name in services
    ]
