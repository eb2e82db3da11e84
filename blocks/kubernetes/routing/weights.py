"""Canary by weights: the shares of an HTTPRoute's backends, and whether a gateway has applied them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Literal

from blocks.errors import RolloutFailed, WorldMoved
from blocks.kubernetes.api.errors import Missing
from blocks.kubernetes.api.watch import Again, Seen, Source, watch_until
from blocks.kubernetes.objects.annotations import GENERATION
from blocks.kubernetes.routing.route import (
    WEIGHT,
    faults_of,
    is_taken_by_any,
    names,
    port_to,
    share_of,
    to_remember,
    with_share,
    without_canary,
)
from blocks.kubernetes.routing.traffic import ALL, labels_apart, make_service, ports_of, service_of
from blocks.kubernetes.workload import Target, owned, until_unchanged
from blocks.kubernetes.write import note
from blocks.platform import Lease

Json = dict[str, Any]
Step = Literal["first", "share", "detach"]
ROUTE_SECONDS = 15.0
REFUSED_SECONDS = 3.0


@dataclass(frozen=True)
class Weights:
    """Traffic split by an HTTPRoute's weights: any share with any number of pods.

    Fields:
        target: The workload.
        remembers: Whether the route keeps its owner's weights, to which it returns; not if its owner writes those of the canary, too.
    """

    target: Target
    remembers: bool = True

    async def read(self) -> int:
        """Read the share from the route's rules."""
        return share_of(await self._route(), stable=self.target.service, canary=self.target.canary_backend)

    def labels(self, workload: Json, service: Json) -> dict[str, str]:
        """Return labels that the baseline's Service does not select."""
        return labels_apart(self.target, workload, service)

    def pods(self, percent: int, stable: int) -> int:
        """Return how many pods carry the share as the stable ones carry all."""
        return max(1, math.ceil(stable * percent / ALL))

    async def attach(self, lease: Lease, service: Json) -> None:
        """Create a Service for the canary, then add it to the route with weight 0."""
        await make_service(self.target, service, lease)
        await self._write(await self.read(), lease, first=True)

    async def set(self, percent: int, lease: Lease) -> None:
        """Write the weights, and wait until the gateway has applied the route; without a canary's reference 0 % needs no write."""
        if percent:
            await self._write(percent, lease)
        elif names(await self._route(), self.target.canary_backend):
            await self.detach(lease)

    async def give_back(self, lease: Lease) -> None:
        """Write 0 % for the canary, whose reference stays."""
        await self._write(0, lease)

    async def expect(self, percent: int) -> None:
        """Wait until the gateway has applied the route as others wrote it.

        Raises:
            WorldMoved: It gives the canary another share.
            RolloutFailed: The gateway rejects it.
        """
        route = await self._route()
        share = share_of(route, stable=self.target.service, canary=self.target.canary_backend)
        if share != percent:
            raise WorldMoved(f"the HTTPRoute {self.target.route} gives the canary {share} % of the requests, not {percent} %")
        await _in_force(self.target, route, before=[], step="share")

    async def _write(self, percent: int, lease: Lease, *, first: bool = False) -> None:
        before: list[str] = []

        async def once() -> Json:
            route = await self._route()
            before[:] = faults_of(route, stale=True) or []
            await owned(self.target, lease)
            stable, canary = self.target.service, self.target.canary_backend
            rules = with_share(route, percent, stable=stable, canary=canary)
            if rules == route["spec"]["rules"]:
                return route
            kept = to_remember(route, stable=stable, canary=canary) if self.remembers else None
            notes: dict[str, str | None] = {GENERATION: str(lease["generation"]), WEIGHT: kept}
            return await _write_rules(self.target, route, rules, notes)

        await _in_force(self.target, await until_unchanged(once), before=before, step="first" if first else "share")

    async def detach(self, lease: Lease) -> None:
        """Remove from the route what was added, and restore its weights; all else stays its owner's."""
        before: list[str] = []

        async def once() -> Json | None:
            route = await self.target.cluster.read("HTTPRoute", self.target.route)
            await owned(self.target, lease)
            if route is None:
                return None
            before[:] = faults_of(route, stale=True) or []
            rules = without_canary(route, stable=self.target.service, canary=self.target.canary_backend)
            if rules == route["spec"]["rules"] and WEIGHT not in (route["metadata"].get("annotations") or {}):
                return None
            return await _write_rules(self.target, route, rules, {GENERATION: str(lease["generation"]), WEIGHT: None})

        route = await until_unchanged(once)
        if route is not None:
            await _in_force(self.target, route, before=before, step="detach")

    async def _route(self) -> Json:
        found = await self.target.cluster.read("HTTPRoute", self.target.route)
        if found is None:
            fix = "Apply it again"
            raise Missing(f"the HTTPRoute {self.target.route} does not exist in {self.target.cluster.namespace}. {fix}")
        return found


async def routed_port(target: Target) -> int:
    """Name the port at which the route reaches the service, by which a gateway counts; else the Service's first one."""
    route = await target.cluster.read("HTTPRoute", target.route)
    found = port_to(route, target.service) if route else None
    return found or int(ports_of(await service_of(target))[0]["port"])


async def _write_rules(target: Target, route: Json, rules: list[Json], notes: dict[str, str | None]) -> Json:
    return await note(target, "HTTPRoute", route, notes, [{"op": "replace", "path": "/spec/rules", "value": rules}])


async def _in_force(target: Target, route: Json, *, before: list[str], step: Step) -> None:
    """Wait until the gateways have observed the route as it is; references that they miss may still appear.

    Args:
        target: The route's workload.
        route: As it was written.
        before: Their faults of it before our write: these do not fail a step.
        step: Which write it was. For the first one some gateway must accept the route at all, since a release should not start on a route
            without one; a detach adds nothing, so a fault of a kind that existed before does not count.

    Raises:
        RolloutFailed: One of them rejects it.
        WorldMoved: It was deleted.
    """
    if _new_faults(route, before, step) == []:
        return
    name, refused = route["metadata"]["name"], _Refusal()

    def decide(seen: Seen) -> list[str] | Again | None:
        found = seen["route"].get(name)
        if found is None:
            raise WorldMoved(f"the HTTPRoute {name} was deleted during the wait; something else changes the environment")
        return refused.judge(_new_faults(found, before, step))

    source = Source("route", "HTTPRoute", fields=f"metadata.name={name}")
    try:
        faults = await watch_until(target.cluster, [source], decide, timeout_seconds=ROUTE_SECONDS)
    except TimeoutError:
        faults = [f"no gateway has observed it within {ROUTE_SECONDS:g} s"]
    if faults:
        raise RolloutFailed(f"the HTTPRoute {name} is not in force: {'; '.join(faults)}", evidence=tuple(faults))


def _new_faults(route: Json, before: list[str], step: Step) -> list[str] | None:
    faults = faults_of(route)
    if not faults or (step == "first" and not is_taken_by_any(route)):
        return faults
    if step == "detach":
        kinds = {fault.partition(":")[0] for fault in before}
        return [fault for fault in faults if fault.partition(":")[0] not in kinds]
    return [fault for fault in faults if fault not in before]


@dataclass
class _Refusal:
    """Time since when the gateways reject the route."""

    since: float = 0.0

    def judge(self, faults: list[str] | None) -> list[str] | Again | None:
        """Return the faults once they have lasted, and an empty list once there are none."""
        if not faults:
            return faults
        self.since = self.since or time.monotonic()
        left = self.since + REFUSED_SECONDS - time.monotonic()
        return Again(left) if left > 0 else faults
