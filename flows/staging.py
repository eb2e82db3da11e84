"""Roll a version out to staging."""

from __future__ import annotations

from typing import Any

from prefect import State, flow

from blocks.errors import ScriptFailed
from flows.approval.checklist import expect_ticked_before_staging
from flows.approval.failed_script import and_without, with_runs_allowed
from flows.lifecycle.acting import fix_settings, seen_in
from flows.lifecycle.context import Phase, begin_phase, expect_may_go_forward, expect_own_environments, informed, platform_of
from flows.lifecycle.finalize import end_watch
from flows.lifecycle.frame import conduct, roll_back_cancelled
from flows.lifecycle.windows import wait_while_frozen
from flows.rollout.data import expect_data
from flows.rollout.half_done import lease_for_release
from flows.rollout.held_step import Standing, wait_while_held
from flows.rollout.left import forget_what_was_left, note_release_begins
from flows.rollout.migrations import migrate, promoted_here
from flows.rollout.owning import own_what_was_changed
from flows.rollout.prepare import prepare
from flows.verify import verified
from tasks.approval.protection import keep_way
from tasks.evidence.acted_plans import keep_plan
from tasks.lifecycle.retries import named, retried
from tasks.rollout.rollout import promote_revision, shift_traffic
from tasks.rules.lifecycle.results import PhaseResult, failed, passed, script_failed
from tasks.rules.plan.request import PlanPath, Reason, Scope, Version
from tasks.rules.plan.targets import STAGING, place_of
from tasks.rules.rollout.next_step import PREPARE, PROMOTE


@flow(
    name="staging",
    flow_run_name="staging {version}",
    persist_result=True,
    result_serializer="json",
    on_cancellation=[roll_back_cancelled],
    on_completion=[end_watch],
    on_failure=[end_watch],
)
async def staging(plan: PlanPath, version: Version, reason: Reason = "staging alone", release: Scope = "") -> PhaseResult | State[Any]:
    """Deploy a version to staging; alone, verify it there too and roll it back if it fails.

    Args:
        plan: Path of the plan file.
        version: The version to roll out.
        reason: Why, for the record.
        release: Leave empty; a release fills it in.
    """
    if release:
        phase = await begin_phase(plan, scope=release)
        try:
            return await _roll_out(phase, version=version)
        except ScriptFailed as error:
            if phase.plan.on_script_failure.then != "ask":
                raise
            return script_failed(error, STAGING)
    return await conduct("staging", plan=plan, version=version, reason=reason, requester="", course=_alone)


async def _roll_out(phase: Phase, *, version: str) -> PhaseResult:
    """Prepare the version, send all traffic to it, and retire the baseline."""
    await expect_ticked_before_staging(phase, version)
    await expect_data(phase, "staging")
    platform = await informed(phase, await platform_of(phase.plan, STAGING))
    await fix_settings(STAGING, platform, None)
    platform = await with_runs_allowed(phase, platform, STAGING)
    await expect_may_go_forward(phase, platform, STAGING, version=version)
    if fault := await wait_while_held(phase, Standing(platform, STAGING, version), before=PREPARE):
        return failed(fault)  # before the lease is acquired
    lease = await lease_for_release(phase, platform, STAGING, version=version)
    place = place_of(phase.plan, STAGING)
    await retried(keep_way)(place, platform, seen=seen_in(STAGING))
    await keep_plan(phase.taken, place, given=phase.path)
    await migrate(phase, platform, environment=STAGING, when="before", version=version, lease=lease)
    if fault := await wait_while_held(phase, Standing(platform, STAGING, version, lease=lease), before=PREPARE):
        return failed(fault)
    seconds, title, key = phase.plan.staging.ready_timeout_seconds, f"prepare {version}", "staging/prepare"
    await note_release_begins(phase, platform, STAGING, version=version)
    before = await prepare(phase, platform, version, environment=STAGING, lease=lease, timeout_seconds=seconds, title=title, key=key)
    if fault := await wait_while_held(phase, Standing(platform, STAGING, version, lease=lease), before=PROMOTE):
        return failed(fault)  # what was set while it came up: its first request is the next effect
    await named(shift_traffic, "shift all traffic")(platform, version=version, percent=100, lease=lease, key=phase.key("staging/shift"))
    await own_what_was_changed(phase, platform, STAGING)
    after = await named(promote_revision, f"promote {version}")(platform, version=version, lease=lease, key=phase.key("staging/promote"))
    promoted = await promoted_here(phase, platform, STAGING)
    await forget_what_was_left(phase, STAGING, after, promoted, version=version)
    await phase.append(
        f"Staging runs {version}",
        kind="effect",
        environment=STAGING,
        name="promote",
        why=f"it ran {before['baseline'] or 'nothing'} before{await and_without(phase, platform, STAGING)}",
        evidence={"before": dict(before), "after": dict(after), **promoted},
    )
    await migrate(phase, platform, environment=STAGING, when="after", version=version, lease=lease)
    return passed(f"staging runs {version}")


async def _alone(phase: Phase, version: str) -> PhaseResult:
    await expect_own_environments(phase)  # in a release, pre_deploy asks
    await wait_while_frozen(phase)
    found = await _roll_out(phase, version=version)
    return await verified(phase, version, environment=STAGING) if found.passed else found
