"""What an observation could not see: people are told once, by whoever keeps it, and by the keeper if that died or was no look."""

from __future__ import annotations

import asyncio
import shlex

from prefect import task

from blocks.outside_text import as_ending
from tasks.lifecycle.apart import apart
from tasks.lifecycle.observed import observed_services, read_observed, replace_observed
from tasks.lifecycle.retries import OBSERVE
from tasks.notify.alerts import notify
from tasks.rules.lifecycle.observed import Observed


async def with_unobserved_told(one: Observed) -> Observed:
    """Tell people what is still to be told of an observation, if anything; gives what is known then.

    The message is about the release, whoever tells it: another look, or the keeper, does not tell it once more.

    Args:
        one: What is observed.
    """
    if not one.untold:
        return one
    plan = one.taken.parsed()
    about, key = f"{plan.service} {one.version}", f"{one.release}/unobserved/{one.number}"
    command = f"`shipway rollback {shlex.quote(one.plan)} --bad {one.version} --reason …`"
    to_do = f"Look at the service, and fix what is named. To roll back: {command}."
    await notify(plan.notify, ["unobserved"], about=about, reason=as_ending(one.untold), run=one.release, key=key, to_do=to_do)
    return one.model_copy(update={"untold": ""})


@task(name="tell what is not observed", **OBSERVE)
async def tell_unobserved() -> None:
    """Tell people what no look told them: its runs were lost, or its process died."""
    for service in await asyncio.to_thread(observed_services):
        with apart(f"what is not observed of {service}"):
            one = await asyncio.to_thread(read_observed, service)
            if one is not None and one.untold:
                await asyncio.to_thread(replace_observed, service, one, await with_unobserved_told(one))
