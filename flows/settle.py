"""Settle what a run left behind that can no longer end by itself: roll back, close its record, release its locks."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import State, flow
from prefect.states import Completed
from prefect.utilities.annotations import quote
from pydantic import Field

from blocks.errors import BadInput, Refused, Temporary, WorldMoved
from blocks.outside_text import OutsideText, as_ending, error_text, outside
from flows.lifecycle.finalize import finalize
from flows.lifecycle.parameters import drops_unknown_parameters
from flows.rollback import can_start_with, finish
from flows.rollout.rehearsed import finish_rehearsal
from tasks.lifecycle.asked import what_was_asked
from tasks.lifecycle.keeper_acts import lives, try_again
from tasks.lifecycle.kept_runs import is_kept_open
from tasks.lifecycle.run_labels import end_as, forget_idle, forget_unbegun, let_go
from tasks.record.journal import expect_whole_record, read_entry
from tasks.record.without_key import rolling_back
from tasks.rules.evidence.rehearsal import REHEARSE
from tasks.rules.lifecycle.ending import Ending
from tasks.rules.plan.request import AnyReason

ACTING = {"release", "staging", "production", "rollback", REHEARSE}
ASKED = outside("asked for without a name or reason")
RunId = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$", title="Run", description="Id of the flow run to settle.")]


@drops_unknown_parameters
@flow(name="settle", flow_run_name="settle {run}", persist_result=True, result_serializer="json")
async def settle(run: RunId, reason: AnyReason = ASKED, cancelled: bool = False) -> State[Any]:  # noqa: FBT001, FBT002 - a form field
    """Bring a dead or cancelled run to its end, safely rolled back; does nothing if it is closed.

    Args:
        run: Id of the flow run.
        reason: Why.
        cancelled: Whether a person cancelled it.
    """
    with rolling_back():
        return await _settled(run, reason=reason, cancelled=cancelled)


async def _settled(run: str, *, reason: OutsideText, cancelled: bool) -> State[Any]:
    opened = await read_entry(run, "opened")
    if opened is None and await forget_unbegun(run):
        return Completed(name="Settled", message="it ended before its first step; nothing was moved")
    told = opened.evidence if opened else {}
    asked = await what_was_asked(run, told=told)
    flow_name = str(told.get("flow") or asked.flow)
    if opened is None and asked.ended and not await is_kept_open(run):
        await let_go(run)
        return Completed(name="Settled", message=f"it had ended as {asked.ended}, and its record cannot be read: `shipway report {run}`")
    if await lives(run):
        raise Refused(f"the run {run} is alive; cancel it, which rolls it back, or wait for it")
    is_rollback = flow_name == "rollback"
    if is_rollback and not cancelled and can_start_with(asked.parameters) and await try_again(run, reason=reason):
        return Completed(name="Settled", message="a rollback that met a passing fault is tried again")
    if flow_name not in ACTING and await forget_idle(run):
        return Completed(name="Settled", message=f"it is a run of {flow_name}, which moves nothing; the keeper leaves it alone from now on")
    why = await _with_what_it_goes_by(run, reason, is_opened=opened is not None)
    ending = Ending("cancelled" if cancelled else "failed", why)
    try:  # half a rollback is worse than either end of it, also if it was cancelled
        state = await finish(run, asked.parameters) if is_rollback else None
    except BadInput as error:
        state, ending = None, Ending("failed", as_ending(error))
    if flow_name == REHEARSE:
        state = await finish_rehearsal(run, plan=asked.plan, version=asked.version, ending=ending)
    if state is None:
        state = await finalize(run, plan=asked.plan, version=asked.version, ending=ending, on_demand=is_rollback)
    as_it_is: Any = quote(state)  # a bare state would be waited for and taken apart, as a task's result
    await end_as(run, state=as_it_is)
    await let_go(run)
    return Completed(name="Settled", message=f"{state.name}: {state.message}")


async def _with_what_it_goes_by(run: str, reason: OutsideText, *, is_opened: bool) -> OutsideText:
    """Say in the reason of its end what a run is settled by if its record cannot be read, or is not as it was written."""
    if not is_opened:
        return as_ending(f"{reason}; its record cannot be read, so this goes by what the run was asked to do")
    try:
        await expect_whole_record(run)
    except (Refused, Temporary, WorldMoved, OSError) as error:
        return as_ending(f"{reason}; its record cannot be read, so this goes by what is kept beside the key: {error_text(error)}")
    return reason
