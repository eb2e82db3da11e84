"""A run whose parameters others broke: Prefect ends it before its first line, with our hooks, and its tags are theirs, too."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.exceptions import ParameterTypeError
from prefect.flow_engine import run_flow_async
from prefect.states import Pending

from flows.lifecycle.finalize import end_watch
from flows.rollback import can_start_with
from tasks.lifecycle.kept_runs import count_start, process_of, times_started
from tasks.lifecycle.lock import OPEN, OUTCOME
from tasks.lifecycle.run_labels import begin_attempt
from tasks.record.journal import append_entry
from tasks.record.open_runs import find_open

FAIR: dict[str, Any] = {"plan": "/srv/plan.yaml", "reason": "x"}


@flow(on_failure=[end_watch])
async def moves(version: int = 1) -> int:
    """Stand for a release."""
    return version


@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_it_stays_open_and_its_starts_stay_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be tried again for ever, or left where it is: its process and its count lie beside the key."""
    monkeypatch.setattr(logging.getLogger("prefect.flow_runs"), "disabled", True)
    async with get_client() as client:
        run = await client.create_flow_run(moves, state=Pending())
        name = str(run.id)
        await begin_attempt.fn(name, name="", tags=[])
        await append_entry(name, "Asked", kind="opened", evidence={"flow": "release"})
        await count_start(name)
        before = await process_of(name), await times_started(name)
        broken = {"parameters": {"version": "none"}, "tags": [OPEN, f"{OUTCOME}x"]}
        await client.request("PATCH", "/flow_runs/{id}", path_params={"id": name}, json=broken)
        found = await client.read_flow_run(UUID(name))
        with pytest.raises(ParameterTypeError):
            await run_flow_async(moves, flow_run=found, parameters=found.parameters)
        found = await client.read_flow_run(UUID(name))
    assert found.state is not None
    assert (found.state.type.value, found.run_count) == ("FAILED", 0)
    assert (await process_of(name), await times_started(name)) == before
    assert OPEN in found.tags
    assert name in [one.id for one in await find_open.fn("kept")]
    await append_entry(name, "Done", kind="closed", evidence={"outcome": "failed"})


@pytest.mark.parametrize(
    ("parameters", "can"),
    [
        (FAIR, True),
        (FAIR | {"unknown": 1}, True),
        ({}, False),
        (FAIR | {"restored": 5}, False),
        (FAIR | {"environment": "no such"}, False),
        ({"plan": 5, "reason": []}, False),
    ],
)
def test_a_rollback_is_not_tried_again_with_parameters_that_do_not_validate(parameters: dict[str, Any], *, can: bool) -> None:
    """It would fail before its first line each time; its record says what was asked for. What it does not know is dropped."""
    assert can_start_with(parameters) is can
