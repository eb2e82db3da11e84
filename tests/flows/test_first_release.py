"""The first release of a service, which comes to nothing: nothing ran there before, so there is nothing to return to, and no alarm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.gatehouse import answer, enrol, go_on
from tests.flows.harness import Stage, check_closed
from tests.flows.processes import Runner

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(300)]
STAYS = "nothing ran in staging before {version}: it stays there until another version is released; production was not touched"


@pytest.fixture
async def empty(runner: Runner, tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a service of which nothing was ever deployed."""
    stage = Stage("first", tmp_path, runner)
    stage.repository.mkdir()
    stage.git("init", "--quiet")
    for environment in stage.environments:
        await stage.platform(environment).save(f"{stage.name}-{environment}", overwrite=True)
    yield stage
    await stage.end()


async def check_untouched(stage: Stage) -> None:
    """Assert that nothing runs in production, and that no environment is owned."""
    production, staging = [await stage.platform(name).current() for name in ("production", "staging")]
    assert (production["baseline"], production["canary"], production["owner"], staging["owner"]) == (None, None, None, None)


async def test_a_first_release_that_is_rejected_is_refused_without_an_alarm(empty: Stage, server: Any) -> None:
    """What a person reads is who rejected it, and what is where now."""
    people = await enrol(server)
    version = empty.tag("1.0")
    run = await empty.release(version, plan=empty.plan(approval=people.section()))
    await go_on(empty, run)
    ran = await answer(empty, run, await people.form(people.names[0], run, decision="reject"))
    assert ran.state == "Refused", ran.message
    assert f"{people.names[0]} rejected" in ran.message
    assert ran.message.lower().endswith(STAYS.format(version=version))
    await check_closed(empty, ran, outcome="refused")
    await check_untouched(empty)
    assert (await empty.platform("staging").current())["baseline"] == version


async def test_a_first_release_that_fails_in_staging_is_failed_without_an_alarm(empty: Stage) -> None:
    """The check that failed is the reason; there is no failed rollback to look at."""
    version = empty.tag("1.0-mute")
    ran = await empty.release_through(version)
    assert ran.state == "Failed", ran.message
    assert "ROLLBACK FAILED" not in ran.message
    await check_closed(empty, ran, outcome="failed")
    await check_untouched(empty)


async def test_a_first_release_that_is_stopped_before_production_says_what_stays(empty: Stage) -> None:
    """A first version that comes up, but whose checks fail in staging, stays there: another one is released over it."""
    version = empty.tag("1.0-wrong")
    ran = await empty.release_through(version)
    assert ran.state == "Failed", ran.message
    assert ran.message.lower().endswith(STAYS.format(version=version)), ran.message
    await check_untouched(empty)


async def test_a_first_release_that_is_cancelled_at_its_gate_is_cancelled_without_an_alarm(empty: Stage, server: Any) -> None:
    """As a person does it who changes their mind: what staging has stays, production was never touched."""
    people = await enrol(server)
    version = empty.tag("1.0")
    run = await empty.release(version, plan=empty.plan(approval=people.section()))
    await go_on(empty, run)
    await empty.settle(run, reason="not today", cancelled=True)
    ran = await empty.seen(run)
    assert "ROLLBACK FAILED" not in ran.message
    assert "not today" in ran.message
    assert ran.message.lower().endswith(STAYS.format(version=version)), (ran.state, ran.message)
    await check_closed(empty, ran, outcome="cancelled")
    await check_untouched(empty)
    assert (await empty.platform("staging").current())["baseline"] == version
