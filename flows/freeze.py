"""Freeze: stop every step forward of one service, or of all, from the Prefect UI. Rollbacks are not affected."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from prefect import State, flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.states import Completed
from pydantic import Field

from blocks.errors import BadInput
from flows.lifecycle.parameters import drops_unknown_parameters
from tasks.approval.known_service import warn
from tasks.lifecycle.clock import now
from tasks.lifecycle.freezes import emit_freeze, set_freeze
from tasks.rules.plan.request import AnyReason, AnyRequester
from tasks.rules.record.markdown import plain
from tasks.rules.windows.freeze import freeze_in_words

Service = Annotated[
    str,
    Field(max_length=63, title="Service", description="The service, as in its plan. Leave it empty to stop all services."),
]
Until = Annotated[
    datetime | None,
    Field(title="Until", description="When it ends by itself, in UTC if it names no zone. Leave it empty if it is to be lifted."),
]


@drops_unknown_parameters
@flow(name="freeze", flow_run_name="freeze {service}", persist_result=False)
async def freeze(reason: AnyReason, requester: AnyRequester, service: Service = "", until: Until = None) -> State[Any]:
    """Stop every step forward within seconds, until the freeze is lifted; rollbacks are not affected. Everybody may set one.

    Args:
        reason: Why; everybody who waits reads it.
        requester: Your name.
        service: The service; empty for all.
        until: When it ends by itself; empty if it is to be lifted.
    """
    until = until if until is None or until.tzinfo else until.replace(tzinfo=UTC)
    if until is not None and until <= now():
        raise BadInput(f"{until:%Y-%m-%d %H:%M} UTC is over already", field="until", fix="Give a later moment, or leave it empty.")
    found = await asyncio.to_thread(set_freeze, who=requester, reason=reason, service=service.strip(), until=until)
    words = freeze_in_words(found)
    emit_freeze(found, what=words)
    warning = f"{plain(said)}\n\n" if (said := await warn(found.service)) else ""
    await acreate_markdown_artifact(
        f"# Frozen\n{plain(words)}.\n\n{warning}Rollbacks are not affected. "
        f"To lift it, run the deployment `unfreeze` with the freeze `{found.id}` and your reason: without a code it says the challenge "
        f"for one. Or `shipway unfreeze {found.id}` on the worker's machine.",
        key=f"freeze-{found.id}",
    )
    return Completed(name="Frozen", message=words)
