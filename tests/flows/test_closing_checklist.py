"""The checklist before closing, in whole releases: what is open in the end is said, and takes nothing away that is deployed."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.flows.gatehouse import People, enrol, forge, go_on, post
from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well
from tests.flows.ticking import form, key_of, refusals, tick, ticked

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture
async def people(server: Any) -> People:
    """Enrol two people."""
    return await enrol(server)


def plan_of(stage: Stage, people: People, **checklist: Any) -> str:
    """Write a plan in which each of two people ticks an item once production is deployed."""
    ada, grace = people.names
    items = [
        {"name": "announced", "text": "The customers know", "who": [ada], "evidence": "link", "before": "closing"},
        {"name": "invoices", "text": "An invoice was read", "who": [grace], "before": "closing"},
    ]
    section = {"tests_passed": False, "items": items, **checklist}
    windows = {"one_at_a_time": f"group-{stage.name}"}
    return stage.plan(checklist=section, windows=windows, approval={"quorum": 0, "block": f"approvers/{people.name}"})


async def hold(stage: Stage, version: str, people: People, **checklist: Any) -> Ran:
    """Bring a release to its checklist before closing: the version is deployed, and the release is suspended with its lock and leases."""
    ran = await go_on(stage, await stage.release(stage.tag(version), plan=plan_of(stage, people, **checklist)))
    assert (ran.state, ran.entries[-1].name) == ("Suspended", "checklist closing question 1"), ran
    position = await stage.platform("production").current()
    assert (position["baseline"], position["owner"]) == (version, ran.id)
    return ran


async def expect_turn_is_free(stage: Stage) -> None:
    """Expect that another service of the group may change production."""
    from tasks.lifecycle.window_turns import give_turns, take_turns  # noqa: PLC0415

    other = str(uuid4())
    assert await take_turns([f"group-{stage.name}"], run=other, what="another service") is None
    await give_turns(other)


async def status_of(run: str) -> dict[str, Any]:
    """Read what `shipway status` says of a run."""
    from prefect import get_client  # noqa: PLC0415

    from flows.commands.status import _facts  # noqa: PLC0415

    async with get_client() as client:
        return await _facts(await client.read_flow_run(UUID(run)), {})


@pytest.mark.usefixtures("visitors")
async def test_a_release_is_deployed_and_ends_with_the_last_tick(stage: Stage, people: People) -> None:
    """No tick counts that is forged, of the wrong person, or given twice; each good one is recorded."""
    from prefect.states import Scheduled  # noqa: PLC0415

    ada, grace = people.names
    held = await hold(stage, "3.1", people)
    good = await form(people, grace, held.id, "invoices")
    await forge(held.id, {**good, "code": "12345678"}, key="checklist-closing-1", state=Scheduled())
    assert "does not answer the challenge" in refusals(await go_on(stage, held.id))[-1]
    ran = await tick(stage, held.id, await form(people, ada, held.id, "invoices"))
    assert f"may not tick invoices; the plan lets {grace}" in refusals(ran)[-1]
    await tick(stage, held.id, await form(people, grace, held.id, "invoices"))
    assert f"open: announced ({ada})" in (await status_of(held.id))["checklist"]
    await forge(held.id, await form(people, grace, held.id, "invoices"), key=await key_of(held.id), state=Scheduled())
    assert f"invoices is done already, by {grace}" in refusals(await go_on(stage, held.id))[-1]
    ran = await tick(stage, held.id, await form(people, ada, held.id, "announced=https://shop.example/news"))
    assert ran.message.startswith("the checklist before closing is complete. ")
    assert ticked(ran) == [("invoices", grace, ""), ("announced", ada, "https://shop.example/news")]
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="3.1")
    assert (await status_of(held.id))["checklist"] == ""


@pytest.mark.usefixtures("visitors")
async def test_what_is_open_at_the_time_limit_is_said_everywhere_and_the_version_stays(stage: Stage, people: People) -> None:
    """Message, record, status and page name the item; nothing can be ticked then."""
    from tasks.rules.documentation.page import write_page  # noqa: PLC0415

    ada, grace = people.names
    held = await hold(stage, "3.2", people, expires_after_minutes=0.3)
    await expect_turn_is_free(stage)
    late = await form(people, ada, held.id, "announced=https://x/1")
    await tick(stage, held.id, await form(people, grace, held.id, "invoices"))
    await asyncio.sleep(18)
    await stage.put_back(held.id)  # as the keeper does when its time is up
    ran = await go_on(stage, held.id)
    assert (ran.state, ran.message.startswith("THE CHECKLIST BEFORE CLOSING IS NOT COMPLETE: ")) == ("Deployed", True), ran
    assert f"still open: announced ({ada}); " in ran.message
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="3.2")
    ends = next(entry for entry in ran.entries if entry.name == "checklist closing")
    assert ends.what == "The checklist before closing is not complete"
    assert "NOT COMPLETE" in (await status_of(held.id))["checklist"]
    page = write_page("{{ checklist }}", ran.entries, run=ran.id, problems=[], pictures=[])
    assert "| announced | NOT TICKED: The customers know |" in page
    assert (await post(held.id, late)).status.value != "ACCEPT"
    assert [item for item, _, _ in ticked(await stage.seen(held.id))] == ["invoices"]


@pytest.mark.usefixtures("visitors")
async def test_a_cancelled_release_is_rolled_back_and_one_that_cannot_go_on_stays_deployed(stage: Stage, people: People) -> None:
    """A person's order is carried out; that a process dies again and again is none."""
    ada, _ = people.names
    held = await hold(stage, "3.3", people)
    await stage.settle(held.id, reason="its process is gone, for the 8th time")
    ran = await stage.seen(held.id)
    assert "people could not be asked any more: its process is gone, for the 8th time" in ran.message
    assert f"announced ({ada})" in ran.message
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="3.3")
    held = await hold(stage, "3.4", people)
    await stage.settle(held.id, reason="not today", cancelled=True)
    await check_closed(stage, await stage.seen(held.id), outcome="cancelled")
    await check_well(stage, version="3.3")


@pytest.mark.usefixtures("visitors")
async def test_a_rollback_while_it_waits_ends_the_release(stage: Stage, people: People) -> None:
    """For a critical bug; it takes the environment over, and the release ends as rolled back."""
    held = await hold(stage, "3.5", people)
    run = await stage.ask("rollback", plan=stage.plan(), reason="critical bug 812", version=FIRST)
    back = await stage.carry_through(run, "rollback")
    assert back.state == "RolledBack", back
    assert await stage.care_of(held.id) == "wake"
    await stage.put_back(held.id)
    await check_closed(stage, await go_on(stage, held.id), outcome="rolled_back")
    await check_well(stage, version=FIRST)


@pytest.mark.usefixtures("visitors")
async def test_a_release_that_lost_production_right_before_the_last_tick_does_not_end_as_deployed(stage: Stage, people: People) -> None:
    """What took it over did not request that it stops, or not yet; what serves then is not its version."""
    ada, grace = people.names
    held = await hold(stage, "3.9", people)
    await tick(stage, held.id, await form(people, grace, held.id, "invoices"))
    platform = stage.platform("production")
    lease = await platform.acquire_lease(str(uuid4()), takeover=True)
    await platform.prepare(FIRST, lease, timeout_seconds=30)
    await platform.promote(lease)
    await platform.release_lease(lease)
    ran = await tick(stage, held.id, await form(people, ada, held.id, "announced=https://x/1"))
    assert ran.message.startswith("a rollback took over what this release had promoted"), ran
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST)


@pytest.mark.usefixtures("visitors")
async def test_another_release_of_the_service_ends_the_wait(stage: Stage, people: People) -> None:
    """It is not refused, though its plan says so of one that is under way; the first one ends as deployed, then the second goes on."""
    held = await hold(stage, "3.6", people, gives_way_after_minutes=0)
    assert await stage.care_of(held.id) == "leave"
    other = await stage.release(stage.tag("3.7"))
    waits = await go_on(stage, other)
    assert (waits.state, waits.entries[-1].what.startswith("Waits for release")) == ("Suspended", True), waits
    assert await stage.care_of(held.id) == "wake"
    await stage.put_back(held.id)
    ran = await go_on(stage, held.id)
    assert "another release of" in ran.message
    await check_closed(stage, ran, outcome="deployed")
    await stage.put_back(other)
    await check_closed(stage, await go_on(stage, other), outcome="deployed")
    await check_well(stage, version="3.7")


@pytest.mark.usefixtures("visitors")
async def test_production_alone_waits_for_them_too(stage: Stage, people: People) -> None:
    """Behind its own gate; it does not ask before production for what is done after it."""
    _, grace = people.names
    plan = plan_of(stage, people, expires_after_minutes=0.3)
    run = await stage.ask("production", plan=plan, version=stage.tag("3.8"), requester="rita", reason="a test")
    await stage.runner.run(run, "production")
    assert (await stage.seen(run)).entries[-1].name == "checklist closing question 1"
    assert (await stage.platform("production").current())["baseline"] == "3.8"
    found = await post(run, await form(people, grace, run, "invoices"))
    assert found.status.value == "ACCEPT"
    await stage.runner.run(run, "production")
    await asyncio.sleep(18)
    await stage.put_back(run)
    await stage.runner.run(run, "production")
    ran = await stage.seen(run)
    assert (ran.state, "announced" in ran.message, "invoices (" in ran.message) == ("Deployed", True, False), ran
    await check_closed(stage, ran, outcome="deployed")
