"""After a deployment: is the service well, what do its metrics, data and logs say; and document it."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import State, flow

from blocks.platform import Position
from flows.lifecycle.context import Phase, begin_phase, conclude, platform_of
from flows.rollout.data import judge_data, samples_of
from flows.rollout.log_check import check_logs
from tasks.analysis.watch import read_counts
from tasks.lifecycle.retries import named, retried
from tasks.process.concurrency import together
from tasks.rollout.rollout import look_at
from tasks.rules.lifecycle.results import PhaseResult, passed, worst_of
from tasks.rules.plan.credentials import receiver_in
from tasks.rules.plan.request import PlanPath, Scope, Version
from tasks.rules.plan.targets import production_of, within
from tasks.rules.record.view import POST_DEPLOY
from tasks.verification.health import probe_health


@flow(name="post_deploy", flow_run_name="post-deploy {version}", persist_result=True, result_serializer="json")
async def post_deploy(plan: PlanPath, version: Version, release: Scope = "") -> PhaseResult | State[Any]:
    """Look at the deployed version as users reach it: health, metrics, data, and error lines that the baseline never logged.

    Args:
        plan: Path of the plan file.
        version: The deployed version.
        release: Leave empty; a release fills it in.
    """
    phase = await begin_phase(plan, scope=release)
    places = [place.environment for place in production_of(phase.plan)]
    data, *found = await asyncio.gather(
        judge_data(phase, "post_deploy", samples=await samples_of(phase) if release else []),
        *(_probe(phase, version, environment) for environment in places),
    )
    looked = await together(*(_look(phase, version, name, *one) for name, one in zip(places, found, strict=True)))
    whole = worst_of([*data, *(one for checks in looked for one in checks)])
    evidence = {"outcome": whole.outcome}
    await phase.append("Looked at the deployment", kind="verdict", name=POST_DEPLOY, why=whole.reason, evidence=evidence)
    where = within(places[0]) and f" in {', '.join(places)}"
    return conclude(passed(f"{version} serves{where}; {whole.reason}") if whole.passed else whole, scope=release)


async def _probe(phase: Phase, version: str, environment: str) -> tuple[Position, Any]:
    """Ask for the health of the public address of one environment of production; gives its position, too."""
    position, endpoints = await retried(look_at)(await platform_of(phase.plan, environment))
    return position, await named(probe_health, f"check {environment}")(
        endpoints["public"], verification=phase.plan.verification, version=version, receiver=receiver_in(phase.plan, environment)
    )


async def _look(phase: Phase, version: str, environment: str, position: Position, health: Any) -> list[PhaseResult]:
    """Record what health, metrics and logs say in one environment of production; gives what decides."""
    platform = await platform_of(phase.plan, environment)
    where = within(environment)
    await phase.append(
        f"Health of the service after the deployment{where}",
        kind="health",
        environment=environment,
        name=POST_DEPLOY,
        why=str(health["reason"]),
        evidence=health,
    )
    counts = (await retried(read_counts)(platform)).get(version)
    await phase.append(
        f"Metrics of {version} since it runs{where}",
        kind="metrics",
        environment=environment,
        name=POST_DEPLOY,
        why=f"{counts['errors']} of {counts['requests']} requests failed" if counts else "no request yet",
        evidence=dict(counts or {}),
    )
    logs = await check_logs(phase, version, platform, environment=environment, previous=position["previous"], name=POST_DEPLOY)
    return [one.at(environment if where else "") for one in (PhaseResult.of(health), logs)]
