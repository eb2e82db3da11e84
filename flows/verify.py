"""Verify a version where it runs: health, smoke tests, functionality, its data, error monitoring."""

from __future__ import annotations

from typing import Any

from prefect import State, flow

from blocks.platform import Counts, Endpoints, Position
from flows.lifecycle.context import Phase, begin_phase, conclude, platform_of
from flows.rollout.data import judge_data
from tasks.analysis.watch import read_counts
from tasks.lifecycle.retries import named, retried
from tasks.process.concurrency import together
from tasks.rollout.rollout import look_at
from tasks.rules.lifecycle.results import PhaseResult, failed, passed, unjudged, worst_of
from tasks.rules.plan.credentials import receiver_in
from tasks.rules.plan.request import AnyVersion, EnvironmentName, PlanPath, Scope
from tasks.rules.plan.targets import chosen, is_production
from tasks.rules.verification.performance import Baseline
from tasks.verification.health import probe_health
from tasks.verification.smoke import run_smoke_tests


@flow(name="verify", flow_run_name="verify {environment} {version}", persist_result=True, result_serializer="json")
async def verify(
    plan: PlanPath, environment: EnvironmentName = "production", version: AnyVersion = "", release: Scope = ""
) -> PhaseResult | State[Any]:
    """Verify a version in an environment, past the traffic split if it is a canary.

    Args:
        plan: Path of the plan file.
        environment: Where; `production` means each of the plan's targets.
        version: The version that must answer; empty takes what serves.
        release: Leave empty; a release fills it in.
    """
    phase = await begin_phase(plan, scope=release)
    places = [place.environment for place in chosen(phase.plan, environment)]
    found = await together(*(_verify_in(phase, name, version) for name in places))
    whole = worst_of([one.at(name) for name, one in zip(places, found, strict=True)]) if len(places) > 1 else found[0]
    return conclude(whole, scope=release)


async def verified(phase: Phase, version: str, *, environment: str) -> PhaseResult:
    """Verify a version in one environment, for a release or a rollback; once the verdict is in the record, it is not made again."""
    known = await phase.read("verdict", environment=environment, name=version)
    if known is not None:
        return PhaseResult(outcome=known.evidence["outcome"], reason=known.why)
    return await _verify_in(phase, environment, version)


async def _verify_in(phase: Phase, environment: str, version: str) -> PhaseResult:
    """Ask for health, run the smoke tests, judge the data and read the errors, and record the verdict."""
    platform = await platform_of(phase.plan, environment)
    position, endpoints = await retried(look_at)(platform)
    version = version or position["baseline"] or ""
    target, beside = _target(position, endpoints, version), _beside(position, endpoints, version)
    if not target:
        runs = f"{environment} runs {position['baseline']}, not {version or 'anything'}"
        return await _conclude(phase, environment, version, [failed(runs)])
    receiver = receiver_in(phase.plan, environment)
    health, smoke, data = await together(
        named(probe_health, f"check {environment}")(target, verification=phase.plan.verification, version=version, receiver=receiver),
        run_smoke_tests(phase.plan.verification, folder=phase.folder, target=target, version=version, baseline=beside, receiver=receiver),
        judge_data(phase, "production" if is_production(environment) else "staging", environment=environment),
    )
    await phase.append(
        f"Health of {version} in {environment}",
        kind="health",
        environment=environment,
        name=version,
        why=str(health["reason"]),
        evidence=health,
    )
    for found in smoke:
        await phase.append(
            f"Smoke test {found['name']} of {version} in {environment}",
            kind="smoke",
            environment=environment,
            name=f"{version} {found['name']}",
            why=str(found["reason"]),
            evidence=found,
        )
    errors = _monitored(await retried(read_counts)(platform), version, limit=phase.plan.verification.max_error_ratio)
    checks = [PhaseResult.of(found) for found in (health, *smoke)]
    return await _conclude(phase, environment, version, [*checks, *data, errors])


def _target(position: Position, endpoints: Endpoints, version: str) -> str:
    """Name the address of the revision that runs this version, or "" if none does."""
    if position["canary"] == version and version:
        return endpoints.get("canary", "")
    return endpoints.get("baseline", endpoints["public"]) if position["baseline"] == version and version else ""


def _beside(position: Position, endpoints: Endpoints, version: str) -> Baseline | None:
    """Name the version that serves while this one is verified as the canary; once it is promoted nothing runs beside it."""
    serving, address = position["baseline"], endpoints.get("baseline", "")
    return Baseline(serving, address) if position["canary"] == version and serving and address else None


def _monitored(counts: dict[str, Counts], version: str, *, limit: float) -> PhaseResult:
    """Judge the errors that a revision's real requests met so far; without one there is nothing to judge, the watch asks for more."""
    found = counts.get(version)
    if found is None or found["requests"] == 0:
        return unjudged("no request was routed to it yet")
    ratio = found["errors"] / found["requests"]
    reason = f"{found['errors']} of {found['requests']} requests failed, at most {limit:.2%} may"
    return passed(reason) if ratio <= limit else failed(reason)


async def _conclude(phase: Phase, environment: str, version: str, found: list[PhaseResult]) -> PhaseResult:
    whole = worst_of(found)
    await phase.append(
        f"Verified {version} in {environment}",
        kind="verdict",
        environment=environment,
        name=version,
        why=whole.reason,
        evidence={"outcome": whole.outcome},
    )
    return whole
