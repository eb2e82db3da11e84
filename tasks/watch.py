"""Watch one step: read the counts at the plan's pace, judge after every reading, stop the moment the verdict is in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prefect import task

from blocks.platform import Counts, Mark, Platform, Position
from tasks.policy import OBSERVE, ONCE
from tasks.rules.errors import Superseded, Temporary, WorldMoved
from tasks.rules.plan import Judgement
from tasks.rules.step import Step
from tasks.rules.verdict import Outcome, combine
from tasks.story import tell_progress

MOST_POINTS = 400
MOST_MISSED = 5
SHORTEST_PAUSE_SECONDS = 0.05
DECIDED = {Outcome.PASSED, Outcome.FAILED, Outcome.ERROR}


@task(name="read counts", **OBSERVE)
async def read_counts(platform: Platform) -> dict[str, Counts]:
    """Read the traffic counts by version."""
    return await platform.counts()


@task(name="begin watch", **ONCE)
async def begin_watch(platform: Platform, *, key: str) -> dict[str, Any]:  # noqa: ARG001
    """Remember when a step's watch began and what the counters said, so that a restart goes on with it.

    Returns:
        `at` in seconds since the epoch, and `counts` by version.
    """
    return {"at": time.time(), "counts": dict(await platform.counts())}


@task(name="watch step", task_run_name="watch {percent} %", **ONCE)
async def watch_step(
    platform: Platform,
    *,
    version: str,
    percent: int,
    watch_seconds: float,
    judgement: Judgement,
    mark: Mark,
    begun: dict[str, Any],
    key: str,  # noqa: ARG001
) -> dict[str, Any]:
    """Watch the canary at one share of the traffic until its verdict is in or the time is up.

    Args:
        platform: The environment.
        version: The version under release.
        percent: Its share, which must stay as it is.
        watch_seconds: The longest time since `begun`.
        judgement: The plan's SLIs and pace.
        mark: Our mark; a newer owner ends the watch.
        begun: What `begin_watch` remembered.
        key: Under which the result is remembered.

    Returns:
        The evidence of the step: `outcome`, `reason`, `versions`, `slis` and `points`, as the record's pictures take it.

    Raises:
        Superseded: Somebody else owns the environment.
        WorldMoved: The traffic or the canary is not as it was left.
    """
    baseline = (await platform.current())["baseline"]
    step = Step(judgement, version=version, baseline=baseline, percent=percent, began=(begun["at"], begun["counts"]))
    points: list[dict[str, Any]] = []
    while True:
        counts = await _look(platform, version=version, percent=percent, mark=mark, pause_seconds=judgement.interval_seconds)
        at = time.time()
        verdicts = step.judge(counts, at=at)
        whole = combine(verdicts)
        points.append({"at": at, "verdicts": [asdict(verdict) for verdict in verdicts]})
        left = begun["at"] + watch_seconds - at
        if whole.outcome in DECIDED or left <= 0:
            break
        tell_progress(mark["owner"], f"{percent} %: {whole.reason}", reading=len(points))
        await asyncio.sleep(min(judgement.interval_seconds, max(left, SHORTEST_PAUSE_SECONDS)))
    return {
        "outcome": whole.outcome.value,
        "reason": whole.reason,
        "step_percent": percent,
        "started_at": begun["at"],
        "versions": {"canary": version, "baseline": baseline},
        "slis": [sli.model_dump(mode="json") for sli in judgement.slis],
        "points": _thinned(points),
    }


async def _look(platform: Platform, *, version: str, percent: int, mark: Mark, pause_seconds: float) -> dict[str, Counts]:
    """Read position and counts, and bear a platform that is silent for a few readings."""
    for missed in range(MOST_MISSED + 1):
        try:
            position, counts = await asyncio.gather(platform.current(), platform.counts())
        except Temporary:
            if missed == MOST_MISSED:
                raise
            await asyncio.sleep(pause_seconds)
        else:
            _expect_ours(position, version=version, percent=percent, mark=mark)
            return counts
    raise AssertionError


def _expect_ours(position: Position, *, version: str, percent: int, mark: Mark) -> None:
    if (position["owner"], position["generation"]) != (mark["owner"], mark["generation"]):
        raise Superseded(f"the environment belongs to {position['owner']} now (generation {position['generation']})")
    if position["canary"] == version and position["percent"] != percent:
        raise WorldMoved(f"the canary gets {position['percent']} % of the traffic, not the {percent} % of this step; somebody shifted it")
    if version not in (position["canary"], position["baseline"]):
        raise WorldMoved(f"{version} is gone: {position['canary'] or 'nothing'} is the canary; somebody else changed the environment")


def _thinned(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep at most 400 points for the record, always the last."""
    stride = -(-len(points) // MOST_POINTS)
    return list(points[::stride]) if (len(points) - 1) % max(stride, 1) == 0 else [*points[::stride], points[-1]]


@task(name="watch recovery", **OBSERVE)
async def watch_recovery(platform: Platform, *, version: str, watch_seconds: float, max_error_ratio: float) -> dict[str, Any]:
    """Watch a version after a rollback under its real traffic.

    Args:
        platform: The environment.
        version: The version that serves again.
        watch_seconds: How long.
        max_error_ratio: The share of requests that may fail.

    Returns:
        `outcome` and `reason`; without any request it passes by its verification alone, and says so.
    """
    before = (await platform.counts()).get(version)
    await asyncio.sleep(watch_seconds)
    after = (await platform.counts()).get(version)
    position = await platform.current()
    if position["baseline"] != version or not position["ready"].get(version):
        return {"outcome": "failed", "reason": f"{version} does not serve after {watch_seconds:g} s of watching"}
    bad, total = _increase(before, after)
    if total == 0:
        return {"outcome": "passed", "reason": f"no request came in {watch_seconds:g} s, so its verification alone speaks for it"}
    reason = f"{bad} of {total} requests failed in {watch_seconds:g} s"
    return {"outcome": "passed" if bad <= max_error_ratio * total else "failed", "reason": reason}


def _increase(before: Counts | None, after: Counts | None) -> tuple[int, int]:
    if after is None:
        return 0, 0
    if before is None or before["started"] != after["started"]:
        return after["errors"], after["requests"]
    return after["errors"] - before["errors"], after["requests"] - before["requests"]
