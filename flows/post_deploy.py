"""After a deployment: is the service well, what do its metrics, data and logs say; and document it."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import State, flow

from blocks.platform import Position
from flows.lifecycle.context import Phase, begin_phase, conclude, platform_of
from flows.rollout.after_deployment import append_counts, append_health, probe
from flows.rollout.data import judge_data, samples_of
from flows.rollout.log_check import check_logs
from tasks.analysis.watch import read_counts
from tasks.lifecycle.retries import retried
from tasks.process.concurrency import together
from tasks.rules.lifecycle.results import PhaseResult, failed, passed, worst_of
from tasks.rules.plan.request import PlanPath, Scope, Version
from tasks.rules.plan.targets import production_of, within
from tasks.rules.record.view import POST_DEPLOY
from tasks.rules.rollout.version_name import is_alike


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
    return await probe(phase.plan, await platform_of(phase.plan, environment), version, environment=environment)


async def _look(phase: Phase, version: str, environment: str, position: Position, health: Any) -> list[PhaseResult]:
    """Record what health, metrics and logs say in one environment of production; gives what decides, also whether it serves there."""
    platform = await platform_of(phase.plan, environment)
    await append_health(phase, health, environment=environment, name=POST_DEPLOY)
    counts = (await retried(read_counts)(platform)).get(version)
    await append_counts(phase, counts, version, environment=environment, name=POST_DEPLOY)
    logs = await check_logs(phase, version, platform, environment=environment, previous=position["previous"], name=POST_DEPLOY)
    found = [PhaseResult.of(health), logs]
    if not is_alike(position["baseline"], version):
        found.insert(0, failed(f"{environment} runs {position['baseline'] or 'nothing'}, not {version}"))
    return [one.at(environment if within(environment) else "") for one in found]
