"""The rollback that an observation requests: asked for until a run of it has opened its record, by what is kept beside the approval key.

Whoever has the API's password can delete a run that waits, cancel it, or change its parameters before it begins.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from prefect import get_client, task

from blocks.errors import Refused, Temporary
from tasks.lifecycle.apart import apart
from tasks.lifecycle.asking import ask_for_run
from tasks.lifecycle.clock import now
from tasks.lifecycle.kept_runs import has_open_head, is_closed
from tasks.lifecycle.observed import observed_services, read_observed, replace_observed
from tasks.lifecycle.retries import OBSERVE
from tasks.record.journal import closing_entry
from tasks.record.kept_entries import kept_entry
from tasks.rules.lifecycle.observed import Observed
from tasks.rules.lifecycle.observed_looks import after_refusal
from tasks.rules.record.asked import OF_ROLLBACK
from tasks.rules.record.entries import key_of

DEPLOYMENT = "rollback/rollback"
END_SECONDS = 3.0  # for the end of a record; the keeper's turn has ten for all rollbacks
MOST_ASKED = 5  # requests at a time; the next turn goes on with the next ones


class Requested(NamedTuple):
    """A rollback that was requested: its run, and how many requests were lost before."""

    run: str
    asked: int


@task(name="request rollback", **OBSERVE)
async def request_rollback(one: Observed, *, reason: str) -> Requested:
    """Request the rollback of what is observed; gives the run that is under way or to come, or has begun it.

    Args:
        one: What is observed.
        reason: What failed.

    Raises:
        Refused: The requests were lost, or others made runs in their place.
    """
    wanted = _wanted(one) | {"reason": reason, "requester": f"observation of {one.release}"}
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(DEPLOYMENT)
        for number in range(one.asked, one.asked + MOST_ASKED):
            key = f"late-failure-{one.release}-{number}"
            run, does_it = await ask_for_run(client, deployment.id, wanted, key=key, names=_wanted(one), at=now())
            if does_it or (await _has_begun(one, str(run.id)) and not await _is_refused(str(run.id))):
                return Requested(str(run.id), number)
    raise Refused(f"its last {MOST_ASKED} requests ended before they began, or others made runs in their place; roll back by hand")


@task(name="pursue rollbacks", **OBSERVE)
async def pursue_rollbacks() -> list[str]:
    """Request each rollback of an observation again whose run was lost, and end the observations of those that came to their end.

    One that was refused did nothing: a later look that sees the failure requests it again.

    Returns:
        The runs that came to their end.
    """
    found = list[str]()
    for service in await asyncio.to_thread(observed_services):
        with apart(f"the rollback of what is observed of {service}"):
            one = await asyncio.to_thread(read_observed, service)
            if one is not None and one.rollback and not one.ended:
                found += await _pursue(service, one)
    return found


async def _pursue(service: str, one: Observed) -> list[str]:
    if await _has_begun(one, one.rollback):
        if not await asyncio.to_thread(is_closed, one.rollback):
            return []  # the keeper brings it to its end
        done = one.model_copy(update={"ended": f"its rollback {one.rollback} was carried out"})
        after = after_refusal(one, at=now()) if await _is_refused(one.rollback) else done
        await asyncio.to_thread(replace_observed, service, one, after)
        return [one.rollback]
    try:
        run, asked = await request_rollback.fn(one, reason=one.reason)
    except Refused:
        await asyncio.to_thread(replace_observed, service, one, one.model_copy(update={"asked": one.asked + MOST_ASKED}))
        raise
    if (run, asked) != (one.rollback, one.asked):
        await asyncio.to_thread(replace_observed, service, one, one.model_copy(update={"rollback": run, "asked": asked}))
    return []


async def _has_begun(one: Observed, run: str) -> bool:
    """Say whether a run has opened its record, as the rollback that was asked for; its first entry is kept beside the key, too."""
    if not await asyncio.to_thread(lambda: has_open_head(run) or is_closed(run)):
        return False
    opened = await kept_entry(run, key_of("opened"))
    return opened is not None and all(opened.evidence.get(name) == value for name, value in _wanted(one).items())


async def _is_refused(run: str) -> bool:
    """Say whether a rollback was refused, by the end of its record; one whose end was removed counts as carried out.

    Raises:
        Temporary: The storage does not give it, within a few seconds: other services wait for their turn.
    """
    try:
        async with asyncio.timeout(END_SECONDS):
            closed = await closing_entry(run)
    except TimeoutError:
        raise Temporary(f"the storage did not give the end of the rollback {run} within {END_SECONDS:g} s", delay_seconds=2) from None
    return closed is not None and closed.evidence.get("outcome") == "refused"


def _wanted(one: Observed) -> dict[str, Any]:
    """Give all that a rollback is asked for: each parameter by which it would do something else, whoever changed it."""
    given = {"plan": one.plan, "environment": "production", "bad": one.version, "version": "", "restored": [], "plan_as_it_is": False}
    return {name: given[name] for name in OF_ROLLBACK}
