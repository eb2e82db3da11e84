"""Many requested releases of one service, and a rollback of another, which waits for none of them. `make test-load` asks 200 times."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.client.schemas.objects import FlowRun

from tests.flows.harness import FIRST, Stage
from tests.flows.test_worker_faults import stack, until_closed

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(900), pytest.mark.xdist_group("stack")]
__all__ = ["stack"]

REQUESTS = int(os.environ.get("SHIPWAY_REQUESTS", "40"))
PROMISED = 200  # the number of requests under which the promise of BEGIN_SECONDS is measured
AT_ONCE = 20
BEGIN_SECONDS = 5
FEW = 5  # requests that may be through first, however few are left when the rollback is asked for
DRAINED_SECONDS = 600


@pytest.fixture(scope="module")
def stages(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Stage]]:  # noqa: ARG001 - its settings
    """Raise a service that is asked for often, and one that is to be rolled back."""
    both = tuple(Stage(name, tmp_path_factory.mktemp(name), None) for name in ("popular", "broken"))  # type: ignore[arg-type]
    for stage in both:
        asyncio.run(stage.raise_up())
    asyncio.run(both[1].reset(both[1].tag("2.0")))
    yield both  # type: ignore[misc]
    for stage in both:
        asyncio.run(stage.end())


async def ask_often(stage: Stage, plan: str) -> list[str]:
    """Request releases, twenty at a time, and give their ids."""
    gate, asked, version = asyncio.Semaphore(AT_ONCE), list[str](), stage.tag("1.1")

    async def ask() -> None:
        async with gate:
            wanted = {"plan": plan, "version": version, "reason": "a storm", "requester": "rita"}
            asked.append(await stage.ask("release", deployment="release", **wanted))

    await asyncio.gather(*(ask() for _ in range(REQUESTS)))
    return asked


async def ended_of(runs: list[str]) -> list[FlowRun]:
    """Read how runs ended, once all have."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId  # noqa: PLC0415

    deadline = time.monotonic() + DRAINED_SECONDS
    async with get_client() as client:
        while True:
            chosen: Any = FlowRunFilterId(any_=runs)
            found = await client.read_flow_runs(flow_run_filter=FlowRunFilter(id=chosen), limit=REQUESTS)
            if all(run.state is not None and run.state.is_final() for run in found):
                return found
            assert time.monotonic() < deadline, Counter(run.state_name for run in found)
            await asyncio.sleep(0.5)


async def test_a_rollback_waits_for_no_requested_release(stages: tuple[Stage, Stage], record_property: Any) -> None:
    """It begins before half of those ahead of it are through, under 200 within five seconds; each ends as its plan says, none by a 5xx."""
    from prefect import get_client  # noqa: PLC0415

    popular, broken = stages
    begun = time.monotonic()
    asked = await ask_often(popular, popular.plan())
    rollback = await broken.ask("rollback", deployment="rollback", plan=broken.plan(), reason="critical bug")
    ran = await until_closed(broken, rollback)
    async with get_client() as client:
        seen = await client.read_flow_run(rollback)  # type: ignore[arg-type]
    assert seen.start_time is not None
    assert seen.created is not None
    waited, took = (seen.start_time - seen.created).total_seconds(), (seen.end_time - seen.created).total_seconds()  # type: ignore[operator]
    others = await ended_of(asked)
    ended = Counter(str(run.state_name) for run in others)
    drained = time.monotonic() - begun
    ahead = sum(run.end_time >= seen.created for run in others if run.end_time)
    first = sum(seen.created <= run.end_time <= seen.start_time for run in others if run.end_time)
    figures = f"began after {waited:.1f} s and {first} of {ahead}, over after {took:.1f} s; {dict(ended)} within {drained:.0f} s"
    record_property("figures", figures)
    print(figures)  # noqa: T201 - `make test-load` shows it
    assert ran.state == "RolledBack", ran.message
    assert first <= max(ahead / 2, FEW), figures  # an order, which holds on a loaded machine, too
    assert REQUESTS < PROMISED or waited <= BEGIN_SECONDS, figures
    assert set(ended) <= {"Deployed", "Refused", "RolledBack"}, figures  # the last: no one visits, so a watch has no data
    assert (await broken.platform("production").current())["baseline"] == FIRST
