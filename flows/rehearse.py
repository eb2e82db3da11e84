"""Rehearse a rollback: a version is released in staging by production's steps, made to fail at one of them, and rolled back."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, NamedTuple

from prefect import Flow, State, flow
from prefect.client.schemas.objects import FlowRun
from pydantic import Field

from blocks.errors import BadInput, Refused
from blocks.outside_text import as_ending, as_reason
from blocks.platform import Lease, Platform
from blocks.shares import MakesShares
from flows.lifecycle.acting import fix_settings, seen_in
from flows.lifecycle.context import (
    Phase,
    check_not_stopped,
    expect_may_go_forward,
    expect_own_environments,
    informed,
    platform_of,
)
from flows.lifecycle.finalize import end_watch
from flows.lifecycle.frame import conduct
from flows.lifecycle.what_holds import what_freezes
from flows.rollout.half_done import lease_for_release
from flows.rollout.prepare import prepare
from flows.rollout.rehearsed import as_rehearsal, begin_rehearsal, finish_rehearsal
from flows.rollout.stop import stop_requests
from flows.verify import verified
from tasks.approval.protection import keep_way
from tasks.evidence.rehearsals import method_of, own_strategy
from tasks.lifecycle.retries import named, retried
from tasks.lifecycle.run_labels import let_go, unmark
from tasks.rollout.platforms import load_platform
from tasks.rollout.rollout import called, is_in_place, read_position, shift_traffic
from tasks.rules.evidence.rehearsal import REHEARSE, REHEARSED_FAILURE, Method, differences_of, fault_of_staging, steps_until
from tasks.rules.lifecycle.ending import Ending
from tasks.rules.lifecycle.results import PhaseResult, failed
from tasks.rules.plan.plan import Step
from tasks.rules.plan.request import AnyVersion, EnvironmentName, PlanPath, Reason, Requester
from tasks.rules.plan.targets import STAGING, Place, chosen, is_production, place_of

FailAt = Annotated[
    int | None,
    Field(ge=1, le=100, title="Fail at", description="The step that is made to fail, by its share in percent; empty takes the last one."),
]


class Rehearsed(NamedTuple):
    """What is rehearsed: the place of production whose steps are taken, these steps, by what it is rolled back, and the version."""

    place: Place
    steps: tuple[Step, ...]
    method: Method
    version: str


async def roll_back_cancelled(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Take a cancellation as the order to roll staging back at once."""
    run = str(flow_run.id)
    plan, version = (str(flow_run.parameters.get(name) or "") for name in ("plan", "version"))
    ending = Ending("cancelled", as_ending(f"cancelled in the Prefect UI or by its API ({as_reason(state.message)})"))
    try:
        await finish_rehearsal(run, plan=plan, version=version, ending=ending)
        await retried(let_go)(run)
    finally:
        await retried(unmark)(run)


@flow(
    name=REHEARSE,
    flow_run_name="rehearse {version}",
    persist_result=True,
    result_serializer="json",
    on_cancellation=[roll_back_cancelled],
    on_completion=[end_watch],
    on_failure=[end_watch],
)
async def rehearse(
    plan: PlanPath,
    requester: Requester,
    reason: Reason = "a rehearsal of the rollback",
    version: AnyVersion = "",
    environment: EnvironmentName = "production",
    fail_at: FailAt = None,
) -> State[Any]:
    """Show in staging alone that a rollback works: a version takes production's steps there, is made to fail, and is rolled back.

    Args:
        plan: Path of the plan file.
        requester: Your name, for the record.
        reason: Why, for the record.
        version: The version that is made to fail; empty takes the one that ran in staging before.
        environment: Whose steps are taken: `production`, which means the first of the plan's targets, or one of them.
        fail_at: Which step is made to fail.
    """
    course = partial(_course, environment=environment, fail_at=fail_at)
    return await conduct(
        REHEARSE, plan=plan, version=version, reason=reason, requester=requester, course=course, environment=environment,
        begin=begin_rehearsal, finish=finish_rehearsal,
    )  # fmt: skip


async def _course(phase: Phase, version: str, *, environment: str, fail_at: int | None) -> PhaseResult:
    """Take the steps up to the one that is made to fail; the rollback is that of the end."""
    await check_not_stopped(phase.owner)
    if (held := await what_freezes(phase)) is not None:
        raise Refused(f"nothing goes forward now: {held.what}, {held.why}. Rehearse once that is over")
    phase, place, method = await _same_method(phase, environment)
    steps = steps_until(place, fail_at)
    await expect_own_environments(phase)
    platform = await informed(phase, await platform_of(phase.plan, STAGING))
    _expect_shares(platform, steps)
    asked = Rehearsed(place, steps, method, await _reviewed(phase, platform, version, place=place, method=method))
    await fix_settings(STAGING, platform, None)
    await expect_may_go_forward(phase, platform, STAGING, version=asked.version)
    lease = await lease_for_release(phase, platform, STAGING, version=asked.version)
    there = place_of(phase.plan, STAGING)
    own = await load_platform(there.platform, field=there.field)  # with its own strategy: what is kept outlives this rehearsal
    await retried(keep_way)(there, own, seen=seen_in(STAGING))
    return await _fail(phase, platform, asked, lease=lease)


async def _same_method(phase: Phase, environment: str) -> tuple[Phase, Place, Method]:
    """Let staging be rolled back as production is.

    Raises:
        BadInput: The plan has no such place of production.
        Refused: It cannot be: a rehearsal would show nothing of production.
    """
    if not is_production(environment):
        raise BadInput(f"{environment} is not production", field="environment", fix="Name production, or one of its targets.")
    place = chosen(phase.plan, environment)[0]
    shares = tuple(step.percent for step in place.steps)
    production = await platform_of(phase.plan, place.environment)  # its block alone is read
    try:
        phase = as_rehearsal(phase, strategy=own_strategy(place, production))
        staging = await platform_of(phase.plan, STAGING, anew=True)
    except BadInput as error:
        raise Refused(f"staging cannot be rolled back as {place.environment} is: {error}") from error
    there = place_of(phase.plan, STAGING)
    methods = [await method_of(*one, shares=shares) for one in ((place, production), (there, staging))]
    if others := differences_of(*methods):
        raise Refused(f"a rehearsal in staging would show nothing of {place.environment}: {'; '.join(others)}")
    return phase, place, methods[0]


def _expect_shares(platform: Platform, steps: tuple[Step, ...]) -> None:
    """Ask the platform of staging if it can make the shares, before anything moves.

    Raises:
        BadInput: It cannot make one.
    """
    if isinstance(platform, MakesShares):
        for step in steps:
            platform.expect_share(step.percent)


async def _reviewed(phase: Phase, platform: Platform, version: str, *, place: Place, method: Method) -> str:
    """Look at staging once, record what it runs, and give the version that is made to fail.

    Raises:
        Refused: Nothing can be rehearsed there now.
    """
    if (known := await phase.read("review")) is not None:
        return str(known.evidence["version"])
    position = await retried(read_position)(platform)
    wanted = version or position["previous"] or ""
    is_baseline = bool(wanted) and called({**position, "canary": None}, wanted) is not None
    if fault := fault_of_staging(position, version=wanted, owner=phase.owner, is_baseline=is_baseline):
        raise Refused(fault)
    await phase.append(
        f"A rollback of {place.environment} is rehearsed in staging: {wanted} beside {position['baseline']}",
        kind="review",
        why=f"production is not changed; staging runs {position['baseline']}, as it will afterwards",
        evidence={
            "service": phase.plan.service,
            "version": wanted,
            "environment": place.environment,
            "current": {STAGING: position["baseline"]},
            "position": dict(position),
            "method": method.model_dump(mode="json"),
        },
    )
    return wanted


async def _fail(phase: Phase, platform: Platform, asked: Rehearsed, *, lease: Lease) -> PhaseResult:
    """Bring the version up, give it its shares, and let our own verdict fail; gives that verdict, or what went wrong before it."""
    version, last = asked.version, asked.steps[-1].percent
    seconds, replaces = place_of(phase.plan, STAGING).ready_timeout_seconds, is_in_place(platform)
    before = await prepare(
        phase, platform, version, environment=STAGING, lease=lease, timeout_seconds=seconds,
        title=f"prepare {version}", key="staging/prepare",
    )  # fmt: skip
    version = called(before, version) or version
    what = f"{version} can be deployed in staging" if replaces else f"{version} is up in staging, without traffic"
    await phase.append(what, kind="effect", environment=STAGING, name="prepare", evidence={"position": dict(before)})
    if not replaces and not (found := await verified(phase, version, environment=STAGING)).passed:
        return found
    for step in asked.steps:
        await check_not_stopped(phase.owner)
        await named(shift_traffic, f"{step.percent} %: shift")(
            platform, version=version, percent=step.percent, lease=lease, key=phase.key(f"staging/step-{step.percent}/shift")
        )
        what = f"{step.percent} % of staging's traffic goes to {version}"
        await phase.append(what, kind="effect", environment=STAGING, step=step.percent, name="shift")
    if replaces and not (found := await verified(phase, version, environment=STAGING)).passed:
        return found
    why = f"{version} is well; this verdict is made to fail, so that the rollback is rehearsed"
    await stop_requests(phase, platform, version, environment=STAGING, percent=last, lease=lease, why=REHEARSED_FAILURE)
    await phase.append(
        f"Verdict at {last} % in staging", kind="verdict", environment=STAGING, step=last, name=REHEARSED_FAILURE, why=why,
        evidence={"outcome": "failed"},
    )  # fmt: skip
    return failed(f"{REHEARSED_FAILURE} at {last} %")
