"""What is observed from the end of a release on, once its record says that it was deployed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from blocks.errors import Refused
from blocks.outside_text import error_text
from flows.lifecycle.acting import acting
from flows.lifecycle.context import Phase
from tasks.lifecycle.clock import now
from tasks.lifecycle.observed import begin_observed
from tasks.record.journal import say
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.lifecycle.observed import observed_from
from tasks.rules.lifecycle.observed_name import observed_name
from tasks.rules.plan.request import round_of
from tasks.rules.plan.targets import is_production
from tasks.rules.record.entries import Entry
from tasks.rules.rollout.deployed import promotions_in


async def observe_deployed(phase: Phase, run: str, entries: Sequence[Entry], *, version: str) -> None:
    """Keep what is observed of a version that was promoted in production, as its plan says; that takes the place of what was before.

    A key folder that cannot be used ends no release otherwise: it is said, and the version is not observed.

    Args:
        phase: The release, with its own id as the scope.
        run: Its flow run id.
        entries: Its record.
        version: Its version.
    """
    service = phase.plan.service
    promoted = {one.here.environment: one.at for one in promotions_in(entries, service=service) if is_production(one.here.environment)}
    since = max(promoted.values(), default=None)
    if since is None:
        return
    try:
        scope, taken = await _acted_by(phase)
        found = observed_from(
            taken, entries, promoted=promoted, release=run, plan=phase.path, version=version, round=round_of(scope), since=since, at=now()
        )
        await asyncio.to_thread(begin_observed, observed_name(taken.parsed()), found, release=run, since=since)
    except (Refused, OSError) as error:
        say(f"{version} is not observed after its deployment: {error_text(error)}")


async def _acted_by(phase: Phase) -> tuple[str, TakenPlan]:
    """Give the plan of the round that changed production, as it is kept beside the key; without one, as the release took it."""
    release = acting()
    plans = (await release.known()).plans if release else {}
    scope = max(plans, key=round_of, default=phase.scope)
    return scope, plans.get(scope, phase.taken)
