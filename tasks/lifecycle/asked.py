"""What a run was asked to do, by the run itself and not by its record, which others may have removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect import get_client, task

from tasks.lifecycle.policy import OBSERVE
from tasks.lifecycle.run_labels import has_ended


@dataclass(frozen=True)
class AskedFor:
    """What a run was asked to do, as the run itself says it.

    Fields:
        flow: The name of its flow.
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


@task(name="read what was asked", **OBSERVE)
async def what_was_asked(run: str) -> AskedFor:
    """Read what a run was asked to do from its own parameters: its record may be unreadable."""
    async with get_client() as client:
        found = await client.read_flow_run(UUID(run))
        flow = (await client.read_flow(found.flow_id)).name
    state = found.state.name or "" if found.state is not None and has_ended(found) else ""
    plan, version = (str(found.parameters.get(name) or "") for name in ("plan", "version"))
    return AskedFor(flow, plan, version, state, found.deployment_id is not None, dict(found.parameters))
