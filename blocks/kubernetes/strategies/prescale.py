"""Prescale: stable pods for a rollback; an autoscaler removes them while the canary has the traffic, which returns at once.

It helps the traffic to return and never keeps it: if that is refused or late, the requests return to the stable pods that are available.
"""

from __future__ import annotations

import math
from typing import Any

from blocks.errors import BadInput, RolloutFailed, Temporary
from blocks.kubernetes.objects.diagnosis import available
from blocks.kubernetes.observe.drift import is_autoscaled
from blocks.kubernetes.rollout import await_available
from blocks.kubernetes.snapshot import is_available
from blocks.kubernetes.strategies.canary import stable_before
from blocks.kubernetes.workload import Target, canary_of, change, owned, until_unchanged
from blocks.platform import Lease

Json = dict[str, Any]
ALL = 100
ENOUGH_SECONDS = 30.0


async def prescale(target: Target, lease: Lease, *, percent: int, waits: bool = True) -> None:
    """Scale the stable workload up once to what it had, if an autoscaler left it fewer pods than the returning traffic needs.

    Args:
        target: The workload.
        lease: Our lease.
        percent: The canary's share, which returns.
        waits: Whether to wait for the pods, and to expect one.

    Raises:
        RolloutFailed: No pod of it is available in the end, so that shifted requests would all fail.
    """
    workload, canary = await target.read(), await canary_of(target)
    before = stable_before(canary, workload, percent=percent)
    needed = math.ceil(before * percent / ALL)
    replicas = int(workload["spec"].get("replicas", 1))
    if needed == 0 or available(workload) >= needed or (replicas >= needed and is_available(workload)):
        return
    refusal = await _raise(target, lease, before)
    if not waits:
        return
    coming = min(needed, int((await target.read())["spec"].get("replicas", 1)))  # a person may want fewer, and a refusal leaves fewer
    refusal = await _await(target, lease, pods=coming) or refusal
    if not available(await target.read()):
        wrong = f"no pod of {target.title} is available, so the requests stay with the canary"
        raise RolloutFailed(f"{wrong}{refusal and f' ({refusal})'}. Check why with `kubectl describe`, then roll back again")


async def _raise(target: Target, lease: Lease, pods: int) -> str:
    """Scale up, and return why that was refused: by admission, a quota, a missing right, or others who write all the time."""

    async def once() -> None:
        workload, _ = await owned(target, lease)
        present = int(workload["spec"].get("replicas", 1))
        if present < pods and (present == 0 or is_autoscaled(workload)):
            await change(target, target.kind, workload, [{"op": "add", "path": "/spec/replicas", "value": pods}])

    try:
        await until_unchanged(once)
    except (RolloutFailed, BadInput, Temporary) as error:
        return str(error)
    return ""


async def _await(target: Target, lease: Lease, *, pods: int) -> str:
    """Wait for pods a moment, or for a first one as long as a rollout may take; returns why they cannot be watched."""
    if pods == 0:
        return ""
    try:
        enough = await await_available(target, lease, pods=pods, timeout_seconds=min(ENOUGH_SECONDS, target.rollout_seconds))
        if not enough and not available(await target.read()):
            await await_available(target, lease, pods=1, timeout_seconds=target.rollout_seconds)
    except (RolloutFailed, BadInput, Temporary) as error:
        return str(error)
    return ""
