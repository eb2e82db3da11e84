"""Traffic of the running version, measured for the forecast of a release's verdicts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

from prefect import task

from blocks.errors import ShipwayError
from blocks.platform import Platform
from tasks.analysis.sources import Sources, Subject, open_sources
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.analysis.forecast import Traffic
from tasks.rules.analysis.observation import Count
from tasks.rules.plan.judgement import PlatformSli, ProbeSli

MOST_SECONDS = 3.0
PAUSE_SECONDS = 0.25
ENOUGH_REQUESTS = 50


@task(name="measure traffic", **OBSERVE)
async def measure_traffic(platform: Platform, *, subject: Subject, baseline: str | None) -> dict[str, Traffic]:
    """Measure how many events each SLI counts per second, by its own source, for at most three seconds.

    Args:
        platform: The environment.
        subject: What will be watched.
        baseline: The version that serves, or None.

    Returns:
        By SLI; one without an event in this time, or whose source does not answer, is absent, and so are probes.
    """
    asked = [sli for sli in subject.judgement.slis if not isinstance(sli, ProbeSli)]
    if baseline is None or not asked:
        return {}
    subject = replace(subject, judgement=subject.judgement.model_copy(update={"slis": asked}))
    try:
        async with open_sources(subject, platform, versions={"baseline": baseline}) as sources:
            return await _measure(platform, sources)
    except ShipwayError:
        return {}


async def _measure(platform: Platform, sources: Sources) -> dict[str, Traffic]:
    began, first = time.monotonic(), await _totals(platform, sources)
    last, seconds = first, 0.0
    while any(one.total for one in first.values()) and seconds < MOST_SECONDS:
        await asyncio.sleep(PAUSE_SECONDS)
        last, seconds = await _totals(platform, sources), time.monotonic() - began
        if min((one.total - first[name].total for name, one in last.items() if name in first), default=0) >= ENOUGH_REQUESTS:
            break
    grown = {name: one.total - first[name].total for name, one in last.items() if name in first}
    return {name: Traffic(more / seconds, last[name].bad, last[name].total) for name, more in grown.items() if more > 0}


async def _totals(platform: Platform, sources: Sources) -> Mapping[str, Count]:
    sources.start()
    asks = any(isinstance(sli, PlatformSli) for sli in sources.judgement.slis)
    counts, seen = await asyncio.gather(platform.counts() if asks else asyncio.sleep(0, {}), sources.collect(patience_seconds=None))
    seen |= sources.platform(counts)
    return {name: one.counts["baseline"] for name, one in seen.items() if "baseline" in one.counts and not one.error and not one.silence}
