"""What a run was asked to do, by the run itself and not by its record, which others may have removed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect import get_client, task
from prefect.exceptions import ObjectNotFound

from blocks.server.deployed import known_entry_point
from tasks.lifecycle.retries import OBSERVE
from tasks.lifecycle.run_labels import has_ended
from tasks.rules.record.asked import PARAMETERS


@dataclass(frozen=True)
class AskedFor:
    """What a run was asked to do, as the run itself says it.

    Fields:
        flow: The name of its flow: of its deployment as it was made here, else as the server has it.
        plan: Path of its plan; "" if it takes none.
        version: Its version; "" if it names none.
        ended: The name of its final state, if that is final; else "".
        has_deployment: Whether a worker can start it again.
        parameters: All of its parameters.
    """

    flow: str
    plan: str
    version: str
    ended: str
    has_deployment: bool = True
    parameters: dict[str, Any] = field(default_factory=dict)


def asked_by_record(told: Mapping[str, Any]) -> AskedFor:
    """Give what a run that was deleted from the server was asked to do.

    Args:
        told: The evidence with which its record was opened; empty if it cannot be read.
    """
    flow, plan, version = (str(told.get(name) or "") for name in ("flow", "plan", "version"))
    parameters = {name: told[name] for name in PARAMETERS if name in told}
    return AskedFor(flow, plan, version, "", has_deployment=False, parameters=parameters)


@task(name="read what was asked", **OBSERVE)
async def what_was_asked(run: str, *, told: Mapping[str, Any]) -> AskedFor:
    """Read what a run was asked to do from its own parameters: its record may be unreadable.

    Args:
        run: Its flow run id.
        told: The evidence with which its record was opened, for a run that was deleted from the server.
    """
    async with get_client() as client:
        try:
            found = await client.read_flow_run(UUID(run))
        except ObjectNotFound:
            return asked_by_record(told)
        ours = await asyncio.to_thread(known_entry_point, found.deployment_id)
        flow = ours.rpartition(".")[2] or (await client.read_flow(found.flow_id)).name
    state = found.state.name or "" if found.state is not None and has_ended(found) else ""
    plan, version = (str(found.parameters.get(name) or "") for name in ("plan", "version"))
    return AskedFor(flow, plan, version, state, found.deployment_id is not None, dict(found.parameters))
