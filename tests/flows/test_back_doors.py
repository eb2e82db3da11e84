"""Ways round the gate that someone with the API might try; each is refused, and nothing moves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tasks.lifecycle.lock import is_stop_requested
from tests.flows.harness import FIRST, Stage, check_closed, check_well, plan_of, undecidable
from tests.flows.processes import Traffic, ended

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]


@pytest.mark.faults
async def test_a_phase_cannot_be_run_under_another_runs_name(stage: Stage, visitors: Traffic) -> None:  # noqa: ARG001
    """Neither an approved release's id nor any other opens production, or writes into its record."""
    released = await stage.release_through(stage.tag("5.1"))
    await check_closed(stage, released, outcome="deployed")
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("production", {"version": stage.tag("5.2"), "requester": "mallory", "approval": {"gate": "production", "proofs": []}}),
        ("staging", {"version": "5.2"}),
    ]
    for flow, parameters in attempts:
        run = await stage.ask(flow, plan=stage.plan(), release=released.id, **parameters)
        await stage.runner.run(run, flow)
        ran = await stage.seen(run)
        assert ran.state == "Failed", ran
        assert "leave it empty" in ran.message
    await check_well(stage, version="5.1")
    # A rollback on demand has no such parameter: it is dropped, as nothing may stop a rollback, and the record is its own.
    run = await stage.ask("rollback", plan=stage.plan(), release=released.id, reason="hush", version=FIRST)
    await stage.runner.run(run, "rollback")
    assert (await stage.seen(run)).state == "RolledBack"
    assert len((await stage.seen(released.id)).entries) == len(released.entries)
    assert (await stage.platform("production").current())["baseline"] == FIRST


@pytest.mark.faults
async def test_a_rollback_goes_only_to_a_version_that_was_deployed(stage: Stage) -> None:
    """Going back is not a way round the gate: a version without a record is refused, and nothing moves."""
    unknown = stage.tag("5.3")
    run = await stage.ask("rollback", plan=stage.plan(), reason="a test", version=unknown)
    ran = await stage.carry_through(run, "rollback")
    assert ran.state == "Refused", ran
    assert "no record says" in ran.message
    await check_well(stage, version=FIRST)


@pytest.mark.faults
async def test_a_version_that_only_staging_ran_does_not_count_in_production(stage: Stage) -> None:
    """Staging alone asks no one, so it must not open production to a rollback; in staging itself it counts."""
    untried = stage.tag("6.6")
    tried = await stage.carry_through(await stage.ask("staging", plan=stage.plan(), version=untried), "staging")
    await check_closed(stage, tried, outcome="deployed")
    later = await stage.carry_through(await stage.ask("staging", plan=stage.plan(), version=stage.tag("6.7")), "staging")
    await check_closed(stage, later, outcome="deployed")
    run = await stage.ask("rollback", plan=stage.plan(), reason="a test", version=untried)
    ran = await stage.carry_through(run, "rollback")
    assert (await stage.platform("production").current())["baseline"] == FIRST
    assert ran.state == "Refused", ran
    assert f"no record says that {untried} was ever deployed in production" in ran.message


@pytest.mark.faults
async def test_a_version_that_was_deployed_is_returned_to_by_its_name(stage: Stage, visitors: Traffic) -> None:  # noqa: ARG001
    """A release brought it, or production alone; that others came since keeps no one from it."""
    first, alone = stage.tag("7.1"), stage.tag("7.2")
    await check_closed(stage, await stage.release_through(first), outcome="deployed")
    asked = await stage.ask("production", plan=stage.plan(), version=alone, requester="rita")
    await check_closed(stage, await stage.carry_through(asked, "production"), outcome="deployed")
    for later in ("7.3", "7.4"):
        await check_closed(stage, await stage.release_through(stage.tag(later)), outcome="deployed")
    for version in (first, alone):
        ran = await stage.carry_through(await stage.ask("rollback", plan=stage.plan(), reason="a test", version=version), "rollback")
        assert ran.state == "RolledBack", ran
        assert (await stage.platform("production").current())["baseline"] == version


@pytest.mark.faults
async def test_a_plan_of_ones_own_does_not_choose_where_a_rollback_goes(stage: Stage, visitors: Traffic) -> None:  # noqa: ARG001
    """The plan of a rollback is whichever file was named: a fixed version in it counts only if that was deployed here."""
    previous, unknown = FIRST, stage.tag("5.4")
    released = await stage.release_through(stage.tag("5.5"))
    assert released.state == "Deployed", released.message
    mine = stage.plan(rollback={"to": unknown, "watch_seconds": 0.1})
    run = await stage.ask("rollback", plan=mine, reason="a test")
    ran = await stage.carry_through(run, "rollback")
    assert ran.state == "RolledBack", ran
    assert f"no record says that {unknown} was ever deployed" in next(one.why for one in ran.entries if one.name == "unknown version")
    assert (await stage.platform("production").current())["baseline"] == previous


@pytest.mark.faults
async def test_staging_alone_deploys_to_no_production(stage: Stage) -> None:
    """Whoever edits blocks points a staging at production's environment: no person is asked about a staging. One of its own goes on."""
    borrowed, version = f"{stage.name}-borrowed", stage.tag("5.7")
    await stage.platform("production").save(borrowed, overwrite=True)
    for section in ({"platform": f"local/{borrowed}", "ready_timeout_seconds": 20}, None):
        plan = stage.plan(staging=section) if section else stage.plan()
        run = await stage.ask("staging", plan=plan, version=version, reason="a test")
        ran = await stage.carry_through(run, "staging")
        assert ran.state == ("Refused" if section else "Deployed"), ran
        assert (await stage.platform("production").current())["baseline"] == FIRST
    assert (await stage.platform("staging").current())["baseline"] == version


@pytest.mark.faults
@pytest.mark.usefixtures("visitors")
async def test_a_release_of_another_plan_of_that_service_does_not_choose_what_a_rollback_leaves(stage: Stage, tmp_path: Path) -> None:
    """Whoever writes plans may call a service by any name: such a release is neither meant nor stopped."""
    assert (await stage.release_through(stage.tag("5.6"))).state == "Deployed"
    other = Stage("other", tmp_path, stage.runner)
    await other.raise_up()
    try:
        steps = [{"percent": 1, "watch_seconds": 60}, {"percent": 100, "watch_seconds": 0}]
        production = {**plan_of(other.name)["production"], "steps": steps}
        judgement = undecidable(plan_of(other.name)["judgement"])
        plan = other.plan(service=stage.name, production=production, judgement=judgement)
        run = await other.release(other.tag("0.0.1"), plan=plan)
        pid, points = stage.runner.start(run, "release")
        async with asyncio.timeout(120):
            while not points.exists() or "task begin watch" not in points.read_text():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.1)
        back = await stage.carry_through(await stage.ask("rollback", plan=stage.plan(), reason="a test"), "rollback")
        assert (back.state, (await stage.platform("production").current())["baseline"]) == ("RolledBack", FIRST), back
        assert (await stage.seen(run)).state == "Running"
        assert not await is_stop_requested(run)
        back = await stage.carry_through(await stage.ask("rollback", plan=plan, reason="a test"), "rollback")  # by its own plan it is
        assert back.state == "RolledBack", back
        await ended(pid)
        await check_closed(stage, await stage.seen(run), outcome="rolled_back")
        await check_well(other, version=FIRST)
    finally:
        await other.end()
