"""A whole release that reaches production when its window is nearly over: people are asked, and only their proved answer begins it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.flows.gatehouse import answer, answers, enrol, go_on
from tests.flows.harness import Stage, plan_of, spots

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(300), pytest.mark.usefixtures("visitors")]


async def test_people_are_asked_and_nothing_but_their_answers_begins_it(stage: Stage, server: Any) -> None:
    """Resumed without an answer, or with a code for another decision, it asks again; postponed, it waits for the next window."""
    people, soon = await enrol(server), datetime.now(UTC) + timedelta(minutes=20)
    window = {"from": "2020-01-01", "until": f"{soon:%Y-%m-%dT%H:%M}", "zone": "UTC", "reason": "few customers", "owner": "shop"}
    later = {**window, "from": f"{soon + timedelta(days=1):%Y-%m-%dT%H:%M}", "until": f"{soon + timedelta(days=2):%Y-%m-%dT%H:%M}"}
    sections = {
        "windows": {"allow": [window, later], "if_too_short": "ask"},
        "approval": people.section(),
        "production": {**plan_of(stage.name)["production"], "ready_timeout_seconds": 3_000},
    }
    run = await stage.release(stage.tag("1.1"), plan=stage.plan(**sections))
    await go_on(stage, run)
    asked = await answer(stage, run, await people.form(people.names[0], run))
    assert asked.state == "Suspended", asked.message
    assert asked.entries[-1].name == f"window-1-until-{soon:%Y%m%dt%H%M}00 question 1"
    await stage.put_back(run)  # by force, past the form
    assert (await go_on(stage, run)).entries[-1].name.endswith("question 2")
    code = await people.code(people.names[1], run, "postpone")
    wrong = await answer(stage, run, await people.form(people.names[1], run, code=code))
    assert wrong.entries[-1].name.endswith("question 3")
    assert spots(wrong) == ["staging promote"]

    held = await answer(stage, run, await people.form(people.names[1], run, decision="postpone"))
    assert held.state == "Suspended", held.message
    assert [entry.what for entry in held.entries if entry.name.endswith(" decision")] == ["Waits for the next window"]
    assert held.entries[-1].what.startswith(f"Waits: production opens {soon + timedelta(days=1):%a %Y-%m-%d %H:%M}")
    assert stage.state_of("production")["canary"] is None
    assert len(answers(held)) == 1  # the answers of the other gate carry its name
