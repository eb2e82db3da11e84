"""Admission: refuse a requested release before it gets a process, if another run holds its service and the plan says `refuse`."""

from __future__ import annotations

import time
from typing import Any

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Failed

from blocks.errors import BadInput
from blocks.outside_text import as_ending
from tasks.evidence.review import read_plan_file
from tasks.lifecycle.kept_runs import forget_open
from tasks.lifecycle.lock import OPEN, OUTCOME, busy, change_tags, holder_of
from tasks.lifecycle.run_labels import HOST
from tasks.notify import alert
from tasks.record.journal import append_entry
from tasks.record.kept_entries import kept_entries
from tasks.rules.approval.closing import gives_way_at
from tasks.rules.lifecycle.ending import STATE_NAMES
from tasks.rules.plan.plan import Plan

HOUR_SECONDS, TOLD_AN_HOUR = 3_600, 10
ENOUGH = "Further refusals of this hour are not told: `shipway history` lists them"
_told: dict[str, list[float]] = {}


async def refuse_if_busy(run: FlowRun) -> bool:
    """Refuse a run that has not started and would only be refused; its record is the one that it would have written itself.

    Everything else is left to the run, which checks again: a plan that cannot be read, a service that becomes free meanwhile.

    Args:
        run: A run that a worker is about to start.

    Returns:
        Whether it was refused.
    """
    if OPEN not in run.tags or run.run_count or HOST in (run.labels or {}):
        return False
    try:
        plan = Plan.model_validate((await read_plan_file.fn(str((run.parameters or {})["plan"])))["plan"])
    except (BadInput, KeyError):
        return False
    if plan.on_conflict != "refuse":
        return False
    async with get_client() as client:
        holder = await holder_of(client, plan.service)
        if holder is None or holder.run == str(run.id):
            return False
        if gives_way_at(await kept_entries(holder.run)) is not None:
            return False  # it is deployed, and ends its wait for ticks once another release waits for it
        await _refuse(client, run, plan, reason=busy(plan.service, holder))
    return True


def turn_to_tell(service: str, *, at: float) -> int:
    """Count a refusal that people are to be told of; who asks for a thousand releases must not fill the outbox, nor people's channels.

    Args:
        service: Whose release it is.
        at: Now, in seconds of a clock that never goes back.

    Returns:
        Which one of this hour it is, by this worker's count; 0 if enough were told.
    """
    _told[service] = [one for one in _told.get(service, []) if at - one < HOUR_SECONDS]
    if len(_told[service]) >= TOLD_AN_HOUR:
        return 0
    _told[service].append(at)
    return len(_told[service])


async def _refuse(client: PrefectClient, run: FlowRun, plan: Plan, *, reason: str) -> None:
    """Open and close the record, and end the run; each part may be done again."""
    asked: dict[str, Any] = run.parameters or {}
    name, version, requester = (await client.read_flow(run.flow_id)).name, str(asked.get("version", "")), str(asked.get("requester", ""))
    await append_entry(
        str(run.id),
        f"{requester or 'An unnamed requester'} asked to {name} {version}",
        kind="opened",
        who=requester or "unknown",
        why=str(asked.get("reason", "")),
        evidence={"flow": name, "plan": str(asked["plan"]), "version": version},
    )
    await append_entry(str(run.id), f"{version}: refused", kind="closed", why=reason, evidence={"outcome": "refused"})
    await forget_open(str(run.id))
    if turn := turn_to_tell(plan.service, at=time.monotonic()):
        said = as_ending(f"{reason}. {ENOUGH}" if turn == TOLD_AN_HOUR else reason)
        await alert(plan.notify, service=plan.service, version=version, outcome="refused", reason=said, run=str(run.id))
    await client.set_flow_run_state(run.id, Failed(name=STATE_NAMES["refused"], message=reason), force=True)
    tags = {f"version:{version}", f"shipway:{name}", f"service:{plan.service}", f"{OUTCOME}refused"}
    await change_tags(client, str(run.id), add=tags, drop={OPEN}, name=f"{name} {plan.service} {version}")
