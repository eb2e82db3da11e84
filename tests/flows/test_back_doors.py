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
