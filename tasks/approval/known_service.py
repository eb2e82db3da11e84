"""What the server and this machine know of a service that is frozen: a name that none of them has is likely misspelled."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

from blocks.errors import Refused, ShipwayError
from blocks.key_folder.owners import owner_folder, read_owner
from tasks.approval.protection import load_policies
from tasks.lifecycle.freezes import post_freeze
from tasks.lifecycle.server import server
from tasks.rules.windows.freeze import Freeze, unknown_in_words

SECONDS = 2.0


async def tell_server(freeze: Freeze, *, what: str) -> str:
    """Emit the event of a freeze, if the server answers within seconds; and warn of a service that is not known.

    Returns:
        The warning; "" if there is none.
    """
    with _bounded():
        async with asyncio.timeout(SECONDS), server() as client:
            await post_freeze(client, freeze, what=what)
    return await warn(freeze.service)


async def warn(service: str) -> str:
    """Warn of a service that nothing here names and of which the server has no run, if it answers within seconds; "" if it is known."""
    has_runs: bool | None = None
    with _bounded():
        async with asyncio.timeout(SECONDS), server() as client:
            chosen = FlowRunFilter(tags=FlowRunFilterTags(all_=[f"service:{service}"]))
            has_runs = bool(await client.read_flow_runs(flow_run_filter=chosen, limit=1))
    return await asyncio.to_thread(warning_of, service, has_runs=has_runs)


def _bounded() -> contextlib.suppress:
    """Go on without the server: the freeze is set whatever it says."""
    return contextlib.suppress(ShipwayError, httpx.HTTPError, TimeoutError)


def warning_of(service: str, *, has_runs: bool | None) -> str:
    """Warn of a service that nothing here names; "" if anything does.

    Args:
        service: The service; "" for all.
        has_runs: Whether the server has a run of it; None if that is not known.
    """
    known = _named_here()
    return "" if not service or has_runs or service in known else unknown_in_words(service, sorted(known), is_asked=has_runs is not None)


def _named_here() -> set[str]:
    """Name the services of the policies and of the environments that have an owner."""
    found: set[str] = set()
    with contextlib.suppress(Refused, OSError):
        found |= {service for policy in load_policies() for service in policy.services}
    with contextlib.suppress(Refused, OSError):
        found |= {owner.service for path in owner_folder().glob("*.json") if (owner := read_owner(path))}
    return found
