"""A server stack with its worker and its keeper, and no one at the keyboard: processes die, servers go, people cancel."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from blocks.server import deployments, layout, lifecycle
from tests.blocks.server.stack_kills import kill, pids, start_apart, wait_for_another, wait_until_ready
from tests.flows.gatehouse import enrol
from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well, plan_of, undecidable
from tests.flows.processes import Traffic, traffic

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(600), pytest.mark.xdist_group("stack")]

WITH_WORKER_SECONDS = 60
WITHOUT_WORKER_SECONDS = 120
END_SECONDS = 240
OPENS_SECONDS = 90  # long enough for what comes before production, on a machine that has other work


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give a server stack of its own with every flow deployed, the keeper on its schedule."""
    from blocks.server import settings  # noqa: PLC0415
    from tests.conftest import Server, _settings  # noqa: PLC0415

    home: Path = tmp_path_factory.mktemp("worker") / "stack"
    start_apart(home)
    try:
        wait_until_ready(home)
        with _settings(home), pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHIPWAY_KEY_FILE", str(layout.key_file(home)))  # beside which the workers read what was deployed
            asyncio.run(deployments.deploy_all())
            yield Server(home, "", settings.environment(home))
    finally:
        lifecycle.stop(home, now=True)


@pytest.fixture(scope="module")
def theatre(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:  # noqa: ARG001 - its settings
    """Raise a stage whose releases the worker runs."""
    stage = Stage("worked", tmp_path_factory.mktemp("worked"), None)  # type: ignore[arg-type]
    asyncio.run(stage.raise_up())
    yield stage
    asyncio.run(stage.end())


@pytest.fixture
async def stage(theatre: Stage) -> Stage:
    """Give the stage with the first version serving."""
    await theatre.reset()
    return theatre


@pytest.fixture
def visitors(stage: Stage) -> Iterator[Traffic]:
    """Let visitors come."""
    with traffic(stage.public) as seen:
        yield seen


def slow_plan(stage: Stage, *, seconds: float = 8, **more: Any) -> str:
    """Write a plan whose staging takes two seconds, and whose first step takes some."""
    usual = plan_of(stage.name)
    steps = [{"percent": 50, "watch_seconds": seconds}, {"percent": 100, "watch_seconds": 0.3}]
    verification = {**usual["verification"], "stability": {"successes": 10, "interval_seconds": 0.2, "timeout_seconds": 10}}
    production, judgement = {**usual["production"], "steps": steps}, undecidable(usual["judgement"])
    return stage.plan(production=production, judgement=judgement, verification=verification, **more)


async def until(stage: Stage, run: str, condition: Callable[[Ran], bool], *, seconds: float = END_SECONDS) -> Ran:
    """Wait until a run is as expected."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ran = await stage.seen(run)
        except Exception:  # noqa: BLE001 - the server may be away, which is what is tested
            ran = None
        if ran and condition(ran):
            return ran
        assert time.monotonic() < deadline, ran
        await asyncio.sleep(0.2)


def told(label: str) -> Callable[[Ran], bool]:
    """Expect an entry."""
    return lambda ran: any(entry.label == label for entry in ran.entries)


async def until_closed(stage: Stage, run: str) -> Ran:
    """Wait until a run has ended and nothing of it is open."""
    await until(stage, run, lambda ran: any(entry.kind == "closed" for entry in ran.entries))
    deadline = time.monotonic() + END_SECONDS
    while "shipway:open" in await stage.tags(run):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    return await stage.seen(run)


async def process_of(run: str) -> int:
    """Read which process acts for a run."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client:
        return int(str((await client.read_flow_run(UUID(run))).labels["shipway.pid"]))


async def cancel(run: str) -> None:
    """Cancel a run as the UI does."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.states import Cancelling  # noqa: PLC0415

    async with get_client() as client:
        await client.set_flow_run_state(UUID(run), Cancelling(message="someone thought better of it"))


async def begin(stage: Stage, version: str, **more: Any) -> str:
    """Start a release by the worker."""
    plan = more.pop("plan", None) or slow_plan(stage, **more)
    return await stage.release(stage.tag(version), plan=plan, deployment="release")


async def test_a_killed_process_is_noticed_and_its_release_finished(stage: Stage, visitors: Traffic) -> None:  # noqa: ARG001
    """Within 60 s where a worker lives, without a person."""
    run = await begin(stage, "6.1")
    await until(stage, run, told("effect production 50 % shift"))
    os.kill(await process_of(run), signal.SIGKILL)
    killed = time.monotonic()
    ran = await until_closed(stage, run)
    seconds = time.monotonic() - killed
    print(f"\nkilled process: closed after {seconds:.0f} s")  # noqa: T201 - the figure is wanted
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="6.1")
    assert seconds < WITH_WORKER_SECONDS


async def test_a_killed_worker_takes_no_release_with_it(stage: Stage, visitors: Traffic, stack: Any) -> None:  # noqa: ARG001
    """Worker, engine and process killed: within 120 s, by the supervisor and the keeper alone."""
    run = await begin(stage, "6.2")
    await until(stage, run, told("effect production 50 % shift"))
    process, before = await process_of(run), pids(stack.home)
    for name in ("worker", "engine"):
        kill(stack.home, name)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    killed = time.monotonic()
    ran = await until_closed(stage, run)
    seconds = time.monotonic() - killed
    print(f"\nkilled worker, engine and process: closed after {seconds:.0f} s")  # noqa: T201 - the figure is wanted
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="6.2")
    assert pids(stack.home)["worker"] != before["worker"]
    assert seconds < WITHOUT_WORKER_SECONDS


async def test_a_server_that_restarts_does_no_harm(stage: Stage, visitors: Traffic, stack: Any) -> None:
    """The release ends well, deployed or back, and no visitor noticed."""
    began = time.time()
    run = await begin(stage, "6.3")
    await until(stage, run, told("effect production 50 % shift"))
    wait_for_another(stack.home, "server", kill(stack.home, "server"))
    lifecycle.wait_for_server(stack.home, timeout_seconds=120)
    ran = await until_closed(stage, run)
    print(f"\nrestarted server: {ran.state}, {ran.message}")  # noqa: T201 - the figure is wanted
    outcome = {"Deployed": "deployed", "RolledBack": "rolled_back"}[ran.state]
    await check_closed(stage, ran, outcome=outcome)
    await check_well(stage, version="6.3" if outcome == "deployed" else FIRST)
    assert set(visitors.since(began)) == {200}


@pytest.mark.parametrize("point", ["checklist", "effect staging promote", "effect production 50 % shift"])
async def test_a_cancellation_is_an_order_to_go_back(stage: Stage, visitors: Traffic, point: str) -> None:  # noqa: ARG001
    """In whatever phase it comes: all goes back, the record is closed."""
    run = await begin(stage, f"6.4.{len(point)}")
    await until(stage, run, told(point))
    await cancel(run)
    ran = await until_closed(stage, run)
    await check_closed(stage, ran, outcome="cancelled")
    await check_well(stage, version=FIRST)
    assert (await until(stage, run, lambda seen: seen.state not in {"Cancelling", "Running"})).state == "Cancelled"


async def test_a_cancelled_release_that_waits_is_settled_by_the_keeper(stage: Stage, visitors: Traffic, stack: Any) -> None:  # noqa: ARG001
    """It holds no process that could go back; the keeper starts one."""
    people = await enrol(stack)
    run = await begin(stage, "6.5", plan=slow_plan(stage, approval=people.section()))
    await until(stage, run, lambda ran: ran.state == "Suspended")
    await cancel(run)
    ran = await until_closed(stage, run)
    await check_closed(stage, ran, outcome="cancelled")
    await check_well(stage, version=FIRST)
    assert ran.state == "Cancelled", ran.message


async def test_a_waiting_release_survives_the_stack(stage: Stage, visitors: Traffic, stack: Any) -> None:  # noqa: ARG001
    """A release at its gate holds no process: server and worker go and come, and the approval still counts."""
    from tests.flows.gatehouse import post  # noqa: PLC0415

    people = await enrol(stack)
    run = await begin(stage, "6.6", plan=slow_plan(stage, approval=people.section(), seconds=2))
    await until(stage, run, lambda ran: ran.state == "Suspended")
    for name in ("worker", "engine", "server"):
        wait_for_another(stack.home, name, kill(stack.home, name))
    wait_until_ready(stack.home)
    assert (await post(run, await people.form(people.names[0], run))).status.value == "ACCEPT"
    ran = await until_closed(stage, run)
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="6.6")


async def test_a_server_that_is_down_when_a_window_opens_delays_the_release_alone(stage: Stage, visitors: Traffic, stack: Any) -> None:  # noqa: ARG001
    """Stopped before the opening and started after it, with a worker that meets no server meanwhile: it is woken once, and goes on."""
    opens = (datetime.now(UTC) + timedelta(seconds=OPENS_SECONDS)).replace(microsecond=0)
    closed = {"from": "2020-01-01", "until": f"{opens:%Y-%m-%dT%H:%M:%S}", "zone": "UTC", "reason": "stocktaking", "owner": "platform"}
    run = await begin(stage, "6.7", plan=slow_plan(stage, seconds=2, windows={"deny": [closed]}))
    await until(stage, run, lambda ran: ran.state == "Suspended")
    kill(stack.home, "supervisor")  # which would start another server at once
    kill(stack.home, "server")
    await asyncio.sleep(max(0.0, (opens - datetime.now(UTC)).total_seconds()) + 5)
    assert pids(stack.home)["server"] is None
    assert pids(stack.home)["worker"] is not None
    lifecycle.start(stack.home)
    wait_until_ready(stack.home)
    ran = await until_closed(stage, run)
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="6.7")
    waited = [entry for entry in ran.entries if "waits_until" in entry.evidence]
    assert [datetime.fromisoformat(entry.evidence["waits_until"]) for entry in waited] == [opens]
