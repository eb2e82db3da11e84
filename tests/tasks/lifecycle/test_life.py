"""Whether a process acts for a run: one answer for the keeper, which orders, and for settle, which carries it out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType

from blocks.key_folder.heads import Head, keep_head
from tasks.lifecycle import run_labels
from tasks.lifecycle.keeper_acts import lives
from tasks.lifecycle.kept_runs import (
    MARKED,
    count_start,
    forget_open,
    keep_look,
    keep_open,
    keep_process,
    open_runs,
    process_of,
    signs_of_life,
    times_started,
)
from tasks.lifecycle.lock import OPEN, OUTCOME
from tasks.lifecycle.run_labels import HOST, PID, STARTED, forget_idle, forget_unbegun, let_go, machine, this_process
from tasks.lifecycle.seeing import GONE, see, see_deleted
from tasks.rules.lifecycle.reconcile import OVERDUE, STUCK_PENDING, UNMARKED, decide_care
from tasks.rules.lifecycle.standstill import Standstill

RUN = "11111111-2222-3333-4444-555555555555"
DEAD: dict[str, Any] = {HOST: machine(), PID: 999_999_999, STARTED: 1.0, MARKED: "2026-01-01T00:00:00+00:00"}
ELSEWHERE = DEAD | {HOST: "another/boot"}
REBOOTED = DEAD | {HOST: f"{machine().partition('/')[0]}/the boot before"}
GIVEN_UP = DEAD | {PID: ""}
GONE_FOR_LONG = STUCK_PENDING + UNMARKED
pytestmark = pytest.mark.usefixtures("offline")


class Server:
    """Has one run, and events that anyone with its password makes."""

    def __init__(self) -> None:
        """Begin without it."""
        self.run: FlowRun | None = None
        self.heard: datetime | None = None

    async def read_events(self, *_: object, **__: object) -> Any:
        """Give the last heartbeat."""
        return SimpleNamespace(events=[SimpleNamespace(occurred=self.heard)] if self.heard else [])

    async def update_flow_run(self, _: UUID, *, tags: list[str], name: object) -> None:
        """Change its tags."""
        del name
        assert self.run is not None
        self.run.tags = tags


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Server:
    """Stand in for the server."""
    made = Server()

    @asynccontextmanager
    async def whatever_is_left(_: str) -> AsyncIterator[Any]:
        yield made, made.run

    for module in (reconcile, run_labels):
        monkeypatch.setattr(module, "whatever_is_left", whatever_is_left)
    return made


def a_run(state: str, *, age: float = 3600, **fields: Any) -> FlowRun:
    """Make a run that has been in a state for so many seconds, and was due then if it is scheduled."""
    since = datetime.now(UTC) - timedelta(seconds=age)
    found: State[Any] = State(type=StateType(state), timestamp=since)
    found.state_details.scheduled_time = since if state == "SCHEDULED" else None
    return FlowRun(id=UUID(RUN), flow_id=UUID(RUN), state=found, state_type=found.type, run_count=1, **fields)


async def order(made_up: Server) -> str:
    """Say what the keeper orders for a run that has begun."""
    if made_up.run is None:
        seen = await see_deleted(made_up, RUN)  # type: ignore[arg-type]
    else:
        seen = replace(await see(made_up, made_up.run), begun=True)  # type: ignore[arg-type]
    return decide_care(seen, now=datetime.now(UTC)).act


@pytest.mark.parametrize("process", [DEAD, GIVEN_UP, ELSEWHERE, REBOOTED, None], ids=["dead", "given up", "elsewhere", "rebooted", "none"])
@pytest.mark.parametrize(
    ("state", "act"),
    [
        ("CANCELLING", "settle"),
        ("SCHEDULED", "settle"),
        ("FAILED", "settle"),
        ("CANCELLED", "settle"),
        ("RUNNING", "again"),
        ("", "settle"),
    ],
)
async def test_what_the_keeper_orders_is_carried_out(made_up: Server, process: dict[str, Any] | None, state: str, act: str) -> None:
    """Also of a process that this machine cannot see: of another machine, a pod, or the boot before; else it is refused for ever."""
    await keep_open(RUN)
    if process is not None:
        await keep_process(RUN, process)
    made_up.run = a_run(state, age=OVERDUE.total_seconds() + 1) if state else None
    assert (await order(made_up), await lives.fn(RUN)) == (act, False)
    if process is not None:
        await keep_process(RUN, this_process())
        assert (await order(made_up), await lives.fn(RUN)) == ("leave", True), "a living process is left alone"
    await forget_open(RUN)


async def test_a_person_may_settle_a_run_as_soon_as_it_ended(made_up: Server) -> None:
    """The keeper lets a worker's late report come first."""
    await keep_open(RUN)
    made_up.run = a_run("FAILED", age=0)
    assert (await order(made_up), await lives.fn(RUN)) == ("leave", False)
    await forget_open(RUN)


@pytest.mark.parametrize("process", [GIVEN_UP, ELSEWHERE, REBOOTED, None], ids=["given up", "elsewhere", "rebooted", "none"])
@pytest.mark.parametrize("state", ["CANCELLING", "RUNNING", "CRASHED", "FAILED", ""])
async def test_heartbeats_that_others_make_hold_nothing_up_for_ever(made_up: Server, process: dict[str, Any] | None, state: str) -> None:
    """They count for as long as a process may be about to begin; then only what is kept beside the key does."""
    await keep_open(RUN)
    if process is not None:
        await keep_process(RUN, process)
    made_up.run = a_run(state, age=120) if state else None
    made_up.heard = datetime.now(UTC)
    known_here = process is GIVEN_UP and state in {"FAILED", ""}
    assert await lives.fn(RUN) is not known_here
    now = datetime.now(UTC)
    signs = await signs_of_life(RUN)
    for seconds, alive in ((-20, not known_here), (0, False)):
        since = now - GONE_FOR_LONG - timedelta(seconds=seconds)
        await keep_look(RUN, Standstill(signs, since, now).as_facts(GONE))
        assert await lives.fn(RUN) is alive
        assert (await order(made_up) == "leave") is alive
    await forget_open(RUN)


async def test_labels_say_nothing_of_a_run_that_has_begun(made_up: Server) -> None:
    """Whoever has the API's password can write those of any living process on it, and the number that its worker notes."""
    mine = this_process()
    number = f"{mine[HOST].partition('/')[0]}:{mine[PID]}"
    made_up.run = a_run("RUNNING", labels=mine, infrastructure_pid=number)
    assert (await order(made_up), await lives.fn(RUN)) == ("leave", True)
    await keep_open(RUN)
    assert (await order(made_up), await lives.fn(RUN)) == ("again", False)
    await forget_open(RUN)


@pytest.mark.parametrize("forget", [forget_unbegun, forget_idle])
async def test_a_run_that_has_begun_is_not_forgotten_for_what_the_server_says(made_up: Server, forget: Any) -> None:
    """Its labels, its flow, or that it was deleted; nor if it could not keep its process as it began."""
    for run in (a_run("FAILED", tags=[OPEN]), None):
        made_up.run = run
        await keep_open(RUN)
        assert not await forget.fn(RUN)
        assert await open_runs() == [RUN]
        await forget_open(RUN)
        assert await forget.fn(RUN)


async def test_only_a_closed_record_lets_go_of_a_run(made_up: Server) -> None:
    """Tags are anyone's words: with one, each failure would forget the process, and how often the run was started."""
    await keep_open(RUN)
    await keep_process(RUN, DEAD)
    await count_start(RUN)
    keep_head(RUN, Head(1, "a"))
    made_up.run = a_run("FAILED", tags=[OPEN, f"{OUTCOME}x"])
    await let_go.fn(RUN)
    assert (await open_runs(), await process_of(RUN), await times_started(RUN), made_up.run.tags) == ([RUN], DEAD, 1, [OPEN, f"{OUTCOME}x"])
    await forget_open(RUN)  # as its closing entry does
    keep_head(RUN, Head(2, "b", closed=True))
    await keep_process(RUN, DEAD)  # as what ends it does meanwhile
    await let_go.fn(RUN)
    assert (await process_of(RUN), made_up.run.tags) == ({}, [f"{OUTCOME}x"])
