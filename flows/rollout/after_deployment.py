"""What is looked at after a deployment, by post-deploy and for hours after it: health as users reach the service, and its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blocks.platform import Platform, Position
from flows.lifecycle.context import Phase
from tasks.lifecycle.retries import named, retried
from tasks.rollout.rollout import look_at
from tasks.rules.plan.credentials import receiver_in
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import within
from tasks.verification.health import probe_health


async def probe(plan: Plan, platform: Platform, version: str, *, environment: str) -> tuple[Position, dict[str, Any]]:
    """Ask for the health of the public address of one environment of production; gives its position, too."""
    position, endpoints = await retried(look_at)(platform)
    return position, await named(probe_health, f"check {environment}")(
        endpoints["public"], verification=plan.verification, version=version, receiver=receiver_in(plan, environment)
    )


async def append_health(phase: Phase, health: Mapping[str, Any], *, environment: str, name: str) -> None:
    """Record what health says in one environment of production."""
    what = f"Health of the service after the deployment{within(environment)}"
    await phase.append(what, kind="health", environment=environment, name=name, why=str(health["reason"]), evidence=dict(health))


async def append_counts(
    phase: Phase, counts: Mapping[str, Any] | None, version: str, *, environment: str, name: str, since: str = "it runs"
) -> None:
    """Record how many requests a version had in one environment of production since a moment, and how many of them failed."""
    why = f"{counts['errors']} of {counts['requests']} requests failed" if counts else "no request yet"
    what = f"Metrics of {version} since {since}{within(environment)}"
    await phase.append(what, kind="metrics", environment=environment, name=name, why=why, evidence=dict(counts or {}))
