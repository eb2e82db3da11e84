"""Canary by pods: traffic is split by how many of the canary's pods the one Service selects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blocks.errors import BadInput
from blocks.kubernetes.api.errors import Missing
from blocks.kubernetes.objects.annotations import number_in
from blocks.kubernetes.objects.diagnosis import is_ready
from blocks.kubernetes.objects.selectors import in_words, matches
from blocks.kubernetes.routing.switch import select
from blocks.kubernetes.routing.traffic import ALL, SHARE, is_switched, labels_apart, service_of, service_selector
from blocks.kubernetes.workload import Target, change, owned, until_unchanged
from blocks.platform import Lease

Json = dict[str, Any]
MOST_BY_PODS = 80


@dataclass(frozen=True)
class Pods:
    """The number of pods behind one Service: shares as exact as whole pods allow, and a switch of the Service at the end.

    The canary's pods start with labels that the Service does not select, and join it one by one by a change of these labels, which their
    own Deployment ignores. They leave it likewise, so that none is deleted while requests may reach it.
    """

    target: Target

    async def read(self) -> int:
        """Read the share that was requested last, if pods have joined; whole pods give it only approximately."""
        service = await service_of(self.target)
        if is_switched(service):
            return ALL
        beside = await self.target.cluster.read("Deployment", self.target.canary)
        joined = [pod for pod in await self._pods() if matches({"matchLabels": service_selector(service)}, pod["metadata"]["labels"])]
        return (number_in(beside, SHARE, most=ALL) or 0) if joined else 0

    def labels(self, workload: Json, service: Json) -> dict[str, str]:
        """Return labels that the Service does not select, until the pods join it."""
        return labels_apart(self.target, workload, service)

    def pods(self, percent: int, stable: int) -> int:
        """Return how many pods give the share approximately; the stable pods are not scaled."""
        if percent == ALL:
            return max(1, stable)
        if percent > MOST_BY_PODS:
            fix = f"Use steps up to {MOST_BY_PODS} and then 100, or name a route, whose weights need no pods"
            raise BadInput(f"{percent} % by pods needs too many pods", field="percent", fix=fix)
        return max(1, round(stable * percent / (ALL - percent)))

    async def attach(self, lease: Lease, service: Json) -> None:
        """Do nothing: the pods join one by one."""

    async def set(self, percent: int, lease: Lease) -> None:
        """Let as many pods join the Service as the share needs; at 100 switch it, so that the baseline stays warm without requests."""
        service, workload, beside = await service_of(self.target), await self.target.read(), await self._beside()
        joining = self.pods(percent, int(workload["spec"].get("replicas", 1))) if percent else 0
        inside = service_selector(service)
        outside = {name: beside["spec"]["template"]["metadata"]["labels"].get(name) for name in inside}
        if percent < ALL:
            await select(self.target, lease, switched=False)
        for number, pod in enumerate(sorted(await self._pods(), key=lambda pod: (not is_ready(pod), pod["metadata"]["creationTimestamp"]))):
            await _relabel(self.target, pod["metadata"]["name"], inside if number < joining else outside, lease)
        if percent == ALL:
            await select(self.target, lease, switched=True)

    async def detach(self, lease: Lease) -> None:
        """Restore the Service's selector."""
        await select(self.target, lease, switched=False)

    async def _beside(self) -> Json:
        found = await self.target.cluster.read("Deployment", self.target.canary)
        if found is None:
            raise Missing(f"the Deployment {self.target.canary} does not exist any more; something else changed the environment")
        return found

    async def _pods(self) -> list[Json]:
        found = await self.target.cluster.list("Pod", labels=in_words({"matchLabels": self.target.canary_selector}))
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


async def _relabel(target: Target, name: str, wanted: Mapping[str, str | None], lease: Lease) -> None:
    """Set labels of a pod; None removes one, and a deleted pod needs none."""

    async def once() -> None:
        pod = await target.cluster.read("Pod", name)
        await owned(target, lease)
        if pod is None:
            return
        labels = pod["metadata"].get("labels") or {}
        merged = {key: value for key, value in {**labels, **wanted}.items() if value is not None}
        if merged != labels:
            await change(target, "Pod", pod, [{"op": "replace", "path": "/metadata/labels", "value": merged}])

    await until_unchanged(once)
