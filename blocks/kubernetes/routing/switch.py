"""Blue-green: one switch of the Service's selector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blocks.errors import BadInput, WorldMoved
from blocks.kubernetes.objects.annotations import GENERATION
from blocks.kubernetes.routing.traffic import (
    ALL,
    SELECTOR,
    is_switched,
    labels_apart,
    make_service,
    selects,
    service_of,
    service_selector,
)
from blocks.kubernetes.workload import Target, owned, until_unchanged
from blocks.kubernetes.write import note
from blocks.platform import Lease

Json = dict[str, Any]


@dataclass(frozen=True)
class Switch:
    """Blue-green split: all requests or none, by one write of the Service's selector."""

    target: Target

    async def read(self) -> int:
        """Read which revision the Service selects."""
        return ALL if is_switched(await service_of(self.target)) else 0

    def labels(self, workload: Json, service: Json) -> dict[str, str]:
        """Return labels that the Service does not select until it is switched."""
        return labels_apart(self.target, workload, service)

    def pods(self, percent: int, stable: int) -> int:
        """Return a full revision from the beginning."""
        del percent
        return max(1, stable)

    async def attach(self, lease: Lease, service: Json) -> None:
        """Create a Service for the preview."""
        await make_service(self.target, service, lease)

    async def set(self, percent: int, lease: Lease) -> None:
        """Switch the Service's selector to the other pods."""
        if percent not in {0, ALL}:
            fix = "Write one step of 100 in production.steps, or use the strategy canary"
            raise BadInput(f"a switch sends everything or nothing, not {percent} %", field="percent", fix=fix)
        await select(self.target, lease, switched=percent == ALL)

    async def detach(self, lease: Lease) -> None:
        """Restore the Service's selector."""
        await select(self.target, lease, switched=False)


async def select(target: Target, lease: Lease, *, switched: bool) -> None:
    """Let the Service select the canary's pods, or those that it selected before; the endpoints follow within moments.

    Raises:
        WorldMoved: The Service is another workload's, whose requests would go elsewhere; or a rollback finds that its own was changed.
    """

    async def once() -> None:
        service = await service_of(target)
        workload, state = await owned(target, lease)
        fits, is_here = selects(service, workload), target.canary_selector.items() <= service["spec"]["selector"].items()
        if is_here if switched else fits and not is_switched(service):
            return
        is_anothers = not is_here and (not fits or (switched and is_switched(service)))
        if is_anothers and not (state.rollback and switched):
            raise WorldMoved(f"the Service {target.service} {_selecting(service)}, and not the pods of {target.title}")
        # What was noted of our own switch was changed by others: it would send the requests elsewhere.
        own = service_selector(service) if fits else dict(workload["spec"]["selector"]["matchLabels"])
        wanted = target.canary_selector if switched else own
        notes = {
            GENERATION: str(lease["generation"]),
            SELECTOR: ",".join(f"{key}={value}" for key, value in own.items()) if switched else None,
        }
        await note(target, "Service", service, notes, [{"op": "replace", "path": "/spec/selector", "value": wanted}])

    await until_unchanged(once)


def _selecting(service: Json) -> str:
    return "selects " + ", ".join(f"{key}={value}" for key, value in sorted(service["spec"]["selector"].items()))
