"""Candidates of a service: its tags, what became of earlier releases of a version, and whether its evidence is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from prefect import get_client, task
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun

from blocks.errors import Permanent
from tasks.approval.approval import OUTCOME_LABEL
from tasks.evidence.change_log import ask_git
from tasks.evidence.dependencies import check_dependency
from tasks.evidence.inputs import look
from tasks.evidence.tests import read_test_evidence
from tasks.lifecycle.lock import OPEN, OUTCOME, tagged
from tasks.lifecycle.retries import OBSERVE, OBSERVE_PLATFORM
from tasks.rules.evidence.candidates import REJECTED
from tasks.rules.evidence.change_log import judge_changes
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.lifecycle.results import PhaseResult


@task(name="list tags", **OBSERVE)
async def list_tags(repository: str) -> list[str]:
    """List the tags of the repository in which the plan lies, as the clone on this machine has them."""
    said = await ask_git(repository, "for-each-ref", "--format=%(refname:strip=2)", "refs/tags")
    return [line for line in said.splitlines() if line]


@task(name="find open releases", **OBSERVE)
async def open_releases(service: str) -> list[str]:
    """Name the releases of a service that are under way, or scheduled."""
    async with get_client() as client:
        found = await tagged(client, f"service:{service}", OPEN)
    return [run.name for run in found if run.run_count or not (run.state and run.state.is_final())]  # else cancelled before it began


@task(name="find earlier releases", **OBSERVE)
async def earlier_outcomes(service: str, version: str) -> list[str]:
    """List how earlier releases of a version ended; one that people rejected ended as that."""
    wanted = [f"service:{service}", f"version:{version}", "shipway:release"]
    async with get_client() as client:
        found: Sequence[FlowRun] = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=wanted)), limit=200
        )
    return [outcome for run in found for outcome in outcomes_of(run)]


def outcomes_of(run: FlowRun) -> list[str]:
    """Give how a release ended, by its run; none while it is open."""
    found = [tag.removeprefix(OUTCOME) for tag in run.tags if tag.startswith(OUTCOME)]
    is_rejected = run.labels.get(f"{OUTCOME_LABEL}.state") == REJECTED
    return [REJECTED if one == "refused" and is_rejected else one for one in found]


@task(name="look for evidence", task_run_name="look for the evidence of {version}", **OBSERVE_PLATFORM)
async def missing_evidence(path: str, version: str, *, taken: TakenPlan) -> str:
    """Say what is missing before a version could be released; "" if nothing is. The release looks at all of it again.

    Args:
        path: The plan's path.
        version: The candidate.
        taken: The plan.
    """
    try:
        inputs = await look(path, version=version, taken=taken)
    except Permanent as error:  # as of a tag that is not signed, or a history that cannot be read
        return str(error)
    plan = taken.parsed()
    if refusal := judge_changes(inputs.change_log, allow_empty=plan.change_log.allow_empty):
        return refusal
    tests, dependencies = await asyncio.gather(
        asyncio.gather(*(read_test_evidence.fn(spec, repository=taken.folder) for spec in plan.tests)),
        asyncio.gather(*(check_dependency.fn(spec, service=plan.service) for spec in plan.dependencies)),
    )
    found = [PhaseResult.of(seen) for seen in (*map(asdict, tests), *map(asdict, dependencies))]
    return "; ".join(one.reason for one in found if not one.passed)
