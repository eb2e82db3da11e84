"""The run that a person means, among many on a real server."""

from __future__ import annotations

from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Running, State, Suspended

from blocks.errors import BadInput
from tasks.lifecycle import find_run as module
from tasks.lifecycle.find_run import find_run
from tasks.lifecycle.lock import OPEN
from tests.tasks.server_runs import service

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]


@flow(name="release")
async def release() -> None:
    """Give runs the flow of releases."""


async def run_of(name: str, *, tags: tuple[str, ...] = (), state: State | None = None, service: str = "") -> FlowRun:
    """Make a run with a name."""
    async with get_client() as client:
        tagged = (*tags, f"service:{service or name}")
        return await client.create_flow_run(release, name=name, tags=tagged, state=state or Completed())


async def meant(words: str, *, waiting: bool = False) -> UUID:
    """Give the id of the run that is meant."""
    async with get_client() as client:
        return (await find_run(client, words, waiting=waiting)).id


@pytest.mark.slow
async def test_a_run_is_found_behind_hundreds_of_newer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gives a page at a time, and the pages behind the first are read too."""
    old = await run_of(service())
    for _ in range(5):
        await run_of(service())
    monkeypatch.setattr(module, "PAGE", 2)
    assert await meant(str(old.id)) == await meant(str(old.id)[:8]) == await meant(old.name) == old.id


async def test_the_run_that_has_not_ended_is_meant() -> None:
    """By name and by service; without one, it is the newest."""
    name = service()
    await run_of(name)
    newest = await run_of(name)
    assert await meant(name) == newest.id
    alive = await run_of(name, tags=(OPEN,), state=Running())
    await run_of(name)
    assert await meant(name) == alive.id


async def test_of_several_open_runs_a_person_names_one_and_an_answer_goes_to_the_one_that_waits() -> None:
    """A rollback beside a suspended release: to cancel the wrong one would be worse than to ask."""
    name = service()
    waits = await run_of(f"{name} 1.0", tags=(OPEN,), state=Suspended(), service=name)
    runs = await run_of(f"rollback {name}", tags=(OPEN,), state=Running(), service=name)
    with pytest.raises(BadInput, match=str(runs.id)[:8]):
        await meant(name)
    assert await meant(name, waiting=True) == waits.id


@pytest.mark.parametrize("words", ["nothing-like-it", "0123", "00000000-0000-4000-8000-000000000000", "", "%"])
async def test_what_matches_no_run_is_said(words: str) -> None:
    """With how to name one."""
    with pytest.raises(BadInput, match="RUN"):
        await meant(words)
