"""A choice of a candidate whose process died is started again while its release may still begin; what people ended is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.states import Cancelled, Crashed, Running

from tasks.lifecycle import strays
from tasks.lifecycle.schedule import latest_of_candidate
from tasks.lifecycle.strays import choose_again
from tasks.rules.lifecycle.reconcile import AFTER_CRASH, MOST_CHOICES, chooses_again
from tests.tasks.server_runs import seen

AT = datetime(2026, 11, 30, 3, 30, tzinfo=UTC)
SOON, HOUR = AFTER_CRASH, timedelta(hours=1)


@pytest.mark.parametrize(
    ("after", "latest", "crashes", "again"),
    [
        (SOON, AT + HOUR, 1, True),
        (SOON, AT + HOUR, MOST_CHOICES, True),
        (SOON, AT + HOUR, MOST_CHOICES + 1, False),
        (SOON - timedelta(seconds=1), AT + HOUR, 1, False),
        (HOUR, AT + HOUR, 1, True),
        (2 * HOUR, AT + HOUR, 1, False),
        (SOON, None, 1, False),
    ],
)
def test_a_choice_that_crashed_is_made_again_in_its_time_and_a_few_times(
    after: timedelta, latest: datetime | None, crashes: int, *, again: bool
) -> None:
    """Not at once, as a worker may report the crash late; and not for ever."""
    assert chooses_again(AT, latest, crashes=crashes, now=AT + after) is again


@pytest.mark.parametrize(
    ("parameters", "latest"),
    [
        ({}, AT + HOUR),
        ({"within_minutes": 120}, AT + 2 * HOUR),
        ({"within_minutes": 120, "not_later_than": "2026-11-30T05:00:00+01:00"}, AT + HOUR / 2),
        ({"within_minutes": "x"}, None),
        ({"within_minutes": 10**12}, None),
        ({"within_minutes": -5}, None),
        ({"not_later_than": "soon"}, AT + HOUR),
    ],
)
def test_how_long_a_choice_counts_is_what_the_flow_goes_by(parameters: dict[str, Any], latest: datetime | None) -> None:
    """Whoever has the API's password writes parameters."""
    run: Any = SimpleNamespace(parameters=parameters, expected_start_time=AT)
    assert latest_of_candidate(run) == latest


@flow(name="candidate")
async def choice() -> None:
    """Register the flow of the choices."""


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_the_keeper_starts_a_choice_again_whose_process_died(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is due when it was; one that was cancelled, runs, or is late is left alone."""
    async with get_client() as client:
        deployment = await client.create_deployment(flow_id=await client.create_flow(choice), name="choice", tags=["shipway"])

        async def run(*states: Any, **parameters: Any) -> str:
            made = await client.create_flow_run_from_deployment(deployment, parameters=parameters, state=Running())
            for state in states:
                await client.set_flow_run_state(made.id, state, force=True)
            return str(made.id)

        died = await run(Crashed())
        others = [await run(), await run(Cancelled()), await run(Crashed(), not_later_than="2026-01-01T00:00:00+00:00")]
        before = [(await seen(one)).state_name for one in others]
        due = (await seen(died)).expected_start_time
        with monkeypatch.context() as at_once:
            at_once.setattr(strays, "chooses_again", lambda since, *more, now, **other: chooses_again(since, *more, now=since, **other))  # noqa: ARG005
            assert await choose_again.fn() == []  # so soon
        monkeypatch.setattr(
            strays, "chooses_again", lambda since, *more, now, **other: chooses_again(since, *more, now=now + SOON, **other)
        )
        assert await choose_again.fn() == [(await seen(died)).name]
        again = await seen(died)
        assert (again.state_name, again.expected_start_time) == ("AwaitingRetry", due)
        assert [(await seen(one)).state_name for one in others] == before
        for _ in range(MOST_CHOICES):
            await client.set_flow_run_state(UUID(died), Crashed(), force=True)
        assert await choose_again.fn() == []
