"""Verify a version where it runs: health, smoke tests, functionality, its data, error monitoring."""

from __future__ import annotations

from typing import Any, cast

from prefect import State, flow

from blocks.platform import Counts, Endpoints, Position
from flows.lifecycle.context import Phase, Result, begin_phase, conclude, platform_of, result
from flows.rollout.data import judge_data
from tasks.analysis.watch import read_counts
from tasks.lifecycle.policy import quietly
from tasks.process.concurrency import together
from tasks.rollout.rollout import look_at
from tasks.rules.analysis.summary import worst_of
from tasks.rules.plan.request import AnyVersion, EnvironmentName, PlanPath, Scope
from tasks.rules.plan.targets import chosen, is_production
from tasks.rules.plan.version import version_fault
from tasks.rules.verification.performance import Baseline
from tasks.verification.health import probe_health
from tasks.verification.smoke import run_smoke_tests


@flow(name="verify", flow_run_name="verify {environment} {version}", persist_result=True, result_serializer="json")
async def verify(
    plan: PlanPath, environment: EnvironmentName = "production", version: AnyVersion = "", release: Scope = ""
) -> Result | State[Any]:
    """Verify a version in an environment, past the traffic split where it is a canary.

    Args:
        plan: Path of the plan file.
        environment: Where; `production` means each of the plan's targets.
        version: The version that must answer; empty takes what serves.
        release: Leave empty; a release fills it in.
    """
    phase = await begin_phase(plan, scope=release)
    places = [place.environment for place in chosen(phase.plan, environment)]
    several = len(places) > 1
    found = dict(zip(places, await together(*(verify_in(phase, name, version, quiet=several) for name in places)), strict=True))
    whole = next(iter(found.values()))
    if len(found) > 1:
        whole = result(*worst_of([{**one, "reason": f"{name}: {one['reason']}"} for name, one in found.items()]))
    return conclude(whole, scope=release)


async def verified(phase: Phase, version: str, *, environment: str, beside: bool) -> Result:
    """Verify a version in one environment, for a release or a rollback, in a child run where that can be.

    Args:
        phase: Whose it is.
        version: The version that must answer.
        environment: Where.
        beside: Whether others go at the same time: Prefect knows a child by its place among its siblings, which is not the same in every
            attempt where several act side by side, and would give one the result of another.

    A version of a name that only its platform knows is no parameter of a child run, and is verified without one.
    """
    if beside or version_fault(version):
        told = await phase.read("verdict", environment=environment, name=version)  # remembered, as a child's result is
        return result(told.evidence["outcome"], told.why) if told else await verify_in(phase, environment, version, quiet=True)
    found: Any = await verify(phase.path, environment=environment, version=version, release=phase.scope)
    return dict(found)


async def verify_in(phase: Phase, environment: str, version: str, *, quiet: bool) -> Result:
    """Verify a version in one environment; `quiet` where others are at the same time."""
    platform = await platform_of(phase.plan, environment)
    position, endpoints = await quietly(look_at, when=quiet)(platform)
    version = version or position["baseline"] or ""
    target, beside = _target(position, endpoints, version), _beside(position, endpoints, version)
    if not target:
        return await _conclude(
            phase, environment, version, [result("failed", f"{environment} runs {position['baseline']}, not {version or 'anything'}")]
        )
    health, smoke, data = await together(
        quietly(probe_health, when=quiet)(target, verification=phase.plan.verification, version=version),
        run_smoke_tests(phase.plan.verification, folder=phase.folder, target=target, version=version, baseline=beside),
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
    errors = _monitored(await quietly(read_counts, when=quiet)(platform), version, limit=phase.plan.verification.max_error_ratio)
    return await _conclude(phase, environment, version, [health, *smoke, *data, errors])


def _target(position: Position, endpoints: Endpoints, version: str) -> str:
    """Name the address of the revision that runs this version, or "" where none does."""
    if position["canary"] == version and version:
        return endpoints.get("canary", "")
    return endpoints.get("baseline", endpoints["public"]) if position["baseline"] == version and version else ""


def _beside(position: Position, endpoints: Endpoints, version: str) -> Baseline | None:
    """Name the version that serves while this one is verified as the canary; once it is promoted nothing runs beside it."""
    serving, address = position["baseline"], endpoints.get("baseline", "")
    return Baseline(serving, address) if position["canary"] == version and serving and address else None


def _monitored(counts: dict[str, Counts], version: str, *, limit: float) -> Result:
    """Judge the errors that a revision's real requests met so far; none made is none failed here, the watch asks for more."""
    found = counts.get(version)
    if found is None or found["requests"] == 0:
        return result("passed", "no request was routed to it yet")
    ratio = found["errors"] / found["requests"]
    reason = f"{found['errors']} of {found['requests']} requests failed, at most {limit:.2%} may"
    return result("passed" if ratio <= limit else "failed", reason)


async def _conclude(phase: Phase, environment: str, version: str, found: list[Any]) -> Result:
    outcome, reason = worst_of(cast("list[dict[str, str]]", found))
    await phase.append(
        f"Verified {version} in {environment}",
        kind="verdict",
        environment=environment,
        name=version,
        why=reason,
        evidence={"outcome": outcome},
    )
    return result(outcome, reason)
