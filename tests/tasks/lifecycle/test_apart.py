"""One run's fault keeps no other run from the keeper's care."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.states import Running, Suspended

from tasks.lifecycle import seeing, strays
from tasks.lifecycle.apart import apart
from tasks.lifecycle.kept_runs import forget_open, keep_open
from tasks.lifecycle.lock import OPEN
from tasks.lifecycle.run_labels import HOST, MARKED, PID, STARTED, WAKE_AT, machine
from tasks.lifecycle.seeing import moment_of
from tasks.lifecycle.strays import end_strays
from tasks.record import open_runs
from tasks.record.open_runs import find_open
from tasks.rules.lifecycle.reconcile import decide_care, wants_second_look
from tests.tasks.server_runs import new_run


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T02:00:00+02:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01", None),
        ("2026-01-01T00:00:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("soon", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_a_moment_without_a_time_zone_is_none(text: Any, moment: datetime | None) -> None:
    """Whoever has the API's password writes labels; what cannot be compared does not count."""
    assert moment_of(text) == moment


def test_what_fails_apart_keeps_nothing_else_from_its_turn() -> None:
    """The log says what was left out."""
    done = []
    for number in (0, 1):
        with apart("one"):
            done.append(1 / number)
    assert done == [1.0]


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_a_made_up_run_keeps_no_other_from_care(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by its labels, nor where looking at it fails."""
    good, bad = await new_run(tags=(OPEN,), state=Suspended()), await new_run(tags=(OPEN, "shipway"), state=Running())
    stray = await new_run(tags=("shipway",), state=Running())
    made_up: dict[str, Any] = {HOST: machine(), PID: 999_999, STARTED: 1, MARKED: "2026-01-01", WAKE_AT: "2026-01-01"}
    async with get_client() as client:
        for run in (bad, stray):
            await client.update_flow_run_labels(UUID(run), made_up)
    for one in await find_open.fn():
        wants_second_look(one.seen, now=datetime.now(UTC))
        decide_care(one.seen, now=datetime.now(UTC))
    await end_strays.fn()
    see = seeing.see

    async def fails_for_one(client: Any, run: Any) -> Any:
        if str(run.id) in {bad, stray}:
            raise TypeError("what it holds cannot be compared")
        return await see(client, run)

    monkeypatch.setattr(open_runs, "see", fails_for_one)
    monkeypatch.setattr(strays, "see", fails_for_one)
    found = {one.id for one in await find_open.fn()}
    assert (good in found, bad in found) == (True, False)
    await end_strays.fn()


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_made_up_runs_do_not_come_before_those_that_have_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that only have the tag there may be any number."""
    monkeypatch.setattr(open_runs, "MOST_TAGGED", 2)
    made_up = [await new_run(tags=(OPEN,)) for _ in range(3)]
    begun, untagged = await new_run(tags=(OPEN,)), await new_run()
    for run in (begun, untagged):
        await keep_open(run)
    kept = [one.id for one in await find_open.fn("kept")]
    assert {begun, untagged} <= set(kept)
    assert not set(made_up) & set(kept)
    tagged = [one.id for one in await find_open.fn("tagged")]
    assert len(tagged) == 2
    assert not {begun, untagged} & set(tagged)
    ours = [one.id for one in await find_open.fn() if one.id in {begun, untagged, *made_up}]  # others' runs come and go meanwhile
    assert set(ours[:2]) == {begun, untagged}
    for run in (begun, untagged):
        await forget_open(run)
