"""How requests reach the canary beside the workload: by a route's weights, by the number of its pods, or by one switch of a Service."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from blocks.kubernetes_errors import Missing
from blocks.kubernetes_route import WEIGHT, faults_of, share_of, weights_of, with_share, without_canary
from blocks.kubernetes_selectors import REVISION_LABEL, apart, in_words, matches
from blocks.kubernetes_state import GENERATION
from blocks.kubernetes_watch import Seen, Source, watch_until
from blocks.kubernetes_workload import FOR, OURS, Target, change, owned, until_unchanged
from blocks.kubernetes_write import apply, note
from blocks.platform import Mark
from tasks.rules.errors import BadInput, RolloutFailed, WorldMoved

Json = dict[str, Any]
ALL = 100
MOST_BY_PODS = 80
ROUTE_SECONDS = 15.0
SELECTOR = "shipway.dev/selector"
SHARE = "shipway.dev/share"


class Traffic(Protocol):
    """One way of splitting the requests; each method converges."""

    async def read(self) -> int:
        """Read the canary's share, in percent."""
        ...

    def labels(self, workload: Json, service: Json) -> dict[str, str]:
        """Give the labels of the canary's pods, so that the Service selects them only where it should."""
        ...

    def pods(self, percent: int, stable: int) -> int:
        """Say how many pods the canary needs for a share, beside so many stable ones."""
        ...

    async def attach(self, mark: Mark, service: Json) -> None:
        """Make the canary known at no share."""
        ...

    async def set(self, percent: int, mark: Mark) -> None:
        """Give the canary a share of the requests, and return once it is in force."""
        ...

    async def detach(self, mark: Mark) -> None:
        """Leave everything as it was without a canary."""
        ...


async def service_of(target: Target) -> Json:
    """Read the Service through which users reach the workload.

    Raises:
        BadInput: It is not named, not there, or selects nothing.
    """
    found = await target.cluster.read("Service", target.service) if target.service else None
    if found is None or not found["spec"].get("selector"):
        mend = f"Name the Service that sends requests to {target.workload}, one with a selector"
        raise BadInput(
            f"the namespace {target.cluster.namespace} has no such Service: {target.service or 'none is named'}", field="service", mend=mend
        )
    return found


@dataclass(frozen=True)
class Weights:
    """An HTTPRoute's weights: any share with any number of pods."""

    target: Target

    async def read(self) -> int:
        """Read the share from the route's rules."""
        return share_of(await self._route(), stable=self.target.service, canary=self.target.canary)

    def labels(self, workload: Json, service: Json) -> dict[str, str]:
        """Stand apart from the Service, which the route names for the baseline alone."""
        return labels_apart(self.target, workload, service)

    def pods(self, percent: int, stable: int) -> int:
        """Bring as many pods as carry the share as the stable ones carry all."""
        return max(1, math.ceil(stable * percent / ALL))

    async def attach(self, mark: Mark, service: Json) -> None:
        """Make a Service for the canary, then name it in the route with no weight."""
        await make_service(self.target, service, mark)
        await self.set(await self.read(), mark)

    async def set(self, percent: int, mark: Mark) -> None:
        """Write the weights, and wait until the gateway has taken the route in."""

        async def once() -> Json:
            route = await self._route()
            await owned(self.target, mark)
            stable, canary = self.target.service, self.target.canary
            rules = with_share(route, percent, stable=stable, canary=canary)
            if rules == route["spec"]["rules"]:
                return route
            remembered = (route["metadata"].get("annotations") or {}).get(WEIGHT) or weights_of(route, stable=stable)
            return await _write_rules(self.target, route, rules, {GENERATION: str(mark["generation"]), WEIGHT: remembered})

        await _in_force(self.target, await until_unchanged(once))

    async def detach(self, mark: Mark) -> None:
        """Take the canary out of the route, whose stable Service gets the weight that it had."""

        async def once() -> Json | None:
            route = await self.target.cluster.read("HTTPRoute", self.target.route)
            await owned(self.target, mark)
            if route is None:
                return None
            rules = without_canary(route, stable=self.target.service, canary=self.target.canary)
            if rules == route["spec"]["rules"]:
                return None
            return await _write_rules(self.target, route, rules, {GENERATION: str(mark["generation"]), WEIGHT: None})

        route = await until_unchanged(once)
        if route is not None:
            await _in_force(self.target, route)

    async def _route(self) -> Json:
        found = await self.target.cluster.read("HTTPRoute", self.target.route)
        if found is None:
            mend = "Apply it again; nothing else was touched"
            raise Missing(f"the HTTPRoute {self.target.route} is not there in {self.target.cluster.namespace}. {mend}")
        return found


@dataclass(frozen=True)
class Switch:
    """The Service's selector: everything, or nothing, in one write; the way of blue-green."""

    target: Target

    async def read(self) -> int:
        """Read whom the Service selects."""
        return ALL if is_switched(await service_of(self.target)) else 0

    def labels(self, workload: Json, service: Json) -> dict[str, str]:
        """Stand apart from the Service, which selects the canary only once it is switched."""
        return labels_apart(self.target, workload, service)

    def pods(self, percent: int, stable: int) -> int:
        """Bring a full revision from the beginning."""
        del percent
        return max(1, stable)

    async def attach(self, mark: Mark, service: Json) -> None:
        """Make a Service for the preview."""
        await make_service(self.target, service, mark)

    async def set(self, percent: int, mark: Mark) -> None:
        """Let the Service select the other pods."""
        if percent not in {0, ALL}:
            mend = "Write one step of 100 in production.steps, or use the strategy canary"
            raise BadInput(f"a switch sends everything or nothing, not {percent} %", field="percent", mend=mend)
        await select(self.target, mark, switched=percent == ALL)

    async def detach(self, mark: Mark) -> None:
        """Let the Service select what it selected before."""
        await select(self.target, mark, switched=False)


@dataclass(frozen=True)
class Pods:
    """The number of pods behind one Service: shares as exact as whole pods allow, and a switch of the Service at the end.

    The canary's pods come up with labels that the Service does not select, and join it one by one by a change of these labels, which their
    own Deployment does not look at. They leave it in the same way, so that none ends while requests may reach it.
    """

    target: Target

    async def read(self) -> int:
        """Read the share that was asked for last, where pods have joined; they give it as nearly as whole pods can."""
        service = await service_of(self.target)
        if is_switched(service):
            return ALL
        beside = await self.target.cluster.read("Deployment", self.target.canary)
        joined = [pod for pod in await self._pods() if matches({"matchLabels": service_selector(service)}, pod["metadata"]["labels"])]
        return int((beside["metadata"].get("annotations") or {}).get(SHARE, 0)) if beside and joined else 0

    def labels(self, workload: Json, service: Json) -> dict[str, str]:
        """Stand apart from the Service until they join it."""
        return labels_apart(self.target, workload, service)

    def pods(self, percent: int, stable: int) -> int:
        """Give the share among all pods as nearly as whole pods can; stable ones stay as many as they are."""
        if percent == ALL:
            return max(1, stable)
        if percent > MOST_BY_PODS:
            mend = f"Use steps up to {MOST_BY_PODS} and then 100, or name a route, whose weights need no pods"
            raise BadInput(f"{percent} % by pods takes too many of them", field="percent", mend=mend)
        return max(1, round(stable * percent / (ALL - percent)))

    async def attach(self, mark: Mark, service: Json) -> None:
        """Do nothing: the pods join one by one."""

    async def set(self, percent: int, mark: Mark) -> None:
        """Let as many pods join the Service as the share needs; at the end switch it, so that the baseline stays warm without requests."""
        service, workload, beside = await service_of(self.target), await self.target.read(), await self._beside()
        joining = self.pods(percent, int(workload["spec"].get("replicas", 1))) if percent else 0
        inside = service_selector(service)
        outside = {name: beside["spec"]["template"]["metadata"]["labels"].get(name) for name in inside}
        if percent < ALL:
            await select(self.target, mark, switched=False)
        for number, pod in enumerate(
            sorted(await self._pods(), key=lambda pod: (not _is_ready(pod), pod["metadata"]["creationTimestamp"]))
        ):
            await _relabel(self.target, pod["metadata"]["name"], inside if number < joining else outside, mark)
        if percent == ALL:
            await select(self.target, mark, switched=True)

    async def detach(self, mark: Mark) -> None:
        """Let the Service select what it selected before."""
        await select(self.target, mark, switched=False)

    async def _beside(self) -> Json:
        found = await self.target.cluster.read("Deployment", self.target.canary)
        if found is None:
            raise Missing(f"the Deployment {self.target.canary} is gone; somebody else changed the environment")
        return found

    async def _pods(self) -> list[Json]:
        found = await self.target.cluster.list("Pod", labels=in_words({"matchLabels": self.target.canary_selector}))
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def _is_ready(pod: Json) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in (pod.get("status") or {}).get("conditions") or [])


async def _relabel(target: Target, name: str, wanted: Mapping[str, str | None], mark: Mark) -> None:
    """Give a pod these labels; None takes one away, and a pod that is gone needs none."""

    async def once() -> None:
        pod = await target.cluster.read("Pod", name)
        await owned(target, mark)
        if pod is None:
            return
        labels = pod["metadata"].get("labels") or {}
        merged = {key: value for key, value in {**labels, **wanted}.items() if value is not None}
        if merged != labels:
            await change(target, "Pod", pod, [{"op": "replace", "path": "/metadata/labels", "value": merged}])

    await until_unchanged(once)


def labels_apart(target: Target, workload: Json, service: Json) -> dict[str, str]:
    """Make labels that neither the workload nor the Service selects."""
    labels = workload["spec"]["template"]["metadata"].get("labels") or {}
    changed = apart(labels, [workload["spec"]["selector"], {"matchLabels": service_selector(service)}])
    return {**changed, **target.canary_selector}


def service_selector(service: Json) -> dict[str, str]:
    """Give a Service's own selector, also where it is switched to the canary."""
    selector = dict(service["spec"]["selector"])
    remembered = (service["metadata"].get("annotations") or {}).get(SELECTOR, "")
    return dict(part.split("=", 1) for part in remembered.split(",")) if remembered and REVISION_LABEL in selector else selector


def is_switched(service: Json) -> bool:
    """Say whether a Service selects the canary."""
    return REVISION_LABEL in service["spec"]["selector"]


async def select(target: Target, mark: Mark, *, switched: bool) -> None:
    """Let the Service select the canary's pods, or those that it selected before; the endpoints follow within moments."""

    async def once() -> None:
        service = await service_of(target)
        await owned(target, mark)
        if is_switched(service) == switched:
            return
        own = service_selector(service)
        wanted = target.canary_selector if switched else own
        notes = {
            GENERATION: str(mark["generation"]),
            SELECTOR: ",".join(f"{key}={value}" for key, value in own.items()) if switched else None,
        }
        await note(target, "Service", service, notes, [{"op": "replace", "path": "/spec/selector", "value": wanted}])

    await until_unchanged(once)


async def make_service(target: Target, service: Json, mark: Mark) -> None:
    """Make the Service of the canary, with the ports of the stable one."""
    ports = [
        {key: port[key] for key in ("name", "port", "targetPort", "protocol", "appProtocol") if key in port}
        for port in service["spec"]["ports"]
    ]
    annotations = {FOR: target.workload, GENERATION: str(mark["generation"])}
    metadata = {"name": target.canary, "namespace": target.cluster.namespace, "labels": OURS, "annotations": annotations}
    await owned(target, mark)
    spec = {"selector": target.canary_selector, "ports": ports}
    await apply(target, "Service", {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


async def _write_rules(target: Target, route: Json, rules: list[Json], notes: dict[str, str | None]) -> Json:
    return await note(target, "HTTPRoute", route, notes, [{"op": "replace", "path": "/spec/rules", "value": rules}])


async def _in_force(target: Target, route: Json) -> None:
    """Wait until the gateways have looked at the route as it is.

    Raises:
        RolloutFailed: One of them refuses it.
        WorldMoved: It was deleted.
    """
    if faults_of(route) == []:
        return
    name = route["metadata"]["name"]

    def decide(seen: Seen) -> list[str] | None:
        found = seen["route"].get(name)
        if found is None:
            raise WorldMoved(f"the HTTPRoute {name} was deleted while it was waited for; somebody else changes the environment")
        return faults_of(found)

    try:
        faults = await watch_until(
            target.cluster, [Source("route", "HTTPRoute", fields=f"metadata.name={name}")], decide, timeout_seconds=ROUTE_SECONDS
        )
    except TimeoutError:
        faults = [f"no gateway has looked at it within {ROUTE_SECONDS:g} s"]
    if faults:
        raise RolloutFailed(f"the HTTPRoute {name} is not in force: {'; '.join(faults)}", evidence=tuple(faults))


async def drain(target: Target) -> None:
    """Let requests in flight end before their pods go."""
    await asyncio.sleep(target.drain_seconds)
