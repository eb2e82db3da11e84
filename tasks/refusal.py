"""Admission: refuse a requested release before it gets a process, if another run holds its service and the plan says `refuse`."""

from __future__ import annotations

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
from tasks.rules.lifecycle.ending import STATE_NAMES
from tasks.rules.plan.plan import Plan


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
        await _refuse(client, run, plan, reason=busy(plan.service, holder))
    return True


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
    await alert(plan.notify, service=plan.service, version=version, outcome="refused", reason=as_ending(reason), run=str(run.id))
    await client.set_flow_run_state(run.id, Failed(name=STATE_NAMES["refused"], message=reason), force=True)
    tags = {f"version:{version}", f"shipway:{name}", f"service:{plan.service}", f"{OUTCOME}refused"}
    await change_tags(client, str(run.id), add=tags, drop={OPEN}, name=f"{name} {plan.service} {version}")
