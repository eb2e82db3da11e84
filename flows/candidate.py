"""What waits goes out tonight: the newest candidate of a service that has its evidence is released, else this ends as skipped."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from prefect import State, flow, get_client
from prefect.context import FlowRunContext
from prefect.states import Completed
from pydantic import Field

from blocks.errors import Skipped
from blocks.outside_text import as_ending, as_name
from flows.lifecycle.context import Phase, begin_phase, platform_of, run_id
from tasks.approval.protection import expect_policies
from tasks.evidence.candidates import earlier_outcomes, list_tags, missing_evidence, open_releases
from tasks.lifecycle.clock import now
from tasks.lifecycle.links import run_link
from tasks.lifecycle.retries import retried
from tasks.lifecycle.schedule import MOST_WITHIN_MINUTES, WITHIN_MINUTES, request_release
from tasks.rollout.rollout import read_position
from tasks.rules.evidence.candidates import MOST_TRIED, begun_before, none_ready, pattern_fault, waiting
from tasks.rules.plan.request import NotLaterThan, PlanPath, Reason, Requester
from tasks.rules.plan.targets import production_of
from tasks.rules.plan.types import refusing
from tasks.rules.windows.words import moment_in_words

Pattern = Annotated[
    str,
    refusing(pattern_fault, fix="Write a pattern of tags, as `v*`."),
    Field(title="Tags", description="Which Git tags are candidates, as `v*`. The newest version among them is released."),
]
Within = Annotated[
    int,
    Field(
        ge=1, le=MOST_WITHIN_MINUTES, title="Within", description="Minutes after the scheduled time in which production may still begin."
    ),
]
PreReleases = Annotated[bool, Field(title="Pre-releases", description="Whether pre-releases count, as `1.4.0rc1`.")]


@flow(name="candidate", flow_run_name="candidate {pattern}", persist_result=False)
async def candidate(
    plan: PlanPath,
    pattern: Pattern,
    reason: Reason,
    requester: Requester,
    not_later_than: NotLaterThan = None,
    within_minutes: Within = WITHIN_MINUTES,
    pre_releases: PreReleases = False,  # noqa: FBT002 - a form field
) -> State[Any]:
    """Release the newest version that waits, is newer than what runs, and has its evidence; else end as skipped, and say why.

    Args:
        plan: Path of the plan file where the worker runs.
        pattern: Which Git tags are candidates.
        reason: Why, for the record and the approvers.
        requester: Your name; you cannot approve what you ask for.
        not_later_than: Until when production must have begun; empty takes `within_minutes`.
        within_minutes: That time from the scheduled moment on, for a schedule that recurs.
        pre_releases: Whether pre-releases count.
    """
    due = _due()
    latest = not_later_than or due + timedelta(minutes=within_minutes)
    if now() > latest:
        why = f"it was due {moment_in_words(due)}, until {moment_in_words(latest)}, and now it is {moment_in_words(now())}"
        return Completed(name="Skipped", message=why)
    try:
        phase = await begin_phase(plan, scope="")
        await asyncio.to_thread(expect_policies, phase.plan, requester=requester)
        version = await _choose(phase, pattern, pre_releases=pre_releases)
    except Skipped as error:
        return Completed(name="Skipped", message=as_ending(error))
    wanted = {"plan": plan, "version": version, "reason": reason, "requester": requester, "not_later_than": latest.isoformat()}
    async with get_client() as client:
        found = await request_release(client, wanted, service=phase.plan.service, key=f"candidate-{run_id()}")
    version = str(found.parameters.get("version"))  # asked for by an earlier attempt of this run, it may be another one
    return Completed(name="Released", message=f"the release of {as_name(version)} begins: {run_link(str(found.id))}")


def _due() -> datetime:
    """Give the moment at which this run was to start."""
    context = FlowRunContext.get()
    expected = context.flow_run.expected_start_time if context and context.flow_run else None
    return datetime.fromtimestamp(expected.timestamp(), UTC) if expected else now()


async def _choose(phase: Phase, pattern: str, *, pre_releases: bool) -> str:
    """Choose the newest candidate that is ready.

    Raises:
        Skipped: None is; says why of each.
    """
    service = phase.plan.service
    if under_way := await retried(open_releases)(service):
        raise Skipped(f"{', '.join(under_way)} is under way or scheduled already")
    places = production_of(phase.plan)
    platforms = await asyncio.gather(*(platform_of(phase.plan, place.environment) for place in places))
    running = [position["baseline"] for position in await asyncio.gather(*map(retried(read_position), platforms))]
    tags = await list_tags(phase.folder)
    found = waiting(tags, pattern=pattern, template=phase.plan.change_log.tag, running=running, pre_releases=pre_releases)
    faults: dict[str, str] = {}
    for version in found.versions[:MOST_TRIED]:
        if before := begun_before(await retried(earlier_outcomes)(service, version)):
            faults[version] = f"its last release was {before.replace('_', ' ')}; release it by name if it is still wanted"
        else:
            faults[version] = await missing_evidence(phase.path, version, taken=phase.taken)
        if not faults[version]:
            return version
    raise Skipped(none_ready(found, faults, pattern=pattern))
