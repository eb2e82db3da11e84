"""Prescale: stable pods for a rollback; an autoscaler removes them while the canary has the traffic, which returns at once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable
from typing import Any

from blocks.errors import RolloutFailed
from blocks.kubernetes.observe.drift import is_autoscaled
from blocks.kubernetes.strategies.canary import noted_pods
from blocks.kubernetes.workload import Target, canary_of, change, owned, until_unchanged
from blocks.platform import Lease

Json = dict[str, Any]
ALL = 100


async def prescale(target: Target, lease: Lease, *, percent: int, await_stable: Callable[[Json], Awaitable[None]]) -> None:
    """Scale the stable workload up once to what it had, if an autoscaler left it fewer pods than the returning traffic needs.

    Args:
        target: The workload.
        lease: Our lease.
        percent: The canary's share, which returns.
        await_stable: Waits until the workload is rolled out.

    Raises:
        RolloutFailed: No pod of it is available in the end, so that shifted requests would all fail.
    """
    before = noted_pods(await canary_of(target))
    needed = math.ceil(before * percent / ALL)
    workload = await target.read()
    if needed == 0 or _available(workload) >= needed:
        return
    await until_unchanged(lambda: _raise(target, lease, before))
    workload = await target.read()
    if _available(workload) >= needed or (_available(workload) and int(workload["spec"].get("replicas", 1)) < needed):
        return  # a person wants fewer
    with contextlib.suppress(RolloutFailed):
        await await_stable(workload)
    if not _available(await target.read()):
        wrong = f"no pod of {target.title} is available, so the requests stay with the canary"
        raise RolloutFailed(f"{wrong}. Check why with `kubectl describe`, then roll back again")


async def _raise(target: Target, lease: Lease, pods: int) -> None:
    workload, _ = await owned(target, lease)
    present = int(workload["spec"].get("replicas", 1))
    if present < pods and (present == 0 or is_autoscaled(workload)):
        await change(target, target.kind, workload, [{"op": "add", "path": "/spec/replicas", "value": pods}])


def _available(workload: Json) -> int:
    return int((workload.get("status") or {}).get("availableReplicas", 0))
