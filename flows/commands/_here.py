"""A rollback that no deployment and no worker can stop: it runs in the process of the command, as a run like any other."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

PICKED_UP_SECONDS = 30
LOOK_SECONDS = 0.5
HINT = "The same command with --here rolls back without deployment and worker; `shipway doctor` says what holds them up."


def be_quiet() -> None:
    """Keep Prefect's own log off the terminal, which shows the record's entries; call it before Prefect is imported."""
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"


async def named(starting: Awaitable[FlowRun]) -> FlowRun:
    """Await a request for a rollback; one that the server refuses names the other way.

    Raises:
        BadInput: The server refuses it.
    """
    from blocks.errors import BadInput

    try:
        return await starting
    except BadInput as error:
        if error.field in {"server", "parameters"}:
            _terminal.show(HINT, error=True)
        raise


async def picked_up(client: PrefectClient, run: FlowRun) -> FlowRun:
    """Wait until a worker has started a rollback, or it ended before; after 30 s say what else can be done.

    Args:
        client: Of the server.
        run: The run.

    Returns:
        The run as it is then.
    """
    late = time.monotonic() + PICKED_UP_SECONDS
    while run.state is None or run.state.is_scheduled() or run.state.is_pending():
        if time.monotonic() > late:
            late = float("inf")
            text = f"No worker has started it for {PICKED_UP_SECONDS} s ({run.state.name if run.state else 'no state'}). {HINT}"
            _terminal.show(text, error=True)
        await asyncio.sleep(LOOK_SECONDS)
        run = await client.read_flow_run(run.id)
    return run


def has_begun(run: FlowRun) -> bool:
    """Say whether a rollback came further than to be cancelled by the server."""
    from tasks.lifecycle.run_labels import HOST

    return run.state is None or not run.state.is_cancelled() or HOST in run.labels


async def roll_back(client: PrefectClient, wanted: dict[str, Any], *, home: Path | None) -> FlowRun:
    """Run the rollback in this process and print the entries of its record; requests of the same rollback that wait are cancelled.

    Args:
        client: Of the server.
        wanted: The flow's parameters.
        home: The home directory that was named, if one was.

    Returns:
        The run as it ended.

    Raises:
        BadInput: This is not the worker's machine, or the requester's name cannot be one.
    """
    from prefect.flow_engine import run_flow
    from prefect.states import Pending

    from blocks.errors import BadInput
    from blocks.server import layout
    from flows.lifecycle.here import asked_here
    from flows.rollback import rollback
    from tasks.lifecycle.lock import OPEN
    from tasks.rules.plan.request import requester_fault
    from tasks.rules.plan.types import PATTERN_WORDS, PERSON

    place = (home or layout.default_home()).expanduser().absolute()
    if not layout.key_file(place).exists():
        fix = "Use it on the worker's machine, as the worker's user, with its --home."
        raise BadInput(f"{place} has no approval key, so this is not where the workers run", field="--here", fix=fix)
    if fault := requester_fault(wanted["requester"]):
        raise BadInput(fault, field="--as", fix=PATTERN_WORDS[PERSON])
    await _cancel_waiting(client, wanted)
    found = await client.create_flow_run(rollback, parameters=wanted, tags=["shipway", OPEN], state=Pending())
    _terminal.show(f"rollback {found.id}, in this process")
    following = asyncio.create_task(_terminal.follow_run(client, found.id))
    running: Any = run_flow(rollback, flow_run=found, parameters=wanted, return_type="state")
    try:
        with asked_here():
            await running
        return await following
    finally:
        following.cancel()


async def _cancel_waiting(client: PrefectClient, wanted: dict[str, Any]) -> None:
    """Cancel requests of the same rollback that no worker has taken: later they would find nothing to do, and end refused."""
    from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
    from prefect.states import Cancelled

    state: Any = {"type": {"any_": ["SCHEDULED"]}}
    flow: Any = {"any_": ["rollback"]}
    waiting = await client.read_flow_runs(flow_filter=FlowFilter(name=flow), flow_run_filter=FlowRunFilter(state=state), limit=200)
    for run in waiting:
        if all(run.parameters.get(name) == wanted[name] for name in ("plan", "environment")) and run.deployment_id is not None:
            await client.set_flow_run_state(run.id, Cancelled(message="rolled back by `shipway rollback --here` instead"))
            _terminal.show(f"rollback {run.id} waited for a worker and is cancelled")
