"""Bring a version to staging."""

from __future__ import annotations

from typing import Any

from prefect import State, flow

from flows.lifecycle.context import Phase, Result, acquire_lease_forward, begin_phase, passed, platform_of, result
from flows.lifecycle.finalize import end_watch
from flows.lifecycle.frame import conduct, send_back
from flows.rollout.data import expect_data
from flows.rollout.migrations import migrate
from flows.verify import verify
from tasks.rollout.rollout import prepare_revision, promote_revision, shift_traffic
from tasks.rules.plan.request import PlanPath, Reason, Scope, Version


@flow(
    name="staging",
    flow_run_name="staging {version}",
    persist_result=True,
    result_serializer="json",
    on_cancellation=[send_back],
    on_completion=[end_watch],
    on_failure=[end_watch],
)
async def staging(plan: PlanPath, version: Version, reason: Reason = "staging alone", release: Scope = "") -> Result | State[Result]:
    """Deploy a version to staging; alone, verify it there too and go back where it fails.

    Args:
        plan: Path of the plan file.
        version: The version to bring to staging.
        reason: Why, for the record.
        release: Leave empty; a release fills it in.
    """
    if release:
        return await bring_to_staging(await begin_phase(plan, scope=release), version=version)
    return await conduct("staging", plan=plan, version=version, reason=reason, requester="", course=_alone)


async def bring_to_staging(phase: Phase, *, version: str) -> Result:
    """Prepare the version, send all traffic to it, and retire the former one."""
    await expect_data(phase, "staging")
    platform = await platform_of(phase.plan, "staging")
    lease = await acquire_lease_forward(phase, platform)
    await migrate(phase, platform, environment="staging", when="before", version=version, lease=lease)
    before = await prepare_revision(
        platform, version=version, lease=lease, timeout_seconds=phase.plan.staging.ready_timeout_seconds, key=phase.key("staging/prepare")
    )
    await shift_traffic(platform, version=version, percent=100, lease=lease, key=phase.key("staging/shift"))
    after = await promote_revision(platform, version=version, lease=lease, key=phase.key("staging/promote"))
    await migrate(phase, platform, environment="staging", when="after", version=version, lease=lease)
    await phase.append(
        f"Staging runs {version}",
        kind="effect",
        environment="staging",
        name="promote",
        why=f"it ran {before['baseline'] or 'nothing'} before",
        evidence={"before": dict(before), "after": dict(after)},
    )
    return result("passed", f"staging runs {version}")


async def _alone(phase: Phase, version: str) -> Result:
    found = await bring_to_staging(phase, version=version)
    if not passed(found):
        return found
    looked: Any = await verify(phase.path, environment="staging", version=version, release=phase.scope)
    return dict(looked)
