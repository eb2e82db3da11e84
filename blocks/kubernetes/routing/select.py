"""Traffic split selection, and how every kind of split is undone: a block may have been changed since a release died."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from blocks.errors import BadInput, RolloutFailed, WorldMoved
from blocks.kubernetes.routing.pods import Pods
from blocks.kubernetes.routing.switch import Switch
from blocks.kubernetes.routing.traffic import Traffic, drain
from blocks.kubernetes.routing.weights import Weights
from blocks.kubernetes.workload import Target, canary_of, remove
from blocks.platform import Lease

Move = Callable[[], Awaitable[None]]


def traffic_of(target: Target, strategy: str) -> Traffic:
    """Choose how traffic is split."""
    if strategy == "blue-green":
        return Switch(target)
    return Weights(target) if target.route else Pods(target)


async def shift_back(target: Target, traffic: Traffic, lease: Lease) -> str:
    """Shift the requests back to the baseline as far as possible, and return what went wrong, or "": the canary must go anyway."""
    stands = await canary_of(target) is not None
    trouble = await _tried([*([partial(traffic.set, 0, lease)] if stands else []), partial(traffic.detach, lease)])
    await undo_other_strategies(target, traffic, lease, stands=stands)
    return trouble


async def undo_other_strategies(target: Target, traffic: Traffic, lease: Lease, *, stands: bool) -> None:
    """Undo what another strategy left; if its Service or route does not exist, there is nothing to undo."""
    ways: list[Traffic] = [*([Weights(target)] if target.route else []), Pods(target)]
    for way in ways:
        if type(way) is not type(traffic):
            await _tried([*([partial(_send_nothing, way, lease)] if stands else []), partial(way.detach, lease)])


async def _send_nothing(way: Traffic, lease: Lease) -> None:
    if await way.read():
        await way.set(0, lease)


async def _tried(moves: list[Move]) -> str:
    trouble = ""
    for move in moves:
        try:
            await move()
        except (BadInput, RolloutFailed, WorldMoved) as error:
            trouble = str(error)
    return trouble


async def remove_canary(target: Target, lease: Lease) -> None:
    """Remove what is ours once the requests in flight have ended."""
    await drain(target)
    await remove(target, "Deployment", target.canary, lease)
    await remove(target, "Service", target.canary, lease)
