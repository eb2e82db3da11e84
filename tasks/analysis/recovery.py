"""Watch after a rollback: the version that serves again, under its real traffic."""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable

from prefect import task

from blocks.errors import ShipwayError
from blocks.platform import Counts, Platform
from tasks.lifecycle.retries import OBSERVE_PLATFORM
from tasks.rules.analysis.platform_counts import increase
from tasks.rules.lifecycle.results import PhaseResult, failed, passed


@runtime_checkable
class CountsAll(Protocol):
    """Optional part of a platform that cannot count two versions apart: counts all requests while one version serves alone."""

    async def counts_of_all(self) -> dict[str, Counts]:
        """Return the counts of all requests under the one version that serves; none while another one is on its way."""
        ...


@task(name="watch recovery", **OBSERVE_PLATFORM)
async def watch_recovery(platform: Platform, *, version: str, watch_seconds: float, max_error_ratio: float) -> PhaseResult:
    """Watch a version after a rollback under its real traffic.

    Args:
        platform: The environment.
        version: The version that serves again.
        watch_seconds: How long.
        max_error_ratio: The share of requests that may fail.

    Returns:
        What was seen; without any request it passes by its verification alone, and says so.
    """
    before, _ = await _counted(platform, version)
    await asyncio.sleep(watch_seconds)
    after, fault = await _counted(platform, version)
    position = await platform.current()
    if position["baseline"] != version or not position["ready"].get(version):
        return failed(f"{version} does not serve after {watch_seconds:g} s of watching")
    if before is None and after is None:
        return passed(f"the platform counts no requests of it{fault}, so its verification alone speaks for it")
    bad, total = increase(before, after)
    if total == 0:
        return passed(f"no request came in {watch_seconds:g} s, so its verification alone speaks for it")
    reason = f"{bad} of {total} requests failed in {watch_seconds:g} s"
    return passed(reason) if bad <= max_error_ratio * total else failed(reason)


async def _counted(platform: Platform, version: str) -> tuple[Counts | None, str]:
    """Read a version's counts; of a platform without counts by version those of all requests, and why they cannot be read."""
    found = (await platform.counts()).get(version)
    if found is not None or not isinstance(platform, CountsAll):
        return found, ""
    try:
        return (await platform.counts_of_all()).get(version), ""
    except ShipwayError as error:  # a release does without these counts, so nothing has seen before that they can be read
        return None, f" ({error})"
