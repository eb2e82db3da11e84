"""Stop the requests to a canary that is not well: first stop the harm, then record it; the rollback does the rest."""

from __future__ import annotations

from blocks.platform import Lease, Platform
from flows.lifecycle.context import Phase
from tasks.lifecycle.retries import named
from tasks.rollout.rollout import shift_traffic
from tasks.rules.plan.targets import within


async def stop_requests(phase: Phase, platform: Platform, version: str, *, environment: str, percent: int, lease: Lease, why: str) -> None:
    """Give a canary no more requests, once for each share of the traffic.

    Args:
        phase: The release and its round.
        platform: The environment's platform.
        version: The canary's version.
        environment: The environment.
        percent: The share that it has now.
        lease: Our lease.
        why: Why.
    """
    stop = named(shift_traffic, f"{percent} %: stop{within(environment)}")
    await stop(platform, version=version, percent=0, lease=lease, key=phase.key(f"{environment}/step-{percent}/stop"))
    what = f"No more requests{within(environment)} go to {version}"
    await phase.append(what, kind="effect", environment=environment, step=percent, name="stop", why=why)
