"""Verify a canary at its private address, past the traffic split: before its first request, and at the end of its steps."""

from __future__ import annotations

from typing import Any

from blocks.platform import Endpoints, Lease, Platform, Position
from flows.lifecycle.context import Phase
from flows.rollout.stop import stop_requests
from tasks.lifecycle.retries import named, retried
from tasks.process.concurrency import together
from tasks.rollout.rollout import is_in_place, look_at
from tasks.rules.lifecycle.results import checks_passed
from tasks.rules.plan.credentials import receiver_in
from tasks.rules.plan.targets import within
from tasks.rules.rollout.steps import VERIFIED, PlannedStep, smoke_in, verification_at
from tasks.rules.verification.performance import Baseline
from tasks.verification.health import probe_health
from tasks.verification.smoke import run_smoke_tests


async def canary_fault(phase: Phase, platform: Platform, version: str, *, environment: str, percent: int, lease: Lease) -> str:
    """Make the checks that the list of steps has at this share of the traffic; once their verdict is in the record they are not made again.

    Args:
        phase: The release and its round.
        platform: The environment's platform.
        version: The canary's version.
        environment: The environment.
        percent: 0 before the canary's first request, else the share of the step that ends.
        lease: Under which its requests are stopped if it is not well.

    Returns:
        Why the canary is not well; then it gets no more requests. "" if it is well, or nothing is to be checked here.
    """
    planned = verification_at(phase.plan, environment, percent)
    if planned is None or await _has_no_canary(phase, platform, environment=environment, percent=percent):
        return ""
    at = f"at {percent} %{within(environment)}" if percent else f"before its first request{within(environment)}"
    known = await phase.read("verdict", environment=environment, step=percent, name=VERIFIED)
    if known is not None:
        return "" if known.evidence["outcome"] == "passed" else f"{version} {at}: {known.why}"
    recorded = await phase.read("effect", environment=environment, step=percent, name="stop")
    position, endpoints = await retried(look_at)(platform)
    stopped = recorded.why if recorded else was_stopped(position, version, percent)
    # Without requests, what was found ill may look well.
    found = [] if stopped else await _check(phase, version, planned, position=position, endpoints=endpoints)
    fault = stopped or "; ".join(f"{one['name']}: {one['reason']}" for one in found if one["outcome"] != "passed")
    if fault and percent and not recorded:  # first stop the harm, then write about it
        await stop_requests(phase, platform, version, environment=environment, percent=percent, lease=lease, why=fault)
    await _record(phase, version, planned, found)
    outcome, why = ("failed", fault) if fault else ("passed", checks_passed(len(found)))
    await phase.append(
        f"Verified {version} {at}",
        kind="verdict",
        environment=environment,
        step=percent,
        name=VERIFIED,
        why=why,
        evidence={"outcome": outcome},
    )
    return fault and f"{version} {at}: {fault}"


async def _has_no_canary(phase: Phase, platform: Platform, *, environment: str, percent: int) -> bool:
    """Say whether the platform's own strategy starts nothing of a version before its first step, which the plan does not tell."""
    if percent or not is_in_place(platform):
        return False
    what = f"Nothing can be verified before the first step in {environment}"
    why = "the platform replaces the version that runs, and starts nothing of the new one before its first step"
    await phase.append(what, kind="note", environment=environment, step=percent, name=VERIFIED, why=why)
    return True


def was_stopped(position: Position, version: str, percent: int) -> str:
    """Say that a canary lost the share of its step, or "": a run that dies between the stop and its entry leaves only that."""
    if not percent or position["canary"] != version or position["percent"] == percent:
        return ""
    return (
        f"it gets {position['percent']} % of the requests, not {percent} %: a check failed and its requests were stopped before the run "
        "was interrupted, or they were moved from outside"
    )


async def _check(phase: Phase, version: str, planned: PlannedStep, *, position: Position, endpoints: Endpoints) -> list[dict[str, Any]]:
    """Ask for health and run the smoke tests side by side; each finding has `name`, `outcome` and `reason`."""
    target = _address(position, endpoints, version)
    if not target:
        runs = f"{position['canary'] or 'nothing'} is the canary"
        return [{"name": "address", "outcome": "failed", "reason": f"{version} has no private address; {runs}"}]
    verification = phase.plan.verification.model_copy(update={"smoke": smoke_in(phase.plan, planned.checks)})
    serving, url = position["baseline"], endpoints.get("baseline", "")
    baseline = Baseline(serving, url) if serving and url and serving != version else None

    receiver = receiver_in(phase.plan, planned.environment)
    check = named(probe_health, f"{f'{planned.percent} %: ' if planned.percent else ''}check the canary{within(planned.environment)}")

    async def health() -> list[dict[str, Any]]:
        if "health" not in planned.checks:
            return []
        return [{"name": "health", **await check(target, verification=verification, version=version, receiver=receiver)}]

    well, smoke = await together(
        health(),
        run_smoke_tests(verification, folder=phase.folder, target=target, version=version, baseline=baseline, receiver=receiver),
    )
    return [*well, *smoke]


def _address(position: Position, endpoints: Endpoints, version: str) -> str:
    """Name the address of the canary alone; a version that serves already is reached as the baseline. "" if there is none."""
    if position["canary"] == version:
        return endpoints.get("canary", "")
    return endpoints.get("baseline", endpoints["public"]) if position["baseline"] == version else ""


async def _record(phase: Phase, version: str, planned: PlannedStep, found: list[dict[str, Any]]) -> None:
    """Record what each check found."""
    for one in found:
        is_smoke = "kind" in one
        title = f"Smoke test {one['name']}" if is_smoke else str(one["name"]).capitalize()
        await phase.append(
            f"{title} of the canary {version}{within(planned.environment)}",
            kind="smoke" if is_smoke else "health",
            environment=planned.environment,
            step=planned.percent,
            name=f"{version} {one['name']}" if is_smoke else version,
            why=str(one["reason"]),
            evidence=one,
        )
