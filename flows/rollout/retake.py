"""Keep the lease of a rollback: if others than Shipway took it away, it is acquired again and the rollback goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound

from blocks.errors import Permanent, Refused, Superseded, Tampered
from blocks.outside_text import NO_REASON, OutsideText, error_text
from blocks.platform import Lease, Platform
from flows.lifecycle.context import Phase
from tasks.lifecycle.retries import retried
from tasks.record.journal import read_entry, say
from tasks.rollout.rollout import acquire_lease, read_position
from tasks.rules.record.entries import moment

MOST_TAKEOVERS = 5
T = TypeVar("T")


async def with_lease(phase: Phase, platform: Platform, *, reason: OutsideText, act: Callable[[Lease, int], Awaitable[T]]) -> T:
    """Take an environment over and act; what converges is begun again if the lease was forged away meanwhile.

    Whoever may annotate a workload can write any owner there. A newer run of Shipway's own is another matter: it fences this one out.

    Args:
        phase: The rollback.
        platform: The environment.
        reason: Why it is taken over.
        act: What is done under the lease; its second argument counts the takeovers before this one.

    Raises:
        Superseded: A newer run sees to the environment.
        Permanent: The platform says so, but this run has the newest lease.
        Refused, Tampered: The lease was forged away each time.
    """
    for number in range(MOST_TAKEOVERS):
        lease = await retried(acquire_lease)(platform, owner=phase.owner, takeover=reason or NO_REASON)
        try:
            return await act(lease, number)
        except (Refused, Superseded, Tampered) as error:
            if isinstance(error, Superseded):
                await _expect_not_ours(platform, lease, error)
            if number == MOST_TAKEOVERS - 1 or not await _was_forged(phase, platform, error):
                raise
            say(f"the lease was taken away by no run of Shipway: {error_text(error)}. The rollback takes it again")
    raise AssertionError


async def _expect_not_ours(platform: Platform, lease: Lease, error: Superseded) -> None:
    """Expect that another lease than ours counts by now: no one else would see to the environment, and no one would be told.

    Raises:
        Permanent: Ours does, whatever the platform says.
    """
    position = await retried(read_position)(platform)
    if (position["owner"], position["generation"]) == (lease["owner"], lease["generation"]):
        raise Permanent(f"{error_text(error)}. But no newer run has the lease: this one has") from error


async def _was_forged(phase: Phase, platform: Platform, error: Exception) -> bool:
    """Return whether no newer run of ours took the lease; one that does raises the generation, and is known to the server."""
    if isinstance(error, Tampered):
        return True
    owner = (await retried(read_position)(platform))["owner"]
    if isinstance(error, Refused):
        return owner != phase.owner
    # Our own id under a higher generation is a newer copy of this run, which goes on.
    return owner not in {None, phase.owner} and not await _is_newer_run(str(owner), than=phase.owner)


async def _is_newer_run(owner: str, *, than: str) -> bool:
    """Return whether an owner is a run that began after another one and has not ended.

    An older one, or one that has ended, acquires no lease any more: its state was copied earlier and put back.
    """
    async with get_client() as client:
        try:
            run = await client.read_flow_run(UUID(owner))
        except (ValueError, ObjectNotFound):
            return False
        began = await _created(client, than)
    if run.created is None or began is None or run.state is None:
        return True  # the server gives them always; without them nothing is known, and two rollbacks must not chase each other
    return run.created > began and not run.state.is_final()


async def _created(client: PrefectClient, run: str) -> datetime | None:
    """Give the moment at which a run was made; of one that was deleted from the server, that at which its record was opened."""
    try:
        return (await client.read_flow_run(UUID(run))).created
    except ObjectNotFound:
        opened = await read_entry(run, "opened")
        return moment(opened) if opened else None
