"""Two services and one window for one of them at a time: the second waits without a process until the first has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flows import processes
from tests.flows.gatehouse import go_on
from tests.flows.harness import Stage, check_closed, check_well
from tests.flows.test_windows import ALWAYS

pytestmark = [pytest.mark.server, pytest.mark.timeout(300), pytest.mark.usefixtures("visitors")]


@pytest.fixture
async def other(stage: Stage, tmp_path: Path) -> AsyncIterator[Stage]:
    """Give another service with environments and visitors of its own."""
    found = Stage("other", tmp_path, stage.runner)
    await found.raise_up()
    with processes.traffic(found.public):
        yield found
    await found.end()


@pytest.mark.faults
async def test_the_second_service_waits_for_the_first_although_its_process_died(stage: Stage, other: Stage) -> None:
    """It says behind whom, and is woken when the keeper has finished the first."""
    windows = {"allow": [ALWAYS], "one_at_a_time": stage.name}
    first = await stage.release(stage.tag("1.1"), plan=stage.plan(windows=windows))
    await stage.runner.run(first, "release", kill_at="entry effect production 50 % shift")
    second = await other.release(other.tag("1.1"), plan=other.plan(windows=windows))
    held = await go_on(other, second)
    assert held.state == "Suspended", held.message
    assert held.entries[-1].what == f"Waits: another release of the group `{stage.name}` is under way"
    assert held.entries[-1].why.startswith(f"release {stage.name} 1.1 (")
    assert other.state_of("production")["canary"] is None
    assert await other.care_of(second) == "leave"

    ran = await stage.carry_through(first, "release")
    assert ran.state == "Deployed", ran.message
    assert await other.care_of(second) == "wake"
    ran = await other.carry_through(second, "release")
    assert ran.state == "Deployed", ran.message
    await check_closed(other, ran, outcome="deployed")
    await check_well(other, version="1.1")
