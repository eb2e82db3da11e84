"""Others act at the same time: a second release, a second copy, a rollback, a hand on the traffic."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.flows.gatehouse import answer, enrol, go_on
from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well, plan_of, undecidable
from tests.flows.processes import ended

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(600), pytest.mark.usefixtures("visitors")]
LONG = 40


def long_watch(stage: Stage, **more: Any) -> str:
    """Write a plan whose first step stays inconclusive for long."""
    usual = plan_of(stage.name)
    production = {**usual["production"], "steps": [{"percent": 50, "watch_seconds": LONG}, {"percent": 100, "watch_seconds": 0.3}]}
    return stage.plan(production=production, judgement=undecidable(usual["judgement"]), **more)


async def watching(stage: Stage, version: str, **more: Any) -> tuple[str, int]:
    """Start a release and wait until it watches its first step; gives its id and its process."""
    run = await stage.release(stage.tag(version), plan=long_watch(stage, **more))
    pid, points = stage.runner.start(run, "release")
    async with asyncio.timeout(120):
        while not points.exists() or "task begin watch" not in points.read_text():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)
    return run, pid


async def roll_back(stage: Stage, **more: Any) -> Ran:
    """Ask for a rollback of production and carry it through."""
    run = await stage.ask("rollback", plan=stage.plan(), reason="critical bug 812", **more)
    return await stage.carry_through(run, "rollback")


async def test_a_second_release_is_refused_with_the_first_ones_link(stage: Stage, server: Any) -> None:
    """One release of a service at a time, across suspension; the refused one touches nothing."""
    people = await enrol(server)
    first = await stage.release(stage.tag("4.1"), plan=stage.plan(approval=people.section()))
    await go_on(stage, first)
    second = await stage.release_through(stage.tag("4.2"))
    assert second.state == "Refused"
    assert first in second.message
    await check_closed(stage, second, outcome="refused")
    queued = await stage.release("4.2", plan=stage.plan(on_conflict="queue"))
    assert (await go_on(stage, queued)).state == "Suspended"
    ran = await answer(stage, first, await people.form(people.names[0], first, decision="reject"))
    await check_closed(stage, ran, outcome="refused")
    assert await stage.care_of(queued) == "wake"
    ran = await stage.carry_through(queued, "release")
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="4.2")


async def test_a_superseding_release_sends_the_older_one_back(stage: Stage, server: Any) -> None:
    """The older one is told, ends and goes back; then the newer one goes on."""
    people = await enrol(server)
    first = await stage.release(stage.tag("4.3"), plan=stage.plan(approval=people.section()))
    await go_on(stage, first)
    second = await stage.release(stage.tag("4.4"), plan=stage.plan(on_conflict="supersede"))
    assert (await go_on(stage, second)).state == "Suspended"
    assert await stage.care_of(first) == "wake"
    ran = await stage.carry_through(first, "release")
    await check_closed(stage, ran, outcome="rolled_back")
    ran = await stage.carry_through(second, "release")
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="4.4")


async def test_of_two_copies_the_older_is_fenced_out(stage: Stage) -> None:
    """A process thought dead that is not changes nothing more; the newer one ends the release."""
    run, older = await watching(stage, "4.5")
    await stage.put_back(run)
    newer, _ = stage.runner.start(run, "release")
    await ended(older)
    ran = await stage.seen(run)
    assert ran.state == "Running", ran.message
    assert not [entry for entry in ran.entries if entry.kind in {"closed", "rollback"}]
    await ended(newer, timeout_seconds=120)
    ran = await stage.seen(run)
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="4.5")


async def test_traffic_shifted_by_hand_ends_the_release_and_goes_back(stage: Stage) -> None:
    """What is there is not what we left: the release says so and goes back."""
    run, pid = await watching(stage, "4.6")
    platform = stage.platform("production")
    position = await platform.current()
    await platform.shift(10, {"owner": position["owner"], "generation": position["generation"]})
    await ended(pid)
    ran = await stage.seen(run)
    assert "was shifted elsewhere" in ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST)


async def test_a_rollback_on_demand_ends_the_release_under_way(stage: Stage) -> None:
    """It takes the environment over, is verified, and the release ends as stopped with staging back too."""
    run, pid = await watching(stage, "4.7")
    back = await roll_back(stage)
    assert back.state == "RolledBack"
    await ended(pid)
    ran = await stage.seen(run)
    await check_closed(stage, ran, outcome="rolled_back")
    await check_closed(stage, back, outcome="rolled_back")
    await check_well(stage, version=FIRST)


async def test_a_rollback_while_a_release_waits_takes_back_what_serves(stage: Stage, server: Any) -> None:
    """A version that only waits at its gate cannot be what is broken; the release is woken and ends, staging goes back."""
    assert (await stage.release_through(stage.tag("4.91"))).state == "Deployed"
    people = await enrol(server)
    run = await stage.release(stage.tag("4.92"), plan=stage.plan(approval=people.section()))
    assert (await go_on(stage, run)).state == "Suspended"
    back = await roll_back(stage)
    assert back.state == "RolledBack", back
    assert (await stage.platform("production").current())["baseline"] == FIRST
    assert await stage.care_of(run) == "wake"
    ran = await stage.carry_through(run, "release")
    await check_closed(stage, ran, outcome="rolled_back")
    assert (await stage.platform("staging").current())["baseline"] == "4.91"


async def test_a_rollback_after_a_deployment_returns_to_the_version_before(stage: Stage) -> None:
    """The version before is brought up again and verified; what is closed stays as it is when it is run or settled again."""
    ran = await stage.release_through(stage.tag("4.8"))
    assert ran.state == "Deployed", ran.message
    back = await roll_back(stage)
    assert (back.state, FIRST in back.message) == ("RolledBack", True)
    assert stage.state_of("production")["previous"] is None, "a second one must not return to it"
    await check_closed(stage, back, outcome="rolled_back")
    await stage.put_back(ran.id)
    again = await go_on(stage, ran.id)
    assert (again.state, again.entries) == ("Deployed", ran.entries)
    settle = await stage.ask("settle", run=ran.id, reason="by mistake")
    await stage.runner.run(settle, "settle")
    assert ((await stage.seen(ran.id)).state, (await stage.seen(ran.id)).entries) == ("Deployed", ran.entries)
    platform = stage.platform("production")
    assert ((await platform.current())["baseline"], (await platform.current())["owner"]) == (FIRST, None)
