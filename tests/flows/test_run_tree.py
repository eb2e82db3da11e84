"""A release's page in Prefect's UI: what a person sees there reads like the release's summary."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.flows.harness import Stage

pytestmark = [pytest.mark.server, pytest.mark.timeout(300), pytest.mark.usefixtures("visitors")]
SUFFIX = re.compile(r"-[0-9a-f]{3}$")
PHASES = ["pre-deploy VERSION", "staging VERSION", "verify staging VERSION", "production VERSION", "post-deploy VERSION"]
STAGING = ["prepare VERSION", "shift all traffic", "promote VERSION"]
PRODUCTION = [
    "compare with what was approved",
    "prepare VERSION",
    "check the canary",
    "50 %: read the counters",
    "50 %: shift",
    "50 %: start the clock",
    "50 %: watch",
    "50 %: check the canary",
    "100 %: read the counters",
    "100 %: shift",
    "100 %: start the clock",
    "100 %: watch",
    "check production",
    "promote VERSION",
]


async def tree_of(run: str) -> tuple[list[str], list[list[str]]]:
    """Read the names of a run's own task runs, and its children with theirs, each in the order of their start; no child twice."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter  # noqa: PLC0415

    async def tasks_of(client: Any, parent: Any) -> list[Any]:
        found = await client.read_task_runs(flow_run_filter=FlowRunFilter(id={"any_": [parent]}), task_run_filter=TaskRunFilter())
        return sorted(found, key=lambda one: one.start_time or one.expected_start_time)

    async with get_client() as client:
        own = await tasks_of(client, run)
        children = await client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id={"any_": [run]}))
        children.sort(key=lambda one: one.start_time)
        tracked = {child.parent_task_run_id for child in children}
        names = [one.name for one in own if one.id not in tracked]
        return names, [[child.name, *(one.name for one in await tasks_of(client, child.id))] for child in children]


@pytest.mark.slow
async def test_a_releases_page_reads_like_its_summary(stage: Stage) -> None:
    """Phases are child runs; what they do is named by share and place; reading and bookkeeping are no runs of their own."""
    version = stage.tag("9.1")
    ran = await stage.release_through(version)
    assert ran.state == "Deployed", ran.message
    own, children = await tree_of(ran.id)
    wanted: dict[str, list[str]] = {"staging": STAGING, "verify staging": ["check staging"], "production": PRODUCTION}
    assert [child[0].replace(version, "VERSION") for child in children] == PHASES
    for name, *tasks in children:
        phase = name.removesuffix(f" {version}")
        if phase in wanted:
            assert [task.replace(version, "VERSION") for task in tasks] == wanted[phase], phase
    assert [name for name in own if name.startswith("lock ")] == [f"lock {stage.name}"]
    assert not {name.partition("-")[0] for name in own} & {"begin attempt", "mark running", "end attempt", "look for life"}
    assert not [name for name in own if SUFFIX.search(name)], "each task run has a name of its own, not Prefect's made-up one"
