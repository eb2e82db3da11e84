"""`shipway logs`: what a run and its phases logged, on a real server."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect import flow, get_client, task
from prefect.client.schemas.actions import LogCreate
from prefect.client.schemas.objects import FlowRun

from flows.commands import logs
from tasks.lifecycle import run_logs
from tests.tasks.server_runs import service

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]
START = datetime(2026, 3, 1, tzinfo=UTC)


@flow(name="release")
async def release() -> None:
    """Give runs the flow of releases."""


@task(name="phase")
async def phase() -> None:
    """Give child runs a parent task."""


async def log(run: FlowRun, *messages: str, first: int = 0, level: int = 20) -> None:
    """Write lines, a second between them."""
    lines = [
        LogCreate(name="prefect.flow_runs", level=level, message=text, timestamp=START + timedelta(seconds=first + at), flow_run_id=run.id)
        for at, text in enumerate(messages)
    ]
    async with get_client() as client:
        await client.create_logs(lines)


async def family(name: str) -> tuple[FlowRun, FlowRun]:
    """Make a run, and a phase that it called."""
    async with get_client() as client:
        parent = await client.create_flow_run(release, name=name)
        own: Any = await client.create_task_run(phase, flow_run_id=parent.id, dynamic_key="0")
        return parent, await client.create_flow_run(release, name=f"phase of {name}", parent_task_run_id=own.id)


async def shown(name: str, *words: str) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser()
    logs.configure(parser)
    async with get_client() as client:
        return await logs._logs(client, parser.parse_args([name, *words]))


async def test_the_lines_of_a_run_and_its_phases_come_in_the_order_of_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Page after page, with level and phase; what a service wrote cannot change the terminal."""
    monkeypatch.setattr(run_logs, "PAGE", 2)
    name = service()
    parent, child = await family(name)
    await log(parent, "begins", "\x1b[2Jcleared")
    await log(child, "looks", "fails", first=2, level=30)
    await log(parent, "ends", first=9)
    assert await shown(name) == 0
    out = capsys.readouterr().out
    told = [line.split(None, 3) for line in out.splitlines()]
    assert [line[0] for line in told] == ["INFO", "INFO", "WARNING", "WARNING", "INFO"]
    assert [line[3].rpartition(": ")[2] for line in told] == ["begins", "cleared", "looks", "fails", "ends"]
    assert told[2][3].startswith(f"phase of {name}: ")
    assert "\x1b" not in out
    assert await shown(name, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert UUID(facts["run"]) == parent.id
    assert [line["name"] for line in facts["lines"]] == [name, name, child.name, child.name, name]


async def test_a_run_that_has_ended_is_followed_to_its_last_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What reached the server after the first look is shown once, also if it is older than what was shown."""
    monkeypatch.setattr(logs, "LOOKS_SECONDS", 0.01)
    name = service()
    parent, _ = await family(name)
    await log(parent, "first", first=5)
    right = run_logs.family_of

    async def late(*words: Any) -> dict[UUID, str]:
        found = await right(*words)
        if (looks := len(calls)) < 2:
            calls.append(looks)
        if looks == 1:
            await log(parent, "late", first=1)
            async with get_client() as client:
                from prefect.states import Completed  # noqa: PLC0415

                await client.set_flow_run_state(parent.id, Completed(), force=True)
        return found

    calls: list[int] = []
    monkeypatch.setattr(run_logs, "family_of", late)
    assert await shown(name, "--follow") == 0
    told = [line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert told == ["first", "late"]
