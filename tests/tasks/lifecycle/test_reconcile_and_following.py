"""What the keeper reads and does, and what those who follow a release are told, on a real server."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

import pytest
from httpx import URL
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Completed, Crashed, Failed, Pending, Running, Suspended

from blocks.errors import WorldMoved
from blocks.progress import emit_progress
from blocks.server.keeper_watch import note_work
from tasks.approval.answering import read_question
from tasks.lifecycle import kept_runs
from tasks.lifecycle.asked import what_was_asked
from tasks.lifecycle.keeper_acts import forget_idle_runs, last_work, settle_run, start_again
from tasks.lifecycle.kept_runs import MARKED, forget_open, is_kept_open, keep_open, keep_server, server_of, service_of, write
from tasks.lifecycle.lock import OPEN, OUTCOME, STOP, is_stop_requested
from tasks.lifecycle.run_labels import (
    begin_attempt,
    end_as,
    end_attempt,
    forget_idle,
    let_go,
    machine,
    mark_running,
    set_wakeup,
    unmark,
)
from tasks.lifecycle.strays import end_strays, end_those_of_before
from tasks.record import following
from tasks.record import open_runs as looking
from tasks.record.following import Told, follow
from tasks.record.journal import append_entry, read_entries
from tasks.record.open_runs import find_open
from tasks.rules.lifecycle.reconcile import decide_care
from tasks.rules.record.durations import SUSPENDS_UNTIL
from tests.conftest import Server
from tests.tasks.server_runs import keeper, new_run, seen

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]


async def open_run(run: str) -> object:
    """Find what the keeper sees of a run, or None."""
    return next((one.seen for one in await find_open.fn() if one.id == run), None)


@pytest.mark.slow
async def test_an_open_run_is_seen_with_all_that_the_rule_asks_for() -> None:
    """State, process, wake-up time and the word to stop."""
    run, at = await new_run(state=Suspended()), datetime.now(UTC) + timedelta(minutes=5)
    await begin_attempt.fn(run, name="", tags=[STOP])
    await set_wakeup(run, at=at)
    found = await open_run(run)
    assert found is not None
    assert (found.state, found.alive, found.wake_at, found.stop_requested, found.heard) == ("PAUSED", True, at, True, None)  # type: ignore[attr-defined]


async def test_a_closed_run_is_not_the_keepers() -> None:
    """It looks at open records only."""
    assert await open_run(await new_run(state=Completed())) is None


async def test_a_run_starts_again_only_in_the_state_in_which_it_was_seen() -> None:
    """Between look and act a person may have been quicker; a second keeper comes too late."""
    run = await new_run(tags=(OPEN,), state=Crashed())
    state = (await seen(run)).state
    assert state is not None
    assert not await start_again.fn(run, state="RUNNING", reason="its process is gone")
    earlier = state.timestamp - timedelta(seconds=1)
    assert not await start_again.fn(run, state="CRASHED", since=earlier, reason="its process is gone")
    assert await start_again.fn(run, state="CRASHED", since=state.timestamp, reason="its process is gone")
    assert not await start_again.fn(run, state="CRASHED", reason="its process is gone")
    state = (await seen(run)).state
    assert state is not None
    assert (state.name, state.message) == ("AwaitingRetry", "keeper: its process is gone")


async def test_a_run_that_has_written_itself_meanwhile_is_not_started_again() -> None:
    """The keeper saw an earlier attempt's process."""
    run = await new_run(tags=(OPEN,))
    await begin_attempt.fn(run, name="", tags=[])
    found = await seen(run)
    assert found.state is not None
    assert not await start_again.fn(run, state="RUNNING", since=found.state.timestamp, marked=None, reason="its process is gone")
    marked = datetime.fromisoformat(str(found.labels[MARKED]))
    assert marked > found.state.timestamp
    assert await start_again.fn(run, state="RUNNING", since=found.state.timestamp, marked=marked, reason="its process is gone")


@pytest.mark.slow
async def test_a_process_that_a_worker_started_here_counts_before_it_has_written_itself() -> None:
    """The worker notes it on the run; the labels may still name an earlier attempt, which is gone."""
    run = await new_run(tags=(OPEN,))
    async with get_client() as client:
        gone: dict[str, Any] = {"shipway.host": machine(), "shipway.pid": 1, "shipway.process-started": 0.0}
        await client.update_flow_run_labels(UUID(run), gone)
        assert (await open_run(run)).alive is False  # type: ignore[attr-defined]
        command = [sys.executable, "-c", "import time; time.sleep(600)", "prefect.engine"]
        process = await asyncio.create_subprocess_exec(*command)
        try:
            await client.update_flow_run(UUID(run), infrastructure_pid=f"{socket.gethostname()}:{process.pid}")
            assert (await open_run(run)).alive is True  # type: ignore[attr-defined]
        finally:
            process.kill()
            await process.wait()
        assert (await open_run(run)).alive is False  # type: ignore[attr-defined]


@pytest.mark.slow
async def test_runs_of_an_earlier_life_without_a_record_are_ended_and_open_ones_left_to_the_keeper() -> None:
    """They would stay under way for ever: nothing starts them again."""
    pending, cancelling = await new_run(tags=("shipway",), state=Pending()), await new_run(tags=("shipway",), state=Cancelling())
    is_open = await new_run(tags=("shipway", OPEN), state=Pending())
    before = datetime.now(UTC)
    later = await new_run(tags=("shipway",), state=Running())
    async with get_client() as client:
        ended = await end_those_of_before(client, before=before)
    names = [(await seen(run)).state_name for run in (pending, cancelling, is_open, later)]
    assert names == ["Crashed", "Cancelled", "Pending", "Running"]
    assert f"nothing {(await seen(pending)).name}" in ended
    assert await end_strays.fn() == []  # not dead for sure, so soon


async def test_the_keepers_last_work_is_what_it_noted_beside_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Completed runs of that name can be made by anyone with the API's password; where the key is not, nothing else says it."""
    at = datetime.now(UTC) - timedelta(hours=1)
    await asyncio.to_thread(note_work, at.timestamp())
    async with get_client() as client:
        made_up = await client.create_flow_run(keeper)
        await client.set_flow_run_state(made_up.id, Running(), force=True)
        await client.set_flow_run_state(made_up.id, Completed(), force=True)
        assert await last_work(client) == (at, False)
        monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "none"))
        last, by_server = await last_work(client)
        await client.delete_flow_run(made_up.id)
    assert by_server
    assert last is not None
    assert (datetime.now(UTC) - last).total_seconds() < 30


@pytest.mark.slow
async def test_a_final_state_of_a_run_that_is_not_closed_is_not_its_end() -> None:
    """Who follows is told so, and hears the end that counts."""
    run = await new_run(tags=(OPEN,))
    await append_entry(run, "Asked", kind="opened", evidence={"service": "x"})
    heard: list[Told] = []
    async with get_client() as client:
        await client.set_flow_run_state(UUID(run), Failed(message="of an attempt that was superseded"), force=True)
        following = follow(client, UUID(run))
        async for told in following:
            heard.append(told)
            if told.kind == "unclosed":
                await append_entry(run, "Done", kind="closed", evidence={"outcome": "deployed"})
                await end_attempt.fn(run, outcome="deployed")
                await client.set_flow_run_state(UUID(run), Completed(), force=True)
                await let_go.fn(run)
    assert [told.kind for told in heard if told.kind != "opened"] == ["unclosed", "closed"]


async def test_without_the_keeper_no_end_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would ever close the run; whoever follows is told that it is not closed."""

    async def never(_: object) -> tuple[None, bool]:
        return None, False

    monkeypatch.setattr(following, "last_work", never)
    monkeypatch.setattr(following, "UNCLOSED_SECONDS", 0.2)
    run = await new_run(tags=(OPEN,), state=Crashed())
    async with get_client() as client:
        assert [told.kind async for told in follow(client, UUID(run))] == ["unclosed"]


async def test_a_run_whose_record_is_closed_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tag may have come back after its end, as the keeper gives it back to what has an open record; then nothing would end it."""

    async def just_now(_: object) -> tuple[datetime, bool]:
        return datetime.now(UTC), False

    monkeypatch.setattr(following, "last_work", just_now)
    monkeypatch.setattr(following, "UNCLOSED_SECONDS", 0.2)
    run = await new_run()
    await append_entry(run, "Asked", kind="opened", evidence={"service": "x"})
    assert await open_run(run)
    assert OPEN in (await seen(run)).tags
    await append_entry(run, "Done", kind="closed", evidence={"outcome": "deployed"})
    async with get_client() as client:
        await client.set_flow_run_state(UUID(run), Completed(), force=True)
        async with asyncio.timeout(20):
            heard = [told.kind async for told in follow(client, UUID(run))]
    assert [kind for kind in heard if kind != "unclosed"] == ["opened", "closed"]


@pytest.mark.slow
@pytest.mark.parametrize("at_rest", [True, False], ids=["at its end", "meanwhile"])
async def test_what_the_socket_loses_is_read_where_it_is_stored(monkeypatch: pytest.MonkeyPatch, *, at_rest: bool) -> None:
    """A server drops what a slow reader does not take, and says nothing of it."""

    def lose(ear: object, event: object, *, since: datetime) -> None:
        del ear, event, since

    monkeypatch.setattr(following._Ear, "_hear", lose)
    monkeypatch.setattr(following, "LOST_SECONDS", 0.5)
    run = await new_run(tags=(f"{OUTCOME}deployed",))
    await append_entry(run, "Asked", kind="opened", evidence={"service": "x"})
    await append_entry(run, "Done", kind="closed", evidence={"outcome": "deployed"})
    async with get_client() as client, asyncio.timeout(20):
        if at_rest:
            await client.set_flow_run_state(UUID(run), Completed(), force=True)
        heard = list[str]()
        async for told in follow(client, UUID(run)):
            heard.append(told.kind)
            if told.kind == "closed" and not at_rest:
                await client.set_flow_run_state(UUID(run), Completed(), force=True)
    assert heard == ["opened", "closed"]


@pytest.mark.slow
async def test_a_run_of_a_flow_that_moves_nothing_is_left_alone_once_and_for_all() -> None:
    """Anyone can tag one as open; settling it failed each minute. One of which a process is kept may be a release, whatever its flow is."""
    run = await new_run(tags=(OPEN,), state=Completed())
    assert await forget_idle.fn(run)
    assert await open_run(run) is None
    run = await opened(await new_run())
    assert not await forget_idle.fn(run)
    assert await open_run(run) is not None
    await forget_open(run)


@pytest.mark.slow
async def test_a_run_is_settled_once() -> None:
    """Two keepers at once start one flow."""
    run = await new_run(tags=(OPEN,))
    async with get_client() as client:
        flow_id = await client.create_flow_from_name("settle")
        deployment = await client.create_deployment(flow_id=flow_id, name="settle", paused=True)
        await asyncio.gather(*(settle_run.fn(run, reason="x", cancelled=False) for _ in range(2)))
        found = await client.read_flow_runs(flow_run_filter=FlowRunFilter(deployment_id={"any_": [deployment]}))  # type: ignore[arg-type]
        mine = [one for one in found if one.parameters.get("run") == run]
        await asyncio.gather(*(client.delete_flow_run(one.id) for one in mine))
    assert [one.parameters for one in mine] == [{"run": run, "reason": "keeper: x", "cancelled": False}]


async def test_outside_a_run_of_the_keeper_nothing_is_forgotten() -> None:
    """Only the keeper's own idle runs are its to delete."""
    assert await forget_idle_runs.fn(busy=False) == 0


@pytest.mark.slow
async def test_a_last_word_that_is_stored_late_is_heard() -> None:
    """A run may have ended before the server stored why; what was said at its gate is not that."""
    run = await new_run(tags=(f"{OUTCOME}deployed",))  # else the keeper of this server gives it the tag of an open one
    await append_entry(run, "Asked", kind="opened", evidence={"service": "x"})
    await append_entry(run, "The gate is passed", kind="gate")
    async with get_client() as client:
        await client.set_flow_run_state(UUID(run), Completed(), force=True)

        async def say_late() -> None:
            await asyncio.sleep(2.5)
            await append_entry(run, "Done", kind="closed", evidence={"outcome": "deployed"})

        saying = asyncio.create_task(say_late())
        heard = [told.kind async for told in follow(client, UUID(run))]
        await saying
    assert heard == ["opened", "gate", "closed"]


@pytest.mark.slow
async def test_a_server_that_sends_no_events_is_asked_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in front of it may let no socket through; the story is the same."""

    def closed(**_: object) -> NoReturn:
        raise OSError("no socket is let through")

    monkeypatch.setattr(following, "get_events_subscriber", closed)
    run = await new_run()
    await append_entry(run, "Asked", kind="opened", evidence={"service": "x"})
    await append_entry(run, "Done", kind="closed", evidence={"outcome": "deployed"})
    async with get_client() as client:
        await client.set_flow_run_state(UUID(run), Completed(), force=True)
        assert [told.kind async for told in follow(client, UUID(run))] == ["opened", "closed"]


@pytest.mark.slow
async def test_what_was_told_before_is_left_out_on_request() -> None:
    """Who follows a release on after its gate is not told its beginning again."""
    run = await new_run(tags=(f"{OUTCOME}deployed",))  # as set before it ends; a keeper that works beside this test may tag it as open
    await append_entry(run, "Asked", kind="opened", evidence={"service": "x"})
    await asyncio.sleep(0.1)
    since = datetime.now(UTC)
    await append_entry(run, "Done", kind="closed", evidence={"outcome": "deployed"})
    async with get_client() as client:
        await client.set_flow_run_state(UUID(run), Completed(), force=True)
        assert [told.kind async for told in follow(client, UUID(run), since=since)] == ["closed"]


@pytest.mark.slow
async def test_a_question_is_read_although_its_form_comes_a_moment_after_the_state() -> None:
    """Prefect suspends a run before it stores what it asks."""
    keyset = {"description": "keyset-description", "schema": "keyset-schema", "response": "keyset-response"}
    paused = Suspended(timeout_seconds=600, pause_key="gate")
    paused.state_details.run_input_keyset = keyset
    run = UUID(await new_run(state=paused))
    async with get_client() as client:
        reading = asyncio.create_task(read_question(client, await client.read_flow_run(run)))
        await asyncio.sleep(0.5)
        await client.create_flow_run_input(run, "keyset-description", json.dumps("Approve?"))
        assert (await reading).text == "Approve?"


@pytest.mark.slow
async def test_who_follows_hears_each_thing_once_and_in_order_until_the_end() -> None:
    """A step that tells its key twice is heard once; progress is heard and not recorded."""
    run = await new_run(tags=(f"{OUTCOME}deployed",))  # as set before it ends; a keeper that works beside this test may tag it as open
    for _ in range(2):
        await append_entry(run, "Asked", kind="opened", evidence={"service": "x"})
    emit_progress(run, "25 %: watching", reading=1)
    await append_entry(run, "Done", kind="closed", why="all well", evidence={"outcome": "deployed"})
    heard: list[Told] = []

    async def listen() -> None:
        async with get_client() as client:
            heard.extend([told async for told in follow(client, UUID(run))])

    listening = asyncio.create_task(listen())
    await asyncio.sleep(2)
    assert not listening.done()
    async with get_client() as client:
        await client.set_flow_run_state(UUID(run), Completed(), force=True)
    await asyncio.wait_for(listening, 30)
    assert [(told.kind, told.what, told.why) for told in heard] == [
        ("opened", "Asked", ""),
        ("progress", "25 %: watching", ""),
        ("closed", "Done", "all well"),
    ]
    assert [entry.kind for entry in await read_entries(run)] == ["opened", "closed"]


async def opened(run: str) -> str:
    """Begin a run, and open its record."""
    await begin_attempt.fn(run, name="", tags=[])
    await append_entry(run, "Asked", kind="opened", evidence={"flow": "release", "plan": "/srv/plan.yaml", "version": "1"})
    return run


@pytest.mark.slow
async def test_a_run_whose_tags_were_taken_away_is_looked_after() -> None:
    """It gets its tag back; its labels do not say that a stranger's process is its own."""
    run = await opened(await new_run())
    async with get_client() as client:
        await client.update_flow_run(UUID(run), tags=[])
        await client.update_flow_run_labels(UUID(run), {"shipway.pid": 1})
    found = await open_run(run)
    assert found is not None
    assert found.alive is True  # type: ignore[attr-defined]
    assert OPEN in (await seen(run)).tags
    await append_entry(run, "Done", kind="closed", evidence={"outcome": "failed"})
    async with get_client() as client:
        await client.update_flow_run(UUID(run), tags=[])
    assert await open_run(run) is not None, "its leases and locks may be left"
    await end_attempt.fn(run, outcome="failed")
    await let_go.fn(run)
    assert await open_run(run) is None


@pytest.mark.slow
async def test_a_run_that_was_deleted_is_settled_by_its_record() -> None:
    """Once its process is gone; what was asked stands in the record."""
    run = await opened(await new_run())
    async with get_client() as client:
        await client.delete_flow_run(UUID(run))
    found = await open_run(run)
    assert (found.state, found.alive) == ("DELETED", True)  # type: ignore[union-attr, attr-defined]
    await unmark.fn(run)
    assert decide_care(await open_run(run), now=datetime.now(UTC)).act == "settle"  # type: ignore[arg-type]
    first = await read_entries(run)
    asked = await what_was_asked.fn(run, told=first[0].evidence)
    assert (asked.flow, asked.plan, asked.version, asked.has_deployment) == ("release", "/srv/plan.yaml", "1", False)
    with pytest.raises(WorldMoved, match="was deleted"):
        await is_stop_requested(run)
    for step in (mark_running.fn(run), end_attempt.fn(run, outcome="failed"), end_as.fn(run, state=Failed()), let_go.fn(run)):
        await step
    await append_entry(run, "Done", kind="closed", evidence={"outcome": "failed"})
    assert await open_run(run) is None


@pytest.mark.slow
async def test_a_run_of_another_server_is_left_to_its_keeper() -> None:
    """Two servers may share a key folder: what this one does not have was not deleted, and what serves there stays."""
    run = await opened(await new_run())
    async with get_client() as client:
        await client.delete_flow_run(UUID(run))
    assert await open_run(run) is not None
    await write(kept_runs.OPEN, run, {"server": "another"})
    assert await open_run(run) is None
    await keep_open(run, service="shop")
    assert await open_run(run) is None, "its own server goes on to be named"
    assert await is_kept_open(run)
    await write(kept_runs.OPEN, run, {"server": ""})
    assert await open_run(run) is None, "which server had it is not known"
    await forget_open(run)


@pytest.mark.slow
async def test_a_deleted_run_is_its_servers_own_however_its_worker_reached_that(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from another machine or a Job, by a name of its own; only if the server does not say which one it is, it is left alone."""
    other = str(URL(server.api_url).copy_with(host="localhost"))
    assert other != server.api_url
    with temporary_settings({PREFECT_API_URL: other}):
        run = await opened(await new_run())
    async with get_client() as client:
        await client.delete_flow_run(UUID(run))
    assert (await open_run(run)).state == "DELETED"  # type: ignore[union-attr, attr-defined]

    async def nothing(_: object) -> str:
        return ""

    monkeypatch.setattr(looking, "server_of_client", nothing)
    assert await open_run(run) is None
    assert await is_kept_open(run)
    await forget_open(run)


@pytest.mark.slow
async def test_a_run_that_a_server_has_is_kept_as_its_own() -> None:
    """Its worker could not ask for the server's name when it began, or named another one."""
    run = await opened(await new_run())
    own = await server_of(run)
    for named in ("", "another"):
        await write(kept_runs.OPEN, run, {"server": named, "service": "shop"})
        assert await open_run(run) is not None
        assert (await server_of(run), await service_of(run)) == (own, "shop")
    await forget_open(run)
    await keep_server(run, own)
    assert not await is_kept_open(run), "it ended meanwhile"


@pytest.mark.slow
async def test_a_suspended_run_waits_only_if_its_record_says_so() -> None:
    """Until the moment that stands there, whatever its label says."""
    run = await opened(await new_run())
    async with get_client() as client:
        await client.set_flow_run_state(UUID(run), Suspended(), force=True)
    found = await open_run(run)
    assert (found.begun, found.waits) == (True, False)  # type: ignore[union-attr, attr-defined]
    at = datetime.now(UTC) + timedelta(minutes=5)
    await append_entry(run, "Waits", kind="gate", name="wait", evidence={SUSPENDS_UNTIL: at.isoformat()})
    await set_wakeup(run, at=at + timedelta(days=9_999))
    found = await open_run(run)
    assert (found.waits, found.wake_at) == (True, at)  # type: ignore[union-attr, attr-defined]
