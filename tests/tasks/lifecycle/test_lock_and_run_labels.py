"""One release of a service at a time, and who acts for it: tags and labels on a real server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest
from prefect import get_client
from prefect.client.schemas.actions import VariableCreate
from prefect.states import Cancelled, Completed, Failed

from blocks.errors import Refused
from tasks.lifecycle import run_labels
from tasks.lifecycle.kept_runs import keep_open
from tasks.lifecycle.lock import (
    OPEN,
    OUTCOME,
    STOP,
    Holder,
    LockResult,
    change_tags,
    is_stop_requested,
    lock_name,
    lock_service,
    lock_tag,
    request_stop,
    request_stop_by_tags,
    under_way,
)
from tasks.lifecycle.run_labels import begin_attempt, end_as, end_attempt, let_go, machine, process_lives, set_wakeup
from tests.tasks.server_runs import new_run, seen, service

on_server = [pytest.mark.server, pytest.mark.usefixtures("server")]


class TestOnTheServer:
    """Tags and labels as the run history keeps them."""

    pytestmark = on_server

    @pytest.mark.slow
    async def test_a_service_is_claimed_once_until_its_release_ends(self) -> None:
        """The second is told who holds it; the holder may ask again; after the end the next one gets it."""
        name, first, second = service(), await new_run(), await new_run()
        assert (await lock_service.fn(name, run=first)).granted
        assert (await lock_service.fn(name, run=first)).granted
        refused = await lock_service.fn(name, run=second)
        assert refused == LockResult(granted=False, holder=Holder(first, (await seen(first)).name))
        await end_attempt.fn(first, outcome="deployed")
        assert (await lock_service.fn(name, run=second)).granted

    @pytest.mark.slow
    async def test_of_many_at_once_exactly_one_gets_the_service(self) -> None:
        """The server's database lets a name be taken once."""
        name, runs = service(), [await new_run() for _ in range(5)]
        found = await asyncio.gather(*(lock_service.fn(name, run=run) for run in runs))
        assert sum(one.granted for one in found) == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("gone", ["closed", "deleted"])
    async def test_of_many_who_find_a_claim_that_no_one_holds_exactly_one_gets_it(self, gone: str) -> None:
        """A run that was closed without giving it up, or deleted from the history, holds nothing; no one takes a newer lock away."""
        name, dead, runs = service(), await new_run(), [await new_run() for _ in range(5)]
        await lock_service.fn(name, run=dead)
        async with get_client() as client:
            if gone == "closed":
                await change_tags(client, dead, add={f"{OUTCOME}failed"})
            else:
                await client.delete_flow_run(UUID(dead))
        found = await asyncio.gather(*(lock_service.fn(name, run=run) for run in runs))
        assert sum(one.granted for one in found) == 1

    async def test_a_claim_that_names_no_run_is_refused_with_the_way_out(self) -> None:
        """Someone edited the variable: whether a release runs is not known."""
        name, run = service(), await new_run()
        async with get_client() as client:
            await client.create_variable(VariableCreate(name=lock_name(name), value="mine"))
        with pytest.raises(Refused, match="delete the variable"):
            await lock_service.fn(name, run=run)

    async def test_giving_up_leaves_the_claim_that_another_run_holds_by_now(self) -> None:
        """A tag alone is not a lock."""
        name, holder, other = service(), await new_run(), await new_run()
        await lock_service.fn(name, run=holder)
        async with get_client() as client:
            await change_tags(client, other, add={lock_tag(name)})
        await end_attempt.fn(other, outcome="failed")
        assert not (await lock_service.fn(name, run=other)).granted

    @pytest.mark.slow
    async def test_a_rollback_tells_the_open_release_and_not_itself(self) -> None:
        """The label is seen by the release at its next step; that it is open is kept beside the key, whatever its tags say."""
        name = service()
        release, rollback, other, deleted = await new_run(), await new_run(), await new_run(), str(uuid4())
        for run, its in ((release, name), (rollback, ""), (other, service()), (deleted, name)):
            await keep_open(run, service=its)
            await keep_open(run)  # as a process that goes on does, before its plan is read
        assert await request_stop.fn(await under_way.fn(name, besides=rollback), by=rollback) == [release]
        assert [await is_stop_requested(run) for run in (release, rollback, other)] == [True, False, False]

    @pytest.mark.slow
    async def test_what_only_tags_name_is_told_apart_from_that(self) -> None:
        """Anyone with the API's password makes such runs by the thousand: a rollback tells them once it is done."""
        name = service()
        kept, tagged, rollback = await new_run(), await new_run(tags=(lock_tag(name),)), await new_run(tags=(lock_tag(name),))
        await keep_open(kept, service=name)
        assert await request_stop.fn([kept], by=rollback) == [kept]
        assert not await is_stop_requested(tagged)
        assert await request_stop_by_tags.fn(name, by=rollback) == [tagged]
        assert [await is_stop_requested(run) for run in (kept, tagged, rollback)] == [True, True, False]

    async def test_tags_are_added_and_dropped_as_often_as_wanted(self) -> None:
        """Repeating changes nothing, not even the time of the last change."""
        run = await new_run(tags=("kept", "old"))
        async with get_client() as client:
            await change_tags(client, run, add={"new"}, drop={"old", "never there"})
            before = await seen(run)
            await change_tags(client, run, add={"new"}, drop={"old"})
        after = await seen(run)
        assert (set(after.tags), after.updated) == ({"kept", "new"}, before.updated)

    async def test_an_attempt_marks_its_run_and_its_process(self) -> None:
        """People find it by tags and name, the keeper its process by the labels."""
        run = await new_run()
        await set_wakeup(run, at=datetime.now(UTC) + timedelta(hours=1))
        await begin_attempt.fn(run, name="guestbook 1.1", tags=["service:guestbook"])
        found = await seen(run)
        assert (found.name, set(found.tags)) == ("guestbook 1.1", {OPEN, "service:guestbook"})
        assert process_lives(dict(found.labels)) is True
        assert found.labels[run_labels.WAKE_AT] == ""
        await begin_attempt.fn(run, name="", tags=[])
        assert (await seen(run)).name == "guestbook 1.1"

    async def test_an_ended_attempt_frees_its_service_and_says_its_outcome(self) -> None:
        """The next release may come; the keeper looks on until the run has its final state."""
        name = service()
        run = await new_run(tags=(OPEN, STOP, lock_tag(name), "service:x"))
        for _ in range(2):
            await end_attempt.fn(run, outcome="rolled_back")
            assert set((await seen(run)).tags) == {OPEN, "service:x", "outcome:rolled_back"}
        await let_go.fn(run)
        assert set((await seen(run)).tags) == {"service:x", "outcome:rolled_back"}

    async def test_a_run_without_an_outcome_stays_in_the_keepers_sight(self) -> None:
        """Whatever ended it, its record is still open."""
        run = await new_run(tags=(OPEN,))
        await let_go.fn(run)
        assert (await seen(run)).tags == [OPEN]

    @pytest.mark.parametrize(
        ("before", "after"), [(Cancelled(), "CANCELLED"), (Failed(), "FAILED"), (Completed(), "FAILED"), (None, "FAILED")]
    )
    async def test_a_run_ends_as_it_is_told_unless_a_person_cancelled_it(self, before: Any, after: str) -> None:
        """Cancelled is a person's word and stays."""
        run = await new_run(state=before)
        await end_as.fn(run, state=Failed(name="RolledBack", message="it is back on 1.0"))
        state = (await seen(run)).state
        assert state is not None
        assert state.type.value == after


def labels(**changes: Any) -> dict[str, Any]:
    """Give the labels of this very process, changed."""
    me = psutil.Process()
    return {run_labels.HOST: machine(), run_labels.PID: me.pid, run_labels.STARTED: round(me.create_time(), 2)} | {
        getattr(run_labels, name): value for name, value in changes.items()
    }


@pytest.mark.parametrize(
    ("found", "lives"),
    [
        (labels(), True),
        (labels(STARTED=1.0), False),
        (labels(PID=2**22 + 7), False),
        (labels(STARTED="?"), False),
        (labels(HOST="elsewhere/boot"), None),
        (labels(PID=""), None),
        ({}, None),
    ],
    ids=["itself", "a reused id", "no such id", "broken labels", "another machine", "no id", "no labels"],
)
def test_a_process_is_known_by_machine_id_and_start(found: dict[str, Any], lives: bool | None) -> None:  # noqa: FBT001
    """Where this machine cannot know, no one is called dead."""
    assert process_lives(found) is lives


def test_a_process_that_ended_and_was_not_buried_does_not_live() -> None:
    """A zombie acts no more."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as child:
        started = psutil.Process(child.pid).create_time()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert process_lives(labels(PID=child.pid, STARTED=started)) is False
