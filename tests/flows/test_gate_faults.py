"""A gate that is answered wrongly, twice, late, by no one who may, or past the form."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.flows.gatehouse import People, answer, answers, enrol, forge, go_on, post, question
from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(600), pytest.mark.usefixtures("visitors")]


@pytest.fixture
async def people(server: Any) -> People:
    """Enrol two people."""
    return await enrol(server)


async def hold(stage: Stage, version: str, people: People, **approval: Any) -> Ran:
    """Bring a release to its gate, whose checklist asks a program beside the plan."""
    write_program(stage, "exit 0")
    checklist = {"tests_passed": False, "commands": [{"name": "quiet", "command": ["./quiet.sh"]}]}
    run = await stage.release(stage.tag(version), plan=stage.plan(approval=people.section(**approval), checklist=checklist))
    ran = await go_on(stage, run)
    assert ran.state == "Suspended", ran
    return ran


def write_program(stage: Stage, line: str) -> None:
    """Write the program of the checklist."""
    program = stage.repository / "quiet.sh"
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(0o755)


async def test_only_a_good_code_opens_a_gate(stage: Stage, people: People) -> None:
    """Forgeries, forced states, wrong codes and old keys leave it open and say why; then a right code opens it."""
    from prefect.states import Running, Scheduled  # noqa: PLC0415

    ada, grace = people.names
    run = (await hold(stage, "3.1", people)).id
    await forge(run, {"decision": "approve", "approver": ada, "code": "00000000"}, key="production-1", state=Scheduled())
    assert "does not answer the challenge" in answers(await go_on(stage, run))[-1]
    await forge(run, None, key="", state=Running())
    assert (await go_on(stage, run)).state == "Suspended"
    key, text = await question(run)
    assert key == "production-3"
    await forge(run, await people.form(ada, run), key="production-1x", state=Scheduled())
    assert (await go_on(stage, run)).state == "Suspended"
    ran = await answer(stage, run, await people.form(ada, run, code="12345678"))
    assert "does not answer the challenge" in answers(ran)[-1]
    key, text = await question(run)
    assert "does not answer the challenge" in text
    assert stage.state_of("production")["canary"] is None
    ran = await answer(stage, run, await people.form(grace, run))
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="3.1")


async def test_a_code_counts_once(stage: Stage, people: People) -> None:
    """The code of an approval does not serve for a rejection; a rejection ends the release, and no approval counts after it."""
    from prefect.states import Scheduled  # noqa: PLC0415

    ada, grace = people.names
    run = (await hold(stage, "3.3", people, quorum=2)).id
    form = await people.form(ada, run)
    assert (await answer(stage, run, form)).state == "Suspended"
    ran = await answer(stage, run, {**form, "decision": "reject"})
    assert ran.state == "Suspended", ran.message
    assert "does not answer the challenge to reject" in answers(ran)[-1]
    late = await people.form(grace, run)
    ran = await answer(stage, run, await people.form(grace, run, decision="reject", comment="not today"))
    assert "not today" in ran.message
    await check_closed(stage, ran, outcome="refused")
    await check_well(stage, version=FIRST)
    assert (await post(run, late)).status.value != "ACCEPT"
    await forge(run, late, key="production-4", state=Scheduled())
    again = await go_on(stage, run)
    assert (again.state, again.entries) == (ran.state, ran.entries)
    await check_closed(stage, again, outcome="refused")
    await check_well(stage, version=FIRST)


async def test_a_late_approval_is_refused(stage: Stage, people: People) -> None:
    """A gate that no one answered in time is woken by the keeper and ends the release as refused; staging goes back."""
    held = await hold(stage, "3.4", people, expires_after_minutes=0.02)
    await asyncio.sleep(1.3)
    assert await stage.care_of(held.id) == "wake"
    ran = await answer(stage, held.id, await people.form(people.names[0], held.id))
    assert ran.state == "Refused", ran.message
    assert "the gate closed" in answers(ran)[-1]
    await check_closed(stage, ran, outcome="refused")
    await check_well(stage, version=FIRST)


async def test_what_changed_while_it_waited_is_asked_again(stage: Stage, server: Any) -> None:
    """Another plan, other commits with another program of its checklist, another running version: each voids the approval."""
    people = await enrol(server, size=4)
    held = await hold(stage, "3.5", people)
    plan = next(entry for entry in held.entries if entry.kind == "opened").evidence["plan"]
    with open(plan, "a") as file:  # noqa: ASYNC230, PTH123
        file.write("description: edited\n")
    digests = {await question(held.id)}
    ran = await answer(stage, held.id, await people.form(people.names[0], held.id))
    assert ran.entries[-1].evidence["key"] == "production-round-2-1"
    _, text = await question(held.id)
    assert re.search(r"may it go to production\?.*Asked again.*changed.*plan.*→ edited", text, re.DOTALL), text
    assert text.count("| Checklist |") == 1
    stage.git("commit", "--quiet", "--allow-empty", "-m", "One more")
    stage.git("tag", "--force", "v3.5")
    write_program(stage, "exit 0 # always")
    digests.add(await question(held.id))
    ran = await answer(stage, held.id, await people.form(people.names[1], held.id))
    assert ran.entries[-1].evidence["key"] == "production-round-3-1"
    void = [entry for entry in ran.entries if entry.name == "void"][-1]
    assert void.why == "changed: change_log, files"
    assert "files: the plan's ./quiet.sh changed" in void.evidence["differences"]
    stage.tag("3.4.9")
    platform = stage.platform("production")
    lease = await platform.acquire_lease("someone")
    await platform.prepare("3.4.9", lease, timeout_seconds=30)
    await platform.promote(lease)
    await platform.release_lease(lease)
    digests.add(await question(held.id))
    ran = await answer(stage, held.id, await people.form(people.names[2], held.id))
    assert ran.entries[-1].evidence["key"] == "production-round-4-1", [entry.why for entry in ran.entries]
    assert len([entry for entry in ran.entries if entry.name == "void"]) == 3
    ran = await answer(stage, held.id, await people.form(people.names[3], held.id))
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="3.5")
