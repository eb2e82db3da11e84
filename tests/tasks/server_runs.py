"""Flow runs on the tests' server that no process belongs to."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID, uuid4

from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Running, State

from blocks.server.keeper_watch import note_work


@flow
async def nothing() -> None:
    """Give runs their flow."""


@flow(name="keeper")
async def keeper() -> None:
    """Register the flow of the keeper's runs."""


async def keeper_worked() -> None:
    """Let the keeper have done its work just now."""
    await asyncio.to_thread(note_work, time.time())


def service() -> str:
    """Name a service that no other test has."""
    return f"svc-{uuid4().hex[:8]}"


async def new_run(*, tags: tuple[str, ...] = (), state: State | None = None) -> str:
    """Make a run, and give its id."""
    async with get_client() as client:
        return str((await client.create_flow_run(nothing, tags=tags, state=state or Running())).id)


async def seen(run: str) -> FlowRun:
    """Read a run."""
    async with get_client() as client:
        return await client.read_flow_run(UUID(run))
