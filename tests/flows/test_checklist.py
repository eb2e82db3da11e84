"""The checklist that people tick, in whole releases: without a process while it waits, and only by proved ticks of the right people."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.flows.gatehouse import People, enrol, forge, go_on, post, question
from tests.flows.harness import FIRST, Stage, check_closed, check_well
from tests.flows.processes import Traffic
from tests.flows.ticking import command, form, hold, key_of, refusals, tick, ticked

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture
async def people(server: Any) -> People:
    """Enrol two people."""
    return await enrol(server)


@pytest.mark.faults
async def test_two_people_tick_one_in_the_form_and_one_in_the_terminal(
    stage: Stage,
    visitors: Traffic,  # noqa: ARG001 - without requests nothing passes
    people: People,
    tmp_path: Path,
) -> None:
    """Suspended twice without a process, it goes on with the second tick; record, status and artifact say who did what."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey  # noqa: PLC0415

    from flows.commands import check_off  # noqa: PLC0415
    from flows.commands.status import _facts  # noqa: PLC0415

    ada, grace = people.names
    held = await hold(stage, "2.1", people)
    assert "backup" in held.entries[-1].what
    ran = await tick(stage, held.id, await form(people, ada, held.id, "backup=https://ci.example/7"))
    assert (ran.state, ticked(ran)) == ("Suspended", [("backup", ada, "https://ci.example/7")])
    async with get_client() as client:
        facts = await _facts(await client.read_flow_run(UUID(held.id)), {})
        told = await check_off._facts(await client.read_flow_run(UUID(held.id)), await check_off._asked(client, UUID(held.id)))
        page = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[f"checklist-{stage.name}"])))
    assert facts["checklist"] == f"checklist before production: 6 of 7; backup done by {ada}; open: call-centre ({grace})"
    assert facts["ticks"]
    assert (told["open"], told["checklist"]["through"], told["checklist"]["open"][0]["who"]) == (["call-centre"], "6 of 7", [grace])
    assert [(one["item"], one["who"]) for one in told["checklist"]["done"]] == [("backup", ada)]
    assert any("6 of 7" in str(one.data) for one in page)
    assert (await stage.platform("production").current())["baseline"] == FIRST
    code, ran = await command(stage, people, held.id, grace, "call-centre", folder=tmp_path)
    assert code == 0
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="2.1")
    assert ticked(ran)[1:] == [("call-centre", grace, "")]
    assert next(entry.why for entry in ran.entries if entry.name == "checklist production") == "7 of 7 are through"


@pytest.mark.faults
async def test_no_tick_counts_without_its_proof(stage: Stage, people: People) -> None:
    """Forged in the API, of another question or item, by the wrong person, without evidence, twice: each is refused, and nothing moves."""
    from prefect.states import Scheduled  # noqa: PLC0415

    ada, grace = people.names
    held = await hold(stage, "2.2", people, {"name": "load", "text": "The load is known", "who": [ada]})
    good = await form(people, ada, held.id, "load")
    await forge(held.id, {**good, "code": "12345678"}, key="checklist-production-1", state=Scheduled())
    assert "does not answer the challenge" in refusals(await go_on(stage, held.id))[-1]
    assert "does not answer the challenge" in refusals(await tick(stage, held.id, good))[-1]
    for who, item, code_for, words in (
        (ada, "load", ("backup=https://x/",), "does not answer the challenge"),
        (grace, "load", None, f"may not tick load; the plan lets {ada}"),
        (ada, "backup=soon", None, "a link is asked for"),
    ):
        ran = await tick(stage, held.id, await form(people, who, held.id, item, code_for=code_for))
        assert words in refusals(ran)[-1]
    await stage.put_back(held.id)  # by force, past the form
    ran = await go_on(stage, held.id)
    assert (ran.state, ticked(ran), len(refusals(ran))) == ("Suspended", [], 5)
    await tick(stage, held.id, await form(people, ada, held.id, "load"))
    again = await form(people, ada, held.id, "load")
    await forge(held.id, again, key=await key_of(held.id), state=Scheduled())  # which the form does not offer any more
    ran = await go_on(stage, held.id)
    assert f"load is done already, by {ada}" in refusals(ran)[-1]
    assert ticked(ran) == [("load", ada, "")]
    assert (await stage.platform("production").current())["baseline"] == FIRST


@pytest.mark.faults
async def test_of_two_people_at_the_same_moment_each_counts_once(stage: Stage, people: People) -> None:
    """One is taken, the other answers the next question; what a person ticked who was removed since opens no production."""
    ada, grace = people.names
    held = await hold(stage, "2.3", people)
    forms = [await form(people, ada, held.id, "backup=https://x/1"), await form(people, grace, held.id, "call-centre")]
    found = await asyncio.gather(*(post(held.id, one) for one in forms), return_exceptions=True)
    taken = [number for number, one in enumerate(found) if not isinstance(one, BaseException) and one.status.value == "ACCEPT"]
    ran = await go_on(stage, held.id)
    assert len(taken) >= 1
    assert len(ticked(ran)) == 1, ran
    late = grace if ticked(ran)[0][1] == ada else ada
    item = "call-centre" if late == grace else "backup=https://x/1"
    filled = await form(people, late, held.id, item)
    people.block.remove(ticked(ran)[0][1])
    await people.block.save(people.name, overwrite=True)
    ran = await tick(stage, held.id, filled)
    assert len(ticked(ran)) == 2
    assert "the checklist does not hold: " in ran.message
    assert "is not enrolled any more" in ran.message
    await check_closed(stage, ran, outcome="refused")
    await check_well(stage, version=FIRST)


@pytest.mark.faults
async def test_what_is_still_open_in_the_end_is_refused_and_nothing_can_be_ticked_then(stage: Stage, people: People) -> None:
    """The message names the items and who could have ticked them."""
    from blocks.errors import Refused  # noqa: PLC0415
    from flows.commands.check_off import _asked  # noqa: PLC0415
    from tasks.lifecycle.server import server  # noqa: PLC0415

    ada, grace = people.names
    held = await hold(stage, "2.4", people, expires_after_minutes=0.1)
    late = await form(people, ada, held.id, "backup=https://x/1")
    await asyncio.sleep(6)
    await stage.put_back(held.id)  # as the keeper does when its time is up
    ran = await go_on(stage, held.id)
    await check_closed(stage, ran, outcome="refused")
    assert f"still open: backup ({ada}), call-centre ({grace}); 5 of 7 are through" in ran.message
    assert (await post(held.id, late)).status.value != "ACCEPT"
    async with server() as client:
        with pytest.raises(Refused, match="does not wait for an answer"):
            await _asked(client, UUID(held.id))
    assert ticked(await stage.seen(held.id)) == []


@pytest.mark.faults
async def test_staging_waits_for_its_own_items_and_approvers_see_the_ticks(stage: Stage, people: People) -> None:
    """Skipped with a reason by who may; staging alone asks no one, so it is refused. The approval stands behind all of it."""
    ada, grace = people.names
    item = {"name": "rehearsed", "text": "It was rehearsed", "who": [ada], "skipped_by": [grace], "before": "staging"}
    section = {"tests_passed": False, "items": [item]}
    plan, version = stage.plan(checklist=section, approval=people.section()), stage.tag("2.5")
    alone = await stage.carry_through(await stage.ask("staging", plan=plan, version=version, reason="a test"), "staging")
    assert "the checklist does not hold: rehearsed: it is not ticked" in alone.message
    run = await stage.release(version, plan=plan)
    held = await go_on(stage, run)
    assert (held.state, held.entries[-1].name) == ("Suspended", "checklist staging question 1")
    assert (await stage.platform("staging").current())["baseline"] == FIRST
    ran = await tick(stage, run, await form(people, grace, run, skip=("rehearsed=the same was rehearsed on Monday",)))
    assert ran.state == "Suspended", ran
    assert (await stage.platform("staging").current())["baseline"] == version
    name, text = await question(run)
    assert name == "production-1"
    assert "the same was rehearsed on Monday" in text
    entry = next(one for one in ran.entries if one.kind == "tick")
    assert (entry.evidence["did"], entry.evidence["outcome"], entry.who) == ("skipped", "skipped", grace)
    ran = await tick(stage, run, await people.form(ada, run, decision="reject"))
    await check_closed(stage, ran, outcome="refused")
