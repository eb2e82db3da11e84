"""Monitoring check before a release: whether each SLI can be read from its source, for the baseline."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import task

from blocks.errors import Temporary
from blocks.platform import Platform
from tasks.analysis.source_prometheus import has_series
from tasks.analysis.sources import Sources, Subject, open_sources
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.analysis.observation import Role, Seen
from tasks.rules.plan.plan import PlatformSli, ProbeSli, Sli


@task(name="read SLIs", **OBSERVE)
async def read_slis(platform: Platform, *, subject: Subject, baseline: str | None, version: str) -> dict[str, str]:
    """Read every SLI once.

    Args:
        platform: The environment.
        subject: What will be watched.
        baseline: The version that serves, or None before the first deployment, when only Prometheus can be queried.
        version: The version under release.

    Returns:
        By SLI: why its counts cannot be read, or "".
    """
    versions: dict[Role, str] = {"canary": version} if baseline is None else {"baseline": baseline}
    async with open_sources(subject, platform, versions=versions) as sources:
        sources.start()
        counts, seen = await asyncio.gather(_counts(platform, subject), sources.collect(patience_seconds=None))
        if counts is not None:
            seen |= sources.platform(counts)
        return {sli.name: _fault(sli, seen.get(sli.name), sources, baseline=baseline) for sli in subject.judgement.slis}


def _fault(sli: Sli, seen: Seen | None, sources: Sources, *, baseline: str | None) -> str:
    if baseline is None and isinstance(sli, PlatformSli | ProbeSli):
        return ""
    if seen is None:
        return "the platform does not answer"
    if seen.error or seen.silence or baseline is None:
        return seen.error or seen.silence
    if isinstance(sli, PlatformSli):
        return "" if "baseline" in seen.counts else f"the platform has no counts of {baseline}"
    if isinstance(sli, ProbeSli):
        fault = sources.probe.faults.get((sli.name, "baseline"), "it was not probed") if sources.probe else "it was not probed"
        return f"{baseline} at {sli.path}: {fault}" if fault else ""
    found = sources.prometheus is not None and has_series(sources.prometheus.memory[sli.name], "baseline")
    return "" if found else f"Prometheus has no series of {baseline}"


async def _counts(platform: Platform, subject: Subject) -> dict[str, Any] | None:
    try:
        return dict(await platform.counts()) if subject.asks_platform else {}
    except Temporary:
        return None
