"""Whether a release or a rollback holds an environment, by the owner that its lease names: anyone who writes the workload can write one."""

from __future__ import annotations

import asyncio
import logging
from typing import Literal
from uuid import UUID

from prefect import get_client
from prefect.exceptions import ObjectNotFound

from blocks.outside_text import error_text
from tasks.lifecycle.kept_runs import RUN, blocks_of, is_closed, is_kept_open, service_of
from tasks.lifecycle.retries import as_temporary
from tasks.lifecycle.run_labels import has_ended

LOG = logging.getLogger("shipway")
Holder = Literal["", "here", "elsewhere"]


async def held_by(owner: str | None, *, service: str, block: str) -> Holder:
    """Say whether the owner of a lease is under way.

    Args:
        owner: The owner; None if there is none.
        service: The service that the environment is of.
        block: The platform block of the environment.

    Returns:
        "here" if what is kept beside the key says that it is open, and of this service or platform; "elsewhere" if it is open but not known
        to be of these, or if only the server has it as a run that goes on, or does not answer;
        "" if neither, or its record is closed: it only left its lease there, or others wrote a name.
    """
    if not owner or not RUN.fullmatch(owner) or await asyncio.to_thread(is_closed, owner):
        return ""
    if await is_kept_open(owner):
        return "here" if await service_of(owner) == service or block in await blocks_of(owner) else "elsewhere"
    try:
        async with get_client() as client:
            return "" if has_ended(await client.read_flow_run(UUID(owner))) else "elsewhere"
    except (ValueError, ObjectNotFound):
        return ""
    except Exception as error:
        if as_temporary(error) is None:
            raise
        LOG.warning("whether %s holds an environment is not known: %s", owner, error_text(error))
        return "elsewhere"
