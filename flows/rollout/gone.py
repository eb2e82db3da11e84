"""Whether a version that was deployed serves still, and if not, which release or rollback is behind that."""

from __future__ import annotations

from datetime import datetime

from blocks.platform import Platform, Position
from flows.lifecycle.context import Phase
from flows.rollout.migrations import read_here
from tasks.record.kept_index import kept_facts, kept_runs_of
from tasks.record.left import find_left
from tasks.rules.rollout.deployed import places_of
from tasks.rules.rollout.left import brought_since, serves_still
from tasks.rules.rollout.migrations import Here
from tasks.rules.rollout.version_name import names_of

UNKNOWN = "unknown"  # in the place of a run


async def gone_by(phase: Phase, platform: Platform, position: Position, *, environment: str, version: str, since: datetime) -> str:
    """Say by which run a version does not serve any more; "" if it serves, and `UNKNOWN` if no release or rollback did that.

    Args:
        phase: Who asks.
        platform: The environment's platform.
        position: What it runs now.
        environment: Its name.
        version: The version, as it was called when it was deployed; its configuration may have changed since, and its name with that.
        since: When it was deployed (UTC).
    """
    here = await read_here(phase, platform, environment)
    left, baseline = await find_left(phase.plan.service, here=here), position["baseline"]
    if serves_still(baseline, version, left, since=since):
        return ""
    behind = brought_since(baseline, left, since=since) or await _released_since(phase.plan.service, baseline, here=here, since=since)
    return behind or UNKNOWN


async def _released_since(service: str, baseline: str | None, *, here: Here, since: datetime) -> str:
    """Name a run that deployed what serves, after a moment, by what is kept beside the key; "" if none is."""
    for name in names_of(baseline) if baseline else ():
        for place in places_of(here):
            for run in await kept_runs_of("deployed", service, version=name, place=place):
                at = (await kept_facts("deployed", service, run=run, version=name, place=place)).get("at")
                if at and datetime.fromisoformat(at) > since:
                    return run
    return ""
