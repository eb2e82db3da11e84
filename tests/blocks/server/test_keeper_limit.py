"""A keeper waits for none, and piles up beside none."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from blocks.server import deployed, keeper_limit
from blocks.server.keeper_limit import KEEPER, PATIENCE_SECONDS


@pytest.fixture
def skipped(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Give the runs that are cancelled; the deployment is named by its entry point."""
    runs: list[Any] = []

    async def cancel(run: Any) -> None:
        runs.append(run)

    monkeypatch.setattr(keeper_limit, "_cancel", cancel)
    monkeypatch.setattr(deployed, "known_entry_point", lambda deployment, **_how: deployment)
    return runs


def run_of(entry_point: str) -> Any:
    """Give a flow run."""
    return SimpleNamespace(id=uuid4(), deployment_id=entry_point)


async def test_a_keeper_is_skipped_while_another_one_works_and_rollbacks_are_not(skipped: list[Any]) -> None:
    """It is the same work; after the other one has ended it is done again."""
    assert KEEPER in deployed.URGENT
    goes_on, started, now = asyncio.Event(), list[Any](), [0.0]

    async def start(flow_run: Any, **_how: Any) -> Any:
        started.append(flow_run)
        await goes_on.wait()

    run = keeper_limit.one_keeper(start, skipped=lambda _status: SimpleNamespace(status_code=0), clock=lambda: now[0])  # type: ignore[arg-type, return-value]
    first, second, third, rollback = run_of(KEEPER), run_of(KEEPER), run_of(KEEPER), run_of("flows.rollback.rollback")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run(first, None))
        await asyncio.sleep(0)
        assert (await run(second, None)).status_code == 0
        tasks.create_task(run(rollback, None))
        await asyncio.sleep(0)
        now[0] = PATIENCE_SECONDS
        tasks.create_task(run(third, None))
        await asyncio.sleep(0)
        assert (await run(run_of(KEEPER), None)).status_code == 0
        goes_on.set()
    assert started == [first, rollback, third]
    assert skipped[0] is second
    assert len(skipped) == 2
    await run(second, None)
    assert started[-1] is second
