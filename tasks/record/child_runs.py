"""Child runs that cannot be forged: a parent believes only the results of the children that it called itself, for what it calls now.

Imported with the sealed results, and in force from then on. Whoever has the API's password can add a task run and a completed child to a
run before it calls that child, and set any state with any details on one. Prefect finds a child by its parent's task run, and takes what
its state names for its result. So a flow run's result is stored under the run, its flow, and what the flow was called with, and a child
whose state names another place is not believed: the flow is called once more, which repeats nothing that its tasks remember. A child
without a persisted result, as a rollback is, is never believed; nor is one that is paused, scheduled or cancelling, as Prefect would let
the parent wait with it. We replace two methods of Prefect; tests/tasks/record/test_child_runs.py shows that it works.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from prefect import Flow, State
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, StateType, TaskRun
from prefect.context import FlowRunContext
from prefect.flow_engine import AsyncFlowRunEngine
from prefect.states import Crashed
from prefect.utilities.annotations import NotSet

from blocks.errors import Tampered

LOG = logging.getLogger("shipway")
NEVER = {StateType.PAUSED, StateType.SCHEDULED, StateType.CANCELLING}  # our children wait for nothing, and a parent would wait with them
CALLED_WITH = ("plan", "version", "release", "environment", "wave")  # the parameters that say what a phase is about


def folder_of(run: object) -> str:
    """Give the folder of a flow run's results in the storage."""
    return f"runs/{run}/"


def place_of(run: object, flow: Flow[..., Any], parameters: Mapping[str, Any]) -> str:
    """Give the folder of the results of a flow run that was called with these parameters."""
    called = json.dumps([parameters.get(name) for name in CALLED_WITH], default=str)
    return f"{folder_of(run)}{flow.name.replace(' ', '-')}-{hashlib.sha256(called.encode()).hexdigest()[:16]}/"


def is_own(state: State[Any] | None, place: str) -> bool:
    """Say whether a completed state names a result in this folder."""
    return state is not None and str(getattr(state.data, "storage_key", None) or "").startswith(place)


_load, _result = AsyncFlowRunEngine.load_subflow_run, AsyncFlowRunEngine.result


async def _load_own_child(
    engine: AsyncFlowRunEngine[..., Any], parent_task_run: TaskRun, client: PrefectClient, context: FlowRunContext
) -> FlowRun | None:
    """Find the child that this run called before, if what its state says can be believed."""
    found = await _load(engine, parent_task_run=parent_task_run, client=client, context=context)
    if found is None or _is_believed(engine, found):
        return found
    LOG.warning("%s: the state of the child run %s was not written by it; %s is called again", found.name, found.id, engine.flow.name)
    engine._return_value = NotSet  # noqa: SLF001 - set by Prefect's own method
    if found.state is not None and not found.state.is_final():
        with contextlib.suppress(Exception):  # for people only: it must not stop what is called again
            await client.set_flow_run_state(found.id, Crashed(message="another run took its place"), force=True)
    return None


def _is_believed(engine: AsyncFlowRunEngine[..., Any], found: FlowRun) -> bool:
    if not engine.flow.persist_result or found.state is None or found.state.type in NEVER:
        return False
    return not found.state.is_completed() or is_own(found.state, place_of(found.id, engine.flow, engine.parameters or {}))


async def _own_result(engine: AsyncFlowRunEngine[..., Any], raise_on_failure: bool = True) -> Any:  # noqa: FBT001, FBT002 - Prefect's own
    """Give the result of a run; a child that ended in another process must have written it."""
    run, value = engine.flow_run, engine._return_value  # noqa: SLF001
    is_read = value is NotSet or isinstance(value, State)
    if run is not None and run.parent_task_run_id is not None and is_read and engine.state.is_completed():
        place = place_of(run.id, engine.flow, engine.parameters or {})
        if not is_own(engine.state, place):
            raise Tampered(f"the state of the child run {run.id} does not name a result in {place}: it was not written by that run")
    return await _result(engine, raise_on_failure)


AsyncFlowRunEngine.load_subflow_run = _load_own_child  # type: ignore[method-assign, assignment]
AsyncFlowRunEngine.result = _own_result  # type: ignore[method-assign, assignment]
