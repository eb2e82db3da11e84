"""A release that reaches production outside of its windows waits without a process, and goes on when they open; a rollback never waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import yaml

from tasks.lifecycle.quietest import forget_quietest, keep_quietest
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.waiting import wait_in_words
from tasks.windows import calendars
from tasks.windows.calendars import refresh_calendars
from tests.faulty_http import running
from tests.flows.gatehouse import People, answer, answers, enrol, go_on
from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well, plan_of, spots
from tests.flows.test_planned_steps import compare
from tests.rules.windows.calendars import calendar
from tests.tasks.lifecycle.test_quietest import kept_of
from tests.tasks.windows.test_calendars import CalendarHttp, Handler

pytestmark = [pytest.mark.server, pytest.mark.timeout(300), pytest.mark.usefixtures("visitors")]

FREEZE = {"from": "2020-01-01", "until": f"{datetime.now(UTC).year + 1}-12-31", "zone": "UTC", "reason": "stocktaking", "owner": "platform"}
SOON = 25
ALWAYS = {"cron": "0 0 * * *", "duration_days": 1, "zone": "Europe/Berlin", "reason": "any time will do", "owner": "shop"}


class Freezer:
    """The platform team's policy for a stage's production, whose freeze is set and lifted."""

    def __init__(self, stage: Stage) -> None:
        """Protect the production block."""
        self.name = stage.name
        self.lift()

    def _apply(self, **windows: Any) -> None:
        from blocks.key_folder.policy_files import write_policy_file  # noqa: PLC0415

        policy = {
            "policy": 1,
            "name": self.name,
            "protects": [f"local/{self.name}-production"],
            "services": [self.name],
            "windows": windows,
        }
        write_policy_file(self.name, yaml.safe_dump(policy).encode())

    def freeze(self, *, until: datetime | None = None) -> None:
        """Set a freeze until a moment, else until the end of the next year."""
        self._apply(deny=[{**FREEZE, **({"until": f"{until:%Y-%m-%dT%H:%M:%S}"} if until else {})}])

    def lift(self) -> None:
        """Leave the policy without windows."""
        self._apply()

    def end(self) -> None:
        """Take the policy away."""
        from blocks.key_folder.policy_files import remove_policy_file  # noqa: PLC0415

        remove_policy_file(self.name)


@pytest.fixture
def freezer(stage: Stage) -> Iterator[Freezer]:
    """Give the stage's production a policy for one test."""
    found = Freezer(stage)
    yield found
    found.end()


def waits(ran: Ran) -> list[Any]:
    """List the entries with which a release began to wait for a window."""
    return [entry for entry in ran.entries if "waits_until" in entry.evidence]


async def wakes_at(run: str) -> str:
    """Read when the keeper is to wake a run."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client:
        labels = (await client.read_flow_run(UUID(run))).labels
    return str(next(value for name, value in labels.items() if "wake" in name))


async def resume(run: str) -> None:
    """Resume a run before its time, as the UI's Resume does."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client:
        found = await client.resume_flow_run(UUID(run))
    assert found.status.value == "ACCEPT", found


async def wake(stage: Stage, run: str, flow: str = "release") -> Ran:
    """Resume a run before its time, and let it go on."""
    await resume(run)
    return await stage.carry_through(run, flow)


@pytest.mark.slow
async def test_a_release_suspends_until_its_window_opens_and_goes_on_by_itself(stage: Stage, freezer: Freezer) -> None:
    """Until the second: no process meanwhile, production untouched, the keeper wakes it, and its list of steps is what it does."""
    freezer.freeze()
    sections, version = {"windows": {"allow": [ALWAYS]}}, stage.tag("1.1")
    run = await stage.release(version, plan=stage.plan(**sections))
    held = await go_on(stage, run)
    assert held.state == "Suspended", held.message
    assert (await stage.platform("staging").current())["baseline"] == version
    assert stage.state_of("production")["canary"] is None
    assert held.entries[-1] == waits(held)[-1]
    assert await stage.care_of(run) == "leave"

    opens = (datetime.now(UTC) + timedelta(seconds=SOON)).replace(microsecond=0)
    freezer.freeze(until=opens)
    await resume(run)
    held = await go_on(stage, run)
    assert [datetime.fromisoformat(entry.evidence["waits_until"]) for entry in waits(held)][1:] == [opens]
    assert datetime.fromisoformat(await wakes_at(run)) == opens
    await asyncio.sleep(max(0, (opens - datetime.now(UTC)).total_seconds()))
    assert await stage.care_of(run) == "wake"
    ran = await stage.carry_through(run, "release")
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")
    compare(ran, {**plan_of(stage.name), **sections}, version)
    await check_well(stage, version=version)


@pytest.mark.faults
async def test_a_release_waits_for_the_event_of_a_calendar_and_goes_on_when_it_is_removed(
    stage: Stage, freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper reads it again, and wakes the release; while its server is away, the last good one holds, with its age in the record."""
    with running(CalendarHttp(Handler)) as web:
        web.content = calendar(f"DTSTART;VALUE=DATE:20200101|DTEND;VALUE=DATE:{FREEZE['until'].replace('-', '')}|SUMMARY:winter sale")
        freezer._apply(deny=[{"ics": f"{web.url}/token-4711.ics", "zone": "UTC"}])
        run = await stage.release(stage.tag("1.1.1"), plan=stage.plan())
        held = await go_on(stage, run)
        assert held.state == "Suspended", held.message
        assert "by the calendar: winter sale (ask whoever keeps the calendar)" in waits(held)[-1].why
        assert "token" not in waits(held)[-1].why
        assert await stage.care_of(run) == "leave"
        web.content = calendar()
        monkeypatch.setattr(calendars, "now", lambda: datetime.now(UTC) + timedelta(minutes=11))
        await refresh_calendars()
        assert await stage.care_of(run) == "wake"
        web.says = "missing"
        monkeypatch.setattr(calendars, "now", lambda: datetime.now(UTC) + timedelta(hours=2))
        ran = await stage.carry_through(run, "release")
    assert ran.state == "Deployed", ran.message
    begun = next(entry for entry in ran.entries if entry.what.startswith("Production is open"))
    assert "the calendar 127.0.0.1: as it was" in begun.why
    assert "127.0.0.1 answers 404" in begun.why


@pytest.mark.faults
async def test_a_freeze_after_the_approval_holds_the_release_and_needs_no_new_approval(stage: Stage, server: Any, freezer: Freezer) -> None:
    """It only holds; lifted, the release goes on with the approval that it has. Woken before that, it waits again."""
    people: People = await enrol(server)
    run = await stage.release(stage.tag("1.2"), plan=stage.plan(approval=people.section(), windows={"allow": [ALWAYS]}))
    await go_on(stage, run)
    form = await people.form(people.names[0], run)
    freezer.freeze()
    held = await answer(stage, run, form)
    assert held.state == "Suspended", held.message
    (entry,) = waits(held)
    assert f"freeze of the policy {stage.name}" in entry.why
    assert "stocktaking (ask platform)" in entry.why
    assert spots(held) == ["staging promote"]
    await resume(run)
    assert (await go_on(stage, run)).state == "Suspended"
    freezer.lift()
    ran = await wake(stage, run)
    assert ran.state == "Deployed", ran.message
    assert len(answers(ran)) == 1
    assert {entry.round for entry in ran.entries} == {1}
    await check_closed(stage, ran, outcome="deployed")


@pytest.mark.faults
async def test_a_plan_that_changes_while_the_release_waits_voids_the_approval(stage: Stage, server: Any, freezer: Freezer) -> None:
    """What was approved is compared when the window has opened, right before the first change."""
    people = await enrol(server)
    plan = stage.plan(approval=people.section())
    run = await stage.release(stage.tag("1.3"), plan=plan)
    await go_on(stage, run)
    form = await people.form(people.names[0], run)
    freezer.freeze()
    assert (await answer(stage, run, form)).state == "Suspended"
    with open(plan, "a", encoding="utf-8") as file:  # noqa: ASYNC230, PTH123 - a test
        file.write("description: another plan\n")
    freezer.lift()
    ran = await wake(stage, run)
    assert ran.state == "Suspended", ran.message
    assert [entry.why.partition(",")[0] for entry in ran.entries if entry.name == "void"] == ["changed: plan"]
    assert [spot for spot in spots(ran) if spot.startswith("production")] == []
    ran = await answer(stage, run, await people.form(people.names[0], run, decision="reject"))
    await check_closed(stage, ran, outcome="refused")


@pytest.mark.faults
async def test_an_approval_that_grew_too_old_is_asked_for_again(stage: Stage, server: Any, freezer: Freezer) -> None:
    """Nothing else changed; the plan says for how long an approval holds, and production is untouched."""
    people = await enrol(server)
    plan = stage.plan(approval=people.section(valid_for_minutes=0.001))
    run = await stage.release(stage.tag("1.8"), plan=plan)
    await go_on(stage, run)
    freezer.freeze()
    assert (await answer(stage, run, await people.form(people.names[0], run))).state == "Suspended"
    freezer.lift()
    ran = await wake(stage, run)
    assert ran.state == "Suspended", ran.message
    (void,) = [entry for entry in ran.entries if entry.name == "void"]
    assert "more than the 0.001 of `approval.valid_for_minutes`" in void.why
    assert ran.entries[-1].name == "question 1"
    assert ran.entries[-1].round == 2
    assert [spot for spot in spots(ran) if spot.startswith("production")] == []
    ran = await answer(stage, run, await people.form(people.names[0], run, decision="reject"))
    await check_closed(stage, ran, outcome="refused")


@pytest.mark.faults
async def test_what_has_begun_finishes_although_a_freeze_is_set_meanwhile(stage: Stage, freezer: Freezer) -> None:
    """Killed with half of the traffic shifted: it does not stay there until the freeze ends."""
    run = await stage.release(stage.tag("1.4"))
    await stage.runner.run(run, "release", kill_at="entry effect production 50 % shift")
    assert stage.state_of("production")["canary"] is not None
    freezer.freeze()
    ran = await stage.carry_through(run, "release")
    assert ran.state == "Deployed", ran.message
    assert waits(ran) == []
    await check_well(stage, version="1.4")


@pytest.mark.faults
async def test_a_rollback_never_waits_for_a_window(stage: Stage, freezer: Freezer) -> None:
    """Neither one on demand, with a freeze in the plan and in the policy, nor that of a release."""
    ran = await stage.release_through(stage.tag("1.5"))
    assert ran.state == "Deployed", ran.message
    freezer.freeze()
    back = await stage.ask("rollback", plan=stage.plan(windows={"deny": [FREEZE]}), reason="critical bug 812")
    ran = await stage.carry_through(back, "rollback")
    assert ran.state == "RolledBack", ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    assert (await stage.platform("production").current())["baseline"] == FIRST


@pytest.mark.slow
async def test_production_alone_waits_too(stage: Stage, freezer: Freezer) -> None:
    """A phase that runs alone is held by the same freeze."""
    version = stage.tag("1.6")
    freezer.freeze()
    run = await stage.ask("production", plan=stage.plan(), version=version, requester="rita")
    await stage.runner.run(run, "production")
    held = await stage.seen(run)
    assert held.state == "Suspended", held.message
    assert stage.state_of("production")["canary"] is None
    freezer.lift()
    ran = await wake(stage, run, "production")
    assert ran.state == "Deployed", ran.message


@pytest.mark.slow
async def test_a_plan_whose_window_is_never_long_enough_is_refused_before_anything_moves(stage: Stage) -> None:
    """With the numbers; the plan may say that it goes on nevertheless."""
    short = {**ALWAYS, "cron": "* * * * *", "duration_days": None, "duration_minutes": 1}
    gap = {**short, "cron": "*/2 * * * *"}
    production = {**plan_of(stage.name)["production"], "ready_timeout_seconds": 90}
    plan = stage.plan(production=production, windows={"allow": [short], "deny": [gap]})
    ran = await stage.release_through(stage.tag("1.7"), plan=plan)
    assert ran.state == "Refused", ran.message
    assert "no window is long enough" in ran.message
    assert spots(ran) == []


@pytest.mark.faults
async def test_a_release_waits_until_the_quietest_time_is_known_and_goes_on_in_it(stage: Stage) -> None:
    """It says why it waits; once it is measured, and that time is now, the keeper wakes it, and the record says what was measured."""
    windows = {"quietest": {"minutes": 60, "zone": "UTC", "owner": "shop", "counter": "requests"}, "if_too_short": "proceed"}
    path = stage.plan(windows=windows)
    run = await stage.ask("production", plan=path, version=stage.tag("1.9"), requester="rita")
    await stage.runner.run(run, "production")
    held = await stage.seen(run)
    assert held.state == "Suspended", held.message
    assert "it was not measured on this machine. Run `shipway windows PLAN --measure`" in wait_in_words(held.entries)
    assert await stage.care_of(run) == "leave"
    plan, at = Plan.model_validate({**plan_of(stage.name), "windows": windows}), datetime.now(UTC)
    minute = at.weekday() * 1_440 + at.hour * 60 + at.minute // 15 * 15
    keep_quietest(stage.name, kept_of(plan, minute=minute))
    assert await stage.care_of(run) == "wake"
    ran = await stage.carry_through(run, "production")
    assert ran.state == "Deployed", ran.message
    assert any(entry.why.startswith("the quietest window: ") for entry in ran.entries)
    forget_quietest(stage.name)
