"""A rollback that is asked for twice: what the first one left does not come back, one after the other and both at once."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well
from tests.flows.processes import ended

pytestmark = [pytest.mark.server, pytest.mark.timeout(400), pytest.mark.faults]


async def roll_back(stage: Stage, **asked: str) -> Ran:
    """Ask for a rollback and carry it to its end."""
    return await stage.carry_through(await stage.ask("rollback", plan=stage.plan(), reason="a test", **asked), "rollback")


@pytest.mark.usefixtures("visitors")
async def test_a_second_rollback_changes_nothing_and_only_a_release_brings_back_what_the_first_one_left(stage: Stage) -> None:
    """The second says since when the good version serves; what was left is refused by any name, until it is deployed again."""
    bad = stage.tag("8.1")
    await check_closed(stage, await stage.release_through(bad), outcome="deployed")
    first = await roll_back(stage)
    assert (first.state, (await stage.platform("production").current())["baseline"]) == ("RolledBack", FIRST), first
    number = stage.started("production")
    said = f"{FIRST} serves since the rollback {first.id}"
    for asked, words in (({}, said), ({"version": FIRST}, said), ({"version": bad}, first.id), ({"bad": FIRST}, "no earlier version")):
        again = await roll_back(stage, **asked)
        assert (again.state, stage.started("production")) == ("Refused", number), again
        assert words in again.message, asked
    await check_well(stage, version=FIRST, staging=bad)
    await check_closed(stage, await stage.release_through(bad), outcome="deployed")
    assert (await roll_back(stage)).state == "RolledBack"
    await check_well(stage, version=FIRST, staging=bad)


@pytest.mark.usefixtures("visitors")
async def test_two_rollbacks_at_once_end_with_the_good_version_serving(stage: Stage) -> None:
    """The second meets the good version beside the bad one, and goes on with it; it is not what is to go, whatever it is asked for."""
    bad = stage.tag("8.2")
    await check_closed(stage, await stage.release_through(bad), outcome="deployed")
    run = await stage.ask("rollback", plan=stage.plan(), reason="a test")
    pid, points = stage.runner.start(run, "rollback", kill_at="stop LocalPlatform.prepare")
    async with asyncio.timeout(120):
        while not points.exists() or "LocalPlatform.prepare" not in points.read_text():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)
    try:
        refused = await roll_back(stage, bad=FIRST)
        assert (refused.state, (await stage.platform("production").current())["canary"]) == ("Refused", FIRST), refused
        second = await roll_back(stage)
        assert (second.state, (await stage.platform("production").current())["baseline"]) == ("RolledBack", FIRST), second
    finally:
        os.kill(pid, signal.SIGCONT)
    await ended(pid)
    first = await stage.seen(run)
    assert (first.state, second.id in first.message) == ("Failed", True), first
    await check_well(stage, version=FIRST, staging=bad)
