"""A freeze stops every step forward at the next boundary, never a rollback; lifted, releases go on by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.flows.gatehouse import People, enrol
from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well, spots
from tests.flows.processes import ended

pytestmark = [pytest.mark.server, pytest.mark.timeout(300), pytest.mark.usefixtures("visitors", "thawed")]
SECONDS = 60


class Switch:
    """The freezes of one test."""

    def set(self, service: str, **more: Any) -> Any:
        """Set a freeze."""
        from tasks.lifecycle.freezes import set_freeze  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

        return set_freeze(**{"who": "ada", "reason": "incident 7", "service": service, **more})

    def lift(self, freeze: Any) -> None:
        """Lift it."""
        from tasks.lifecycle.clock import now  # noqa: PLC0415
        from tasks.lifecycle.freezes import end_freeze  # noqa: PLC0415
        from tasks.rules.windows.freeze import Lifted  # noqa: PLC0415

        end_freeze(freeze, Lifted(who="grace", at=now(), reason="it is over", proved="machine"))


@pytest.fixture
def thawed() -> Iterator[None]:
    """Leave no freeze behind."""
    from blocks.key_folder.freeze_files import freeze_folder  # noqa: PLC0415

    yield
    for path in freeze_folder().glob("*"):
        path.unlink()


switch = Switch()
ALWAYS = {"cron": "0 0 * * *", "duration_days": 1, "zone": "UTC", "reason": "any time will do", "owner": "shop"}


async def until(stage: Stage, run: str, holds: Callable[[Ran], bool]) -> Ran:
    """Wait until something is so of a run."""
    end = time.monotonic() + SECONDS
    while True:
        ran = await stage.seen(run)
        if holds(ran):
            return ran
        assert time.monotonic() < end, [entry.label for entry in ran.entries]
        await asyncio.sleep(0.3)


def held(ran: Ran) -> list[Any]:
    """List the entries that say what holds a step of a wave that has begun."""
    return [entry for entry in ran.entries if "held_by" in entry.evidence and entry.environment]


async def seen_by_the_keeper(run: str) -> str:
    """Ask the keeper's own rule what a run needs now."""
    from tasks.lifecycle.clock import now  # noqa: PLC0415
    from tasks.record.open_runs import find_open  # noqa: PLC0415
    from tasks.rules.lifecycle.reconcile import decide_care  # noqa: PLC0415

    (seen,) = [one.seen for one in await find_open.fn() if one.id == run]
    return decide_care(seen, now=now()).act


@contextlib.contextmanager
def policy(stage: Stage, **windows: Any) -> Iterator[None]:
    """Protect the stage's production by a policy."""
    from blocks.key_folder.policy_files import remove_policy_file, write_policy_file  # noqa: PLC0415

    facts = {"policy": 1, "name": stage.name, "protects": [f"local/{stage.name}-production"], "services": [stage.name], "windows": windows}
    write_policy_file(stage.name, yaml.safe_dump(facts).encode())
    yield
    remove_policy_file(stage.name)


def text_of(path: str) -> bytes:
    """Read a plan."""
    return Path(path).read_bytes()


def override_of(people: People, run: str, *, service: str, holds: list[str]) -> Any:
    """Answer, as the first of these people, whether something is set aside for 1.7."""
    from tasks.rules.approval.answers import read_answer  # noqa: PLC0415
    from tasks.rules.approval.one_time_codes import code_of  # noqa: PLC0415
    from tasks.rules.approval.override import gate_of  # noqa: PLC0415
    from tasks.rules.policy.rules import Allowed  # noqa: PLC0415

    name, at = people.names[0], datetime.now(UTC)
    asked = gate_of(run, holds, service=service, version="1.7", allowed=Allowed((name,), 1), at=at).asked()
    code = code_of(people.block.secret(name), asked.challenge("approve"))
    return read_answer({"decision": "approve", "approver": name, "code": code, "comment": "bug 812"}, received_at=at)


@contextlib.contextmanager
def spoiled(version: str) -> Iterator[None]:
    """Let a version of the mode `spoils` answer with errors."""
    path = Path(tempfile.gettempdir(), version)
    path.touch()
    yield
    path.unlink()


async def begun(stage: Stage, version: str, **sections: Any) -> str:
    """Release until half of production's traffic is shifted, where the process dies."""
    run = await stage.release(stage.tag(version), plan=stage.plan(**sections))
    await stage.runner.run(run, "release", kill_at="entry effect production 50 % shift")
    await stage.put_back(run)
    return run


@pytest.mark.slow
async def test_a_freeze_holds_a_wave_before_its_next_step_and_lifted_it_goes_on(stage: Stage) -> None:
    """At the share that it has, whose watch went on; the record says who held it and who lifted it."""
    run = await begun(stage, "1.1")
    freeze = switch.set(stage.name)
    pid, _ = stage.runner.start(run, "release")
    ran = await until(stage, run, lambda ran: bool(held(ran)))
    assert spots(ran)[-1] == "production 50 % shift"
    assert [entry.step for entry in held(ran)] == [100]
    assert "set by ada" in held(ran)[0].why
    assert "incident 7" in held(ran)[0].why
    await asyncio.sleep(3)
    assert stage.state_of("production")["percent"] == 50
    switch.lift(freeze)
    await ended(pid)
    ran = await stage.seen(run)
    assert ran.state == "Deployed", ran.message
    (over,) = [entry for entry in ran.entries if entry.name == f"over {freeze.id}"]
    assert (over.who, "because: it is over" in over.why) == ("grace", True)
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="1.1")


@pytest.mark.slow
async def test_a_freeze_set_between_the_last_look_and_the_first_change_is_seen(stage: Stage) -> None:
    """The release goes back to wait, without a process and with production untouched; the keeper sees that it was lifted."""
    run = await stage.release(stage.tag("1.2"), plan=stage.plan(windows={"allow": [ALWAYS]}))
    pid, points = stage.runner.start(run, "release", kill_at="stop entry gate window 1")
    end = time.monotonic() + SECONDS
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < end, points.read_text()
        await asyncio.sleep(0.2)
    freeze = switch.set(stage.name)
    os.kill(pid, signal.SIGCONT)
    await ended(pid)
    ran = await stage.seen(run)
    assert ran.state == "Suspended", ran.message
    assert [spot for spot in spots(ran) if spot.startswith("production")] == []
    assert stage.state_of("production")["canary"] is None
    assert "incident 7" in ran.entries[-1].why
    for _ in range(3):  # policies and calendars of other tests change meanwhile: then it is woken, looks again, and waits as before
        if await seen_by_the_keeper(run) == "leave":
            break
        assert (await stage.carry_through(run, "release")).state == "Suspended"
    assert await seen_by_the_keeper(run) == "leave"
    switch.lift(freeze)
    assert await seen_by_the_keeper(run) == "wake"
    ran = await stage.carry_through(run, "release")
    assert ran.state == "Deployed", ran.message
    await check_closed(stage, ran, outcome="deployed")


@pytest.mark.faults
async def test_a_keeper_that_dies_when_a_freeze_is_lifted_leaves_it_to_the_next(stage: Stage) -> None:
    """It keeps no state: whatever it had done by then, the release is woken once."""
    freeze = switch.set(stage.name)
    run = await stage.release(stage.tag("1.3"))
    await stage.runner.run(run, "release")
    held = await stage.seen(run)
    assert (held.state, spots(held)) == ("Suspended", []), held.message  # staging is frozen, too
    switch.lift(freeze)
    await stage.runner.run(await stage.ask("keeper"), "keeper", kill_at="PrefectClient.set_flow_run_state Running")
    assert await seen_by_the_keeper(run) == "wake"
    await stage.runner.run(await stage.ask("keeper"), "keeper", kill_at="PrefectClient.set_flow_run_state AwaitingRetry")
    assert (await stage.seen(run)).state == "AwaitingRetry"
    ran = await stage.carry_through(run, "release")
    assert ran.state == "Deployed", ran.message
    assert [entry.who for entry in ran.entries if entry.name == f"over {freeze.id}"] == ["grace"]


@pytest.mark.faults
async def test_a_freeze_never_stops_a_rollback_and_a_held_release_gives_way_to_it(stage: Stage) -> None:
    """A rollback that is asked for ends the release that is held half-way, and brings the version before."""
    run = await begun(stage, "1.4")
    switch.set(stage.name)
    pid, _ = stage.runner.start(run, "release")
    await until(stage, run, lambda ran: bool(held(ran)))
    back = await stage.ask("rollback", plan=stage.plan(), reason="critical bug 812")
    ran = await stage.carry_through(back, "rollback")
    assert ran.state == "RolledBack", ran.message
    await ended(pid)
    assert (await stage.platform("production").current())["baseline"] == FIRST


@pytest.mark.faults
async def test_a_canary_that_fails_while_it_is_held_is_rolled_back(stage: Stage) -> None:
    """It is watched on, and its requests are stopped at once."""
    version = f"1.5-spoils.{secrets.token_hex(4)}0"
    run = await begun(stage, version)
    switch.set(stage.name)
    pid, _ = stage.runner.start(run, "release")
    await until(stage, run, lambda ran: bool(held(ran)))
    with spoiled(version):
        await ended(pid)
    ran = await stage.seen(run)
    assert ran.state == "RolledBack", ran.message
    assert "while it was held at 50 %" in ran.message
    await check_well(stage, version=FIRST)


@pytest.mark.faults
async def test_what_was_held_for_too_long_is_rolled_back_if_the_plan_says_so(stage: Stage) -> None:
    """By a window that closed, in a plan that does not finish then."""
    run = await begun(stage, "1.6", windows={"when_it_closes": "hold", "held_at_most_minutes": 0.05})
    closed = {"from": "2020-01-01", "zone": "UTC", "reason": "stocktaking", "owner": "platform"}
    with policy(stage, deny=[closed]):
        await stage.runner.run(run, "release")
    ran = await stage.seen(run)
    assert [entry.what.partition(":")[0] for entry in held(ran)] == ["Held at 50 %"]
    assert "stocktaking (ask platform)" in held(ran)[0].why
    assert ran.state == "RolledBack", ran.message
    assert "more than the 0.05 min" in ran.message


@pytest.mark.faults
async def test_an_override_lets_one_release_go_on_and_is_in_its_record(stage: Stage, server: Any) -> None:
    """By whom the policy names, with the proof and the reason; the freeze stays."""
    from tasks.lifecycle.run_labels import set_wakeup  # noqa: PLC0415
    from tasks.rollout.overrides import override  # noqa: PLC0415
    from tasks.rules.plan.file import read_plan  # noqa: PLC0415
    from tasks.rules.rollout.waiting import held_by  # noqa: PLC0415

    people = await enrol(server)
    with policy(stage, overrides={"who": people.names}):
        freeze = switch.set(stage.name)
        path = stage.plan(approval={"quorum": 0, "block": f"approvers/{people.name}"})
        run = await stage.release(stage.tag("1.7"), plan=path)
        await stage.runner.run(run, "release")
        held = await stage.seen(run)
        assert (held.state, held_by(held.entries)) == ("Suspended", [freeze.id])
        plan, _ = read_plan(text_of(path), name=path)
        assert plan is not None
        answer = override_of(people, run, service=stage.name, holds=[freeze.id])
        assert await override(run, plan, version="1.7", holds=[freeze.id], answer=answer) == ""
        await set_wakeup(run, at=datetime.now(UTC))
        ran = await stage.carry_through(run, "release")
    assert ran.state == "Deployed", ran.message
    (said,) = [entry for entry in ran.entries if entry.name.startswith("override ")]
    assert (said.who, said.why, said.evidence["holds"]) == (people.names[0], "bug 812", [freeze.id])
