"""Faults at the moment at which a window opens: a clock that jumps by an hour, a keeper that is killed, a server that does not answer."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from flows.lifecycle import windows
from flows.lifecycle.windows import wait_for_window
from tasks.rules.lifecycle.reconcile import RunFacts, decide_care
from tasks.rules.rollout.waiting import wake_time
from tests.flows.gatehouse import go_on
from tests.flows.harness import Stage, check_closed
from tests.flows.keeping import keep
from tests.flows.test_freezes import seen_by_the_keeper
from tests.flows.test_held_steps import Kept, nothing
from tests.flows.test_what_keeps_a_wave import World, phase_of, world
from tests.flows.test_windows import Freezer, freezer

__all__ = ["freezer", "world"]
HOUR = timedelta(hours=1)
OPENS = datetime(2026, 11, 30, 22, tzinfo=UTC)
NIGHTLY = {"cron": "0 22 * * *", "duration_minutes": 90, "zone": "UTC", "reason": "few customers", "owner": "shop"}


class Clock:
    """The clock of this machine, which jumps, and the run that waits by it."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the release of a plan with a nightly window begin to wait an hour and a half before it."""
        assert world.frozen is None
        self.at = OPENS - 1.5 * HOUR
        self.phase = phase_of(allow=[NIGHTLY])
        monkeypatch.setattr(windows, "now", lambda: self.at)
        for name in ("_holds_lease", "_is_changed", "check_not_stopped"):
            monkeypatch.setattr(windows, name, nothing)

    async def waits_until(self) -> datetime | None:
        """Look, as the run does when it is started, and say until when it waits; None if the wave begins."""
        await wait_for_window(self.phase, ["production"])
        return wake_time(Kept.entries)

    def care(self) -> str:
        """Say what the keeper does with the run now."""
        wake_at = wake_time(Kept.entries)
        seen = RunFacts("PAUSED", OPENS - 2 * HOUR, None, None, wake_at, stop_requested=False, attempts=1, begun=True, waits=True)
        return decide_care(seen, now=self.at).act


@pytest.fixture
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock that stands at half past eight, and a window at ten."""
    return Clock(world, monkeypatch)


async def test_a_clock_that_goes_ahead_over_the_opening_and_back_lets_it_wait_on(clock: Clock) -> None:
    """The keeper wakes it by the wrong clock; put right before the release looks, it waits for the same opening again."""
    assert await clock.waits_until() == OPENS
    assert clock.care() == "leave"
    clock.at += 2 * HOUR
    assert clock.care() == "wake"
    clock.at -= 1.9 * HOUR
    assert await clock.waits_until() == OPENS
    assert clock.care() == "leave"
    clock.at = OPENS
    assert clock.care() == "wake"
    assert await clock.waits_until() is None


async def test_a_clock_that_goes_back_over_the_opening_delays_and_loses_nothing(clock: Clock) -> None:
    """The release is woken when the clock reads the opening again; one that was awake by then waits for it."""
    assert await clock.waits_until() == OPENS
    clock.at = OPENS + timedelta(seconds=5) - HOUR
    assert clock.care() == "leave"
    assert await clock.waits_until() == OPENS
    clock.at += HOUR
    assert clock.care() == "wake"
    assert await clock.waits_until() is None


async def test_a_clock_that_jumps_over_the_window_lets_it_wait_for_the_next(clock: Clock) -> None:
    """Nothing begins at noon because it was due at night."""
    assert await clock.waits_until() == OPENS
    clock.at = OPENS + 2 * HOUR
    assert clock.care() == "wake"
    assert await clock.waits_until() == OPENS + 24 * HOUR


@pytest.mark.server
@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("visitors")
async def test_a_keeper_that_dies_or_meets_no_server_when_a_window_opens_leaves_it_to_the_next(
    stage: Stage, freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after the run's new state is stored: it is woken once, and goes on."""
    from tasks.lifecycle.clock import now  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay
    from tasks.lifecycle.run_labels import set_wakeup  # noqa: PLC0415

    opens = now() + timedelta(days=1)
    freezer.freeze(until=opens)
    run = await stage.release(stage.tag("1.1"))
    held = await go_on(stage, run)
    assert held.state == "Suspended", held.message
    assert await seen_by_the_keeper(run) == "leave"
    freezer.lift()  # what the window's opening looks like to the release; to the keeper it is the time
    await set_wakeup(run, at=now())
    with monkeypatch.context() as patch:
        patch.setattr(importlib.import_module("flows.keeper"), "start_again", no_answer)
        assert await keep(run, settle=stage.settle) == []
    await stage.runner.run(await stage.ask("keeper"), "keeper", kill_at="PrefectClient.set_flow_run_state Running")
    assert await seen_by_the_keeper(run) == "wake"
    await stage.runner.run(await stage.ask("keeper"), "keeper", kill_at="PrefectClient.set_flow_run_state AwaitingRetry")
    assert (await stage.seen(run)).state == "AwaitingRetry"
    ran = await stage.carry_through(run, "release")
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")


async def no_answer(*_: Any, **__: Any) -> bool:
    """Fail as a call does while the server is down."""
    wrong = "connection refused"
    raise httpx.ConnectError(wrong)
