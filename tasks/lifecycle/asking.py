"""Ask the server for a run of a deployment, once for a key, whatever others make or change in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun

from blocks.key_folder.key_file import secret_name
from tasks.rules.lifecycle.reconcile import will_be_done

ASKED_FOR = timedelta(minutes=10)  # for so long a run counts, by when the server made it, which no request can set


async def ask_for_run(
    client: PrefectClient, deployment: UUID, wanted: Mapping[str, Any], *, key: str, names: Collection[str], at: datetime
) -> tuple[FlowRun, bool]:
    """Make a run, or find the one that was made for this key before.

    Args:
        client: Of the server.
        deployment: Of which deployment.
        wanted: Its parameters.
        key: Asked again under it, the server gives the same run; others cannot know what is made of it.
        names: The parameters that say what it is about.
        at: Now (UTC).

    Returns:
        The run, and whether it does what is asked for, or is about to: not one that ended, waits, or that others made or changed, nor one
        that was made ten minutes ago, since others can say of a run that it runs, or put it in a queue that no worker takes.
    """
    run = await client.create_flow_run_from_deployment(
        deployment, parameters=dict(wanted), idempotency_key=await asyncio.to_thread(secret_name, key)
    )
    due = run.state.state_details.scheduled_time if run.state else None
    is_it = run.deployment_id == deployment and all(run.parameters.get(name) == wanted[name] for name in names)
    is_new = at - (run.created or at) < ASKED_FOR
    return run, bool(is_it and is_new and run.state_type and will_be_done(run.state_type.value, due=due, now=at))
