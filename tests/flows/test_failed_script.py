"""Releases whose script fails: people are asked with what it printed last, and it is run again or the release is rolled back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.flows.gatehouse import answer, enrol, post, question
from tests.flows.harness import FIRST, Ran, check_closed
from tests.flows.keeping import keep
from tests.flows.test_script_release import ScriptStage, check_runs, scripts

if TYPE_CHECKING:
    from tests.conftest import Server

__all__ = ["scripts"]
pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(300)]
FAILS_WHILE = """#!/bin/sh
echo "$*" >>calls
if [ "$1 $2" = "deploy 1.1" ] && [ -f full ]; then
    ./quotes.sh deploy ""  # it stops what runs first, as scripts do: then `status` names nothing
    echo "no space left on [shard-7](https://evil.example)"
    exit 4
fi
exec ./quotes.sh "$@"
"""


def fill(stage: ScriptStage, environment: str) -> Path:
    """Let each deployment of 1.1 there fail while a file is there."""
    place = stage.folder / environment
    (place / "held.sh").write_text(FAILS_WHILE)
    (place / "full").touch()
    return place / "full"


async def go_on(stage: ScriptStage, run: str) -> Ran:
    """Let the keeper put a run back to work, and let it go on in a process of its own."""
    assert await keep(run, settle=stage.settle)
    await stage.runner.run(run, "release")
    return await stage.seen(run)


async def test_a_script_that_failed_is_run_once_more_after_people_approved(scripts: ScriptStage, server: Server) -> None:
    """The process that has the answer is killed: what was allowed is run once, and the release goes on."""
    scripts.tag("1.1")
    full, people = fill(scripts, "production"), await enrol(server)
    plan = scripts.plan(approval=people.section(), on_script_failure={"then": "ask"})
    run = await scripts.release("1.1", plan=plan)
    await scripts.runner.run(run, "release")
    assert (await answer(scripts, run, await people.form(people.names[0], run))).state == "Suspended"
    key, text = await question(run)
    assert key == "script-production-deploy-1-1"
    assert "What it printed last" in text
    assert "no space left on" in text
    assert "](https" not in text
    assert scripts.calls("production") == ["deploy 1.1"]
    full.unlink()
    await post(run, await people.form(people.names[0], run))
    await scripts.runner.run(run, "release", kill_at="entry gate production script-production-deploy-1 decision")
    ran = await go_on(scripts, run)
    assert ran.state == "Deployed", ran.message
    await check_closed(scripts, ran, outcome="deployed")
    await check_runs(scripts, "1.1")
    assert scripts.calls("production") == ["deploy 1.1"] * 2
    asked = [entry.what for entry in ran.entries if entry.name == "script-production-deploy-1 question 1"]
    assert asked == [f"Asked {', '.join(people.names)} whether to run deploy 1.1 again"]
    page = (server.home / "storage" / "records" / run / "deployment.md").read_text()
    assert "deploy 1.1 is run again" in page
    assert "](https" not in page


async def test_a_question_about_a_script_that_no_one_answers_rolls_back(scripts: ScriptStage, server: Server) -> None:
    """After the retries of the plan, and killed before it is asked; staging is rolled back by its script, which asks no one."""
    scripts.tag("1.1")
    fill(scripts, "staging")
    people = await enrol(server)
    section: dict[str, Any] = {"retries": 1, "then": "ask", "answer_within_minutes": 0.01}
    plan = scripts.plan(approval=people.section(), on_script_failure=section)
    ran = await scripts.release_through("1.1", plan=plan, kill_at="entry note staging script-staging-deploy-2 failed")
    assert ran.state == "Failed"
    assert "It is not run again: 0 of 1 approvals by" in ran.message
    assert "Staging is back on 1.0" in ran.message
    await check_closed(scripts, ran, outcome="failed")
    await check_runs(scripts, FIRST)
    assert scripts.calls("staging") == ["deploy 1.1", "deploy 1.1", f"deploy {FIRST}"]
    assert scripts.calls("production") == []
    (decision,) = [entry for entry in ran.entries if entry.name == "script-staging-deploy-2 decision"]
    assert (decision.what, decision.evidence["may_run_again"]) == ("deploy 1.1 is not run again", False)
