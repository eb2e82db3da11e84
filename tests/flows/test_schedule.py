"""A scheduled release begins production in its time or ends as skipped; what waits is chosen when it goes out."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.flows.gatehouse import answer, enrol, go_on
from tests.flows.harness import FIRST, Stage, check_closed, check_well, spots
from tests.flows.test_windows import Freezer, wakes_at

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

HOUR = timedelta(hours=1)


def moment(ahead: timedelta) -> str:
    """Give a moment as a parameter."""
    return (datetime.now(UTC) + ahead).replace(microsecond=0).isoformat()


@pytest.fixture
def freezer(stage: Stage) -> Iterator[Freezer]:
    """Give the stage's production a policy for one test."""
    found = Freezer(stage)
    yield found
    found.end()


@pytest.fixture
async def deployed(stage: Stage) -> AsyncIterator[Stage]:
    """Give a stage whose releases have the deployment that commands use, and no worker."""
    from prefect import get_client  # noqa: PLC0415

    from flows.candidate import candidate  # noqa: PLC0415
    from flows.release import release  # noqa: PLC0415

    async with get_client() as client:
        for name, flow, tags in (("release", release, ["shipway", "shipway:open"]), ("candidate", candidate, ["shipway"])):
            found: Any = flow
            await client.create_deployment(flow_id=await client.create_flow(found), name=name, entrypoint=f"flows.{name}.{name}", tags=tags)
        yield stage


def parsed(command: str, *words: str) -> argparse.Namespace:
    """Read a command line."""
    from flows.cli import build_parser  # noqa: PLC0415

    return build_parser()[0].parse_args([command, *words])


@pytest.mark.slow
async def test_a_release_that_starts_too_late_is_skipped_before_anything_moves(stage: Stage) -> None:
    """As after a worker that was down all night; without an alert, and with the reason."""
    run = await stage.release(stage.tag("2.1"), not_before=moment(-10 * HOUR), not_later_than=moment(-9 * HOUR))
    ran = await stage.carry_through(run, "release")
    assert ran.state == "Skipped", ran.message
    assert "was scheduled to begin production" in ran.message
    assert spots(ran) == []
    await check_closed(stage, ran, outcome="skipped")


@pytest.mark.faults
@pytest.mark.usefixtures("visitors")
async def test_a_release_that_is_ready_early_begins_at_its_time(stage: Stage) -> None:
    """It is suspended until the second, as for a window; the record says when it was due."""
    begin = moment(timedelta(seconds=20))
    run = await stage.release(stage.tag("2.2"), not_before=begin, not_later_than=moment(HOUR))
    held = await go_on(stage, run)
    assert held.state == "Suspended", held.message
    assert held.entries[-1].what.startswith("Waits: production is due ")
    assert datetime.fromisoformat(await wakes_at(run)) == datetime.fromisoformat(begin)
    assert stage.state_of("production")["canary"] is None
    await asyncio.sleep(max(0.0, (datetime.fromisoformat(begin) - datetime.now(UTC)).total_seconds()))
    ran = await stage.carry_through(run, "release")
    assert ran.state == "Deployed", ran.message
    await check_well(stage, version="2.2")


@pytest.mark.faults
async def test_a_freeze_that_outlasts_the_latest_moment_ends_it_and_staging_goes_back(stage: Stage, server: Any, freezer: Freezer) -> None:
    """Set after staging and before the approval: it neither waits for days nor begins."""
    people = await enrol(server)
    plan = stage.plan(approval=people.section())
    run = await stage.release(stage.tag("2.3"), plan=plan, not_later_than=moment(HOUR))
    await go_on(stage, run)
    form = await people.form(people.names[0], run)
    freezer.freeze()
    ran = await answer(stage, run, form)
    assert ran.state == "Skipped", ran.message
    assert "stocktaking (ask platform)" in ran.message
    assert [spot for spot in spots(ran) if spot.startswith("production")] == []
    await check_closed(stage, ran, outcome="skipped")
    await check_well(stage, version=FIRST)


@pytest.mark.slow
async def test_a_scheduled_release_is_shown_and_can_be_cancelled(
    deployed: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its name, its time and its end; a rollback meanwhile does not stop it, as it is not under way."""
    from prefect import get_client  # noqa: PLC0415

    from flows.commands import cancel, schedule, status  # noqa: PLC0415
    from tasks.lifecycle.lock import under_way  # noqa: PLC0415

    monkeypatch.setenv("COLUMNS", "200")
    plan = deployed.plan(approval={"quorum": 2, "approvers": ["ada", "grace"]})
    words = [plan, "--version", "2.4", "--reason", "a test", "--as", "rita", "--at", "in 3 h", "--not-later-than", "in 5 h"]
    async with get_client() as client:
        assert await schedule._schedule(client, parsed("schedule", *words)) == 0
        shown = capsys.readouterr().out
        name, run = f"release {deployed.name} 2.4", shown.splitlines()[0].split()[-1]
        assert shown.startswith(name)
        assert "The plan asks for 2 approval(s)" in shown
        found = await client.read_flow_run(UUID(run))
        assert found.state is not None
        assert found.state.name == "Scheduled"
        due = found.state.state_details.scheduled_time
        assert due is not None
        assert abs(due - datetime.now(UTC) - 3 * HOUR) < timedelta(minutes=1)

        await status._status(client, parsed("status", "--json"))
        seen = {one["id"]: one for one in json.loads(capsys.readouterr().out)["runs"]}[run]
        assert (seen["name"], seen["due"], seen["not_before"]) == (name, due.isoformat(), due.isoformat())
        assert run not in await under_way.fn(deployed.name, besides="a rollback")
        assert await cancel._cancel(client, parsed("cancel", deployed.name)) == 0
        assert "is cancelled; it had not begun" in capsys.readouterr().out
        assert (await client.read_flow_run(UUID(run))).state_name == "Cancelled"


@pytest.mark.slow
async def test_what_waits_is_the_newest_version_with_its_evidence(deployed: Stage) -> None:
    """Newest by version; one whose release failed is not tried again by itself, and while one is under way nothing else is begun."""
    from prefect import get_client  # noqa: PLC0415

    from flows.candidate import candidate  # noqa: PLC0415
    from tasks.lifecycle.schedule import names_of_release  # noqa: PLC0415

    junit = [{"junit": "report.xml"}]
    plan = deployed.plan(tests=junit)
    asked = {"plan": plan, "pattern": "v3*", "reason": "a test", "requester": "rita"}

    async def choose(**more: Any) -> Any:
        return await candidate(**{**asked, **more}, return_state=True)

    none = await choose()
    assert (none.name, none.message) == ("Skipped", "nothing waits: no tag `v3*` is newer than what runs in production")
    for version in ("3.10", "3.9", "3.11rc1", "3.12"):
        deployed.tag(version)
    missing = await choose()
    assert missing.name == "Skipped"
    assert missing.message.startswith("3.12: ")
    assert "report.xml" in missing.message

    await asyncio.to_thread(Path(plan).with_name("report.xml").write_text, '<testsuite tests="1"><testcase name="a"/></testsuite>')
    async with get_client() as client:
        failed = names_of_release(deployed.name, "3.12")
        await client.create_flow_run(candidate, tags=[*failed["tags"], "shipway:release", "outcome:rolled_back"])
    late = await choose(not_later_than=moment(-HOUR))
    assert (late.name, late.message.partition(" ")[0]) == ("Skipped", "it")
    good = await choose()
    assert good.name == "Released", good.message
    assert good.message.startswith("the release of 3.10 begins")
    again = await choose()
    assert again.message == f"release {deployed.name} 3.10 is under way or scheduled already"
