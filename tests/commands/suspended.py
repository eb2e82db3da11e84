"""Releases that wait at their gate, as the server sees them; no process belongs to one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.input import keyset_from_paused_state
from prefect.states import Completed, Running, Suspended

from tasks.approval.forms import approval_form_for, ticks_form_for
from tasks.rules.approval.gates import Gate
from tasks.rules.plan.checklist import TickedItem


async def suspended_run(
    service: str,
    *,
    ended: bool = False,
    text: str = "",
    approver: str = "anna",
    items: Sequence[TickedItem] = (),
    shows: Callable[[Gate], str] | None = None,
) -> Gate:
    """Make a run that waits at its gate, as the server sees one; no process belongs to it."""
    async with get_client() as client:
        flow_id = await client.create_flow_from_name("release")
        deployment = await client.create_deployment(flow_id=flow_id, name=f"d-{uuid4().hex[:8]}")
        run = await client.create_flow_run_from_deployment(deployment, tags=[f"service:{service}"])
        now = datetime.now(UTC)
        gate = Gate.model_validate(
            {
                "run": str(run.id),
                "name": "checklist-production" if items else "production",
                "digest": "ab" * 32,
                "service": service,
                "version": "1.1",
                "requester": "rita",
            }
            | {"opened_at": now, "expires_at": now + timedelta(hours=1), "nonce": "0f" * 16, "approvers": (approver,)}
        )
        await client.set_flow_run_state(run.id, Running(), force=True)
        if ended:
            await client.set_flow_run_state(run.id, Completed(message="all well"), force=True)
            return gate
        state: State[Any] = Suspended(timeout_seconds=3600, pause_key=gate.key)
        state.state_details.run_input_keyset = keyset_from_paused_state(state)
        await client.set_flow_run_state(run.id, state, force=True)
        # As `RunInput.asave` does, which leaves its client open.
        shown = " ".join(f"`{one}`" for one in (gate.digest, *map(gate.challenge, gate.decisions)))
        form = ticks_form_for(gate, items, description="") if items else approval_form_for(gate, description="")
        stored = {
            "schema": form.model_json_schema(),
            "description": (shows(gate) if shows else text) or f"## {service}: may it go on? {shown}",
        }
        for part, value in stored.items():
            await client.create_flow_run_input(run.id, key=state.state_details.run_input_keyset[part], value=json.dumps(value))
    return gate
