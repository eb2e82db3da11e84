"""That the keeper is missing is noticed from outside, on a real server."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from blocks.key_folder.key_file import create_key
from blocks.server import api, doctor, keeper_watch, layout

pytestmark = pytest.mark.server


@pytest.fixture
def home(worker: Any) -> Path:
    """Give the shared home, with all its processes."""
    return Path(worker.home)


async def told(home: Path, name: str, message: str) -> int:
    """Wait until an event of this name and message is stored, and count them; the supervisor of this home may tell others."""
    since = datetime.now(UTC) - timedelta(minutes=1)
    wanted = {"event": {"name": [name]}, "occurred": {"since": since.isoformat()}}
    for _ in range(150):
        events = (await asyncio.to_thread(api.ask, home, "/events/filter", {"filter": wanted}))["events"]
        if found := [event for event in events if event["payload"]["message"] == message]:
            return len(found)
        await asyncio.sleep(0.2)  # the server stores events once a second and tells no one
    raise AssertionError(f"no event {name} was stored")


@pytest.mark.slow
async def test_a_missing_keeper_is_an_event_and_so_is_its_return(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each once, and in the log."""
    from tests.tasks.server_runs import keeper_worked  # noqa: PLC0415 - Prefect is slow to import

    await keeper_worked()
    watching, later = keeper_watch.Watch(home), time.time() + 1000
    with caplog.at_level(logging.WARNING):
        for seconds in (0, 15, 30):
            await asyncio.to_thread(watching.look, now=later + seconds)
        assert await told(home, keeper_watch.MISSING, f"The keeper {keeper_watch.describe(watching.last, now=later)}.") == 1
        await asyncio.to_thread(watching.look, now=(watching.last or 0) + 59)
        assert await told(home, keeper_watch.BACK, "The keeper last did its work 59 s ago.") == 1
    assert [record.levelname for record in caplog.records if record.name == "keeper"] == ["ERROR", "WARNING"]


@pytest.mark.parametrize(("seconds", "missing"), [(-59, False), (-60, True), (30, False), (3600, True)])
def test_a_note_of_the_future_does_not_hide_a_missing_keeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, *, missing: bool
) -> None:
    """The clock was set since; a little of it is the difference of two clocks."""
    now = time.time()
    monkeypatch.setattr(keeper_watch, "last_work", lambda _: keeper_watch.Work(now + seconds))
    monkeypatch.setattr(keeper_watch.Watch, "_record", lambda *_: None)
    watching = keeper_watch.Watch(tmp_path)
    watching.look(now=now)
    assert watching.missing is missing
    assert ("in the future" in keeper_watch.describe(now + seconds, now=now)) is (seconds > 60)


async def test_what_could_not_be_told_is_told_when_the_server_is_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is not a reason to forget it."""
    watching, later = keeper_watch.Watch(home), time.time() + 100_000
    answering = api._open

    def refuse(*_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(api, "_open", refuse)
    await asyncio.to_thread(watching.look, now=later)
    assert (watching.missing, watching.untold) == (True, keeper_watch.MISSING)
    monkeypatch.setattr(api, "_open", answering)
    await asyncio.to_thread(watching.look, now=later + 15)
    assert watching.untold is None


async def test_the_keepers_late_runs_are_forgotten_and_its_next_one_stays(home: Path) -> None:  # noqa: ARG001 - its server
    """One run does the work of all that an outage has left."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415
    from prefect.states import Scheduled  # noqa: PLC0415

    from tests.tasks.server_runs import keeper as flow  # noqa: PLC0415

    async with get_client() as client:
        moments = [datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (-40, -20, 600)]
        runs = [await client.create_flow_run(flow, name=f"late {uuid4()}", state=Scheduled(scheduled_time=moment)) for moment in moments]
        assert await keeper_watch.forget_late(client) >= 2
        for run in runs[:2]:
            with pytest.raises(ObjectNotFound):
                await client.read_flow_run(run.id)
        assert (await client.read_flow_run(runs[2].id)).state_name == "Scheduled"
        await client.delete_flow_run(runs[2].id)


def test_a_keeper_that_never_worked_is_called_so() -> None:
    """And one that did is with its seconds."""
    assert keeper_watch.describe(None, now=5.0) == "has never done its work"
    assert keeper_watch.describe(2.0, now=5.4) == "last did its work 3 s ago"


def test_only_a_machine_without_the_key_goes_by_the_servers_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Anyone with the API's password can make completed runs of the keeper; the doctor says by whose word it is."""
    layout.key_file(tmp_path).parent.mkdir()
    ended = datetime.now(UTC) - timedelta(seconds=5)
    monkeypatch.setattr(api, "ask", lambda _home, path, _body=None: [{"end_time": ended.isoformat(), "paused": False}] * (path != ""))
    assert keeper_watch.last_work(tmp_path) == (ended.timestamp(), True)
    assert keeper_watch.BY_SERVER in doctor._keeper(tmp_path).text
    create_key(layout.key_file(tmp_path))
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(layout.key_file(tmp_path)))
    assert keeper_watch.last_work(tmp_path) == (None, False)
    assert doctor._keeper(tmp_path).level == "fail"
    keeper_watch.note_work(12.5)
    assert keeper_watch.last_work(tmp_path) == (12.5, False)
    (layout.key_file(tmp_path).parent / keeper_watch.NAME).write_text("cut sho")
    assert keeper_watch.last_work(tmp_path) == (None, False)
