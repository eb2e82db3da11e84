"""What the plan says is what is done: a release's record is its list of steps, and the canary is verified before anybody sees it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from tasks.rules.plan.plan import Plan
from tasks.rules.record.entries import select
from tasks.rules.rollout.progress import words_of
from tasks.rules.rollout.steps import done_in, steps_of
from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well, plan_of, spots
from tests.flows.processes import Traffic

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

BASIC = {"name": "page", "kind": "basic", "steps": [{"path": "/", "expect": {"contains": "{version}"}}]}
_minor = count(1)
LATER = {**BASIC, "name": "later", "kind": "integration"}


def verification_of(stage: Stage, *smoke: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Give a plan's verification with these smoke tests."""
    return {**plan_of(stage.name)["verification"], "smoke": list(smoke), **fields}


def compare(ran: Ran, plan: dict[str, Any], version: str) -> None:
    """Assert that the record holds the steps of the plan, all of them and in their order."""
    steps = steps_of(Plan.model_validate(plan))
    done = done_in(steps, ran.entries, version=version)
    assert [words_of(step) for step in done] == [words_of(step) for step in steps]


@contextlib.asynccontextmanager
async def counted(stage: Stage, version: str) -> AsyncIterator[list[int]]:
    """Read meanwhile, again and again, how many requests production's router sent to a version."""
    seen: list[int] = []

    async def read() -> None:
        while True:
            counts = await stage.platform("production").counts()
            seen.extend([counts[version]["requests"]] if version in counts else [])
            await asyncio.sleep(0.02)

    reading = asyncio.create_task(read())
    try:
        yield seen
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


@pytest.mark.slow
async def test_a_release_does_what_its_list_of_steps_says(stage: Stage, visitors: Traffic) -> None:
    """Each step once, in the order of the list, with the canary's verification before its first share of traffic."""
    version, sections = stage.tag("9.1"), {"verification": verification_of(stage, BASIC, LATER, verify_steps=["health", "integration"])}
    ran = await stage.release_through(version, plan=stage.plan(**sections))
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")
    compare(ran, {**plan_of(stage.name), **sections}, version)
    checked = {step: [entry.name for entry in select(ran.entries, kind="smoke", step=step)] for step in (0, 50)}
    assert checked == {0: [f"{version} page"], 50: [f"{version} later"]}
    assert set(visitors.since(0)) == {200}
    power = select(ran.entries, kind="note")[0]
    assert power.name == "power"
    assert [row[0] for row in power.evidence["rows"]] == ["50 %", "100 %"]


@pytest.mark.faults
async def test_a_release_whose_steps_cannot_decide_is_refused_if_the_plan_says_so(stage: Stage, visitors: Traffic) -> None:
    """Before anything moves, with the numbers that would decide."""
    version, judgement = stage.tag("9.3"), {**plan_of(stage.name)["judgement"], "undecidable": "refuse"}
    production = {**plan_of(stage.name)["production"], "steps": [{"percent": 1, "watch_seconds": 1}, {"percent": 100, "watch_seconds": 9}]}
    ran = await stage.release_through(version, plan=stage.plan(judgement=judgement, production=production))
    assert ran.state == "Refused", ran.message
    assert "the step of 1 % cannot decide" in ran.message
    assert not [spot for spot in spots(ran) if "shift" in spot]
    assert set(visitors.since(0)) == {200}


@pytest.mark.faults
async def test_a_canary_that_is_not_well_never_gets_a_request(stage: Stage, visitors: Traffic) -> None:
    """Well in staging and broken in production: found at its private address, rolled back, and no visitor noticed."""
    version = stage.tag("9.2-errors.production")
    async with counted(stage, version) as requests:
        ran = await stage.release_through(version, plan=stage.plan(verification=verification_of(stage, BASIC)))
    assert ran.state == "RolledBack", ran.message
    assert f"{version} before its first request: page: " in ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST)
    assert "production prepare" in spots(ran)
    assert not [spot for spot in spots(ran) if "shift" in spot and spot.startswith("production")]
    assert set(requests) == {0}
    assert set(visitors.since(0)) == {200}


@pytest.mark.faults
async def test_a_canary_that_fails_the_checks_after_a_step_gets_no_more_requests(stage: Stage) -> None:
    """The plan asks for them; their failure stops the traffic at once, and no later step begins."""
    version = stage.tag("9.3-errors.production")
    production = {**plan_of(stage.name)["production"], "steps": [{"percent": 10, "watch_seconds": 0}, {"percent": 100}]}
    verification = verification_of(stage, LATER, verify_steps=["integration"])
    ran = await stage.release_through(version, plan=stage.plan(verification=verification, production=production))
    assert ran.state == "RolledBack", ran.message
    assert f"{version} at 10 %: later: " in ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST)
    assert spots(ran)[-3:] == ["production prepare", "production 10 % shift", "production 10 % stop"]


@pytest.mark.faults
@pytest.mark.parametrize("point", ["health production 0 %", "verdict production 0 % verified", "verdict production 50 % verified"])
async def test_a_release_killed_at_a_verification_makes_each_once(stage: Stage, visitors: Traffic, point: str) -> None:
    """The next attempt takes the verdict from the record, or makes the checks again if there is none."""
    version = stage.tag(f"9.4.{next(_minor)}")
    ran = await stage.release_through(version, kill_at=point)
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")
    compare(ran, plan_of(stage.name), version)
    assert set(visitors.since(0)) == {200}
