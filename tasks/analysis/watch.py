"""Watch of one step: read the counts at the plan's interval, judge after every reading, stop at the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from prefect import task

from blocks.errors import Superseded, Temporary, WorldMoved
from blocks.outside_text import as_ending
from blocks.platform import Counts, Lease, Platform, Position
from blocks.progress import emit_progress
from tasks.analysis.sources import Sources, Subject, open_sources
from tasks.lifecycle.retries import OBSERVE_PLATFORM, ONCE, ONCE_ON_PLATFORM
from tasks.rules.analysis.downsampling import Thinned, most_points
from tasks.rules.analysis.sample_ratio import ENDS_WATCH, outcome_with_mismatch
from tasks.rules.analysis.step import MOST_MISSED, Step, versions_of
from tasks.rules.analysis.verdict import Outcome, Verdict, combine
from tasks.rules.lifecycle.results import Analysis, PhaseResult
from tasks.rules.plan.targets import within

SHORTEST_PAUSE_SECONDS = 0.05
DECIDED = {Outcome.PASSED, Outcome.FAILED, Outcome.ERROR}


class Point(NamedTuple):
    """One reading: its moment, the verdict of each SLI, and the rows of counts."""

    at: float
    verdicts: list[Verdict]
    rows: list[dict[str, Any]]


@task(name="read counts", **OBSERVE_PLATFORM)
async def read_counts(platform: Platform) -> dict[str, Counts]:
    """Read the traffic counts by version."""
    return await platform.counts()


@task(name="begin watch", **ONCE_ON_PLATFORM)
async def begin_watch(platform: Platform, *, subject: Subject, version: str, key: str) -> dict[str, Any]:  # noqa: ARG001
    """Record the counters before a step's traffic shift, so that everything after it is judged, also after a restart.

    Returns:
        `at` in seconds since the epoch, `counts` of the platform by version, and the state of the SLIs in `prometheus`.
    """
    at, position = time.time(), await platform.current()
    async with open_sources(subject, platform, versions=versions_of(version, position["baseline"])) as sources:
        counts, memory = await asyncio.gather(_counts(platform, subject), sources.remember())
    return {"at": at, "counts": counts, "prometheus": memory}


@task(name="start clock", **ONCE)
async def start_clock(*, key: str) -> float:  # noqa: ARG001
    """Record when the traffic was shifted, in seconds since the epoch: the watch time counts from there."""
    return time.time()


@task(name="watch step", task_run_name="watch {percent} %", **ONCE_ON_PLATFORM)
async def watch_step(
    platform: Platform,
    *,
    subject: Subject,
    version: str,
    percent: int,
    watch_seconds: float,
    bake_seconds: float = 0,
    lease: Lease,
    begun: dict[str, Any],
    key: str,  # noqa: ARG001
) -> Analysis:
    """Watch the canary at one share of the traffic until its verdict is in or the time is up.

    Args:
        platform: The environment.
        subject: What is watched, and by which SLIs.
        version: The version under release.
        percent: Its share, which must not change meanwhile.
        watch_seconds: The longest time since `begun`; what probes counted in a process that died is probed again.
        bake_seconds: It does not pass before this time since `begun`; a failed verdict ends it at once.
        lease: Our lease; a newer owner ends the watch.
        begun: What `begin_watch` returned, with the moment `at` from which the time counts, and `probes` of an earlier span.
        key: The cache key of the result.

    Returns:
        What was found; the rows of its `samples` are those of `tasks.rules.analysis.step.Step.rows`.

    Raises:
        Superseded: Another owner holds the environment.
        WorldMoved: The traffic or the canary is not as it was left.
    """
    baseline = (await platform.current())["baseline"]
    versions = versions_of(version, baseline)
    async with open_sources(subject, platform, versions=versions, memory=begun.get("prometheus")) as sources:
        began = begun["at"], sources.platform(begun["counts"]) | sources.beginning()
        step = Step(subject.judgement, version=version, baseline=baseline, percent=percent, began=began)
        look = partial(_look, platform, subject=subject, version=version, percent=percent, lease=lease)
        points = Thinned[Point](most_points(len(subject.judgement.slis)))
        # From here on by a clock that nothing sets: one that jumps ahead would end the watch, and count the version as baked.
        since = time.monotonic() - max(0.0, time.time() - begun["at"])
        ends_at = since + watch_seconds + sources.lost_seconds(begun)  # so that the probes cover as much time as planned
        bakes_until = min(since + bake_seconds, ends_at)
        where = within(subject.environment)
        async for point in _readings(step, sources, look, ends_at=ends_at, bakes_until=bakes_until, owner=lease["owner"], where=where):
            points.add(point)
        probes = {"at": time.time(), "counts": sources.probe.remembered()} if sources.probe else {}
    whole, kept = combine(points.last.verdicts if points.last else []), points.points()
    outcome, reason = outcome_with_mismatch(whole.outcome, whole.reason, mismatch=step.mismatch, action=subject.judgement.sample_ratio)
    return Analysis(
        outcome=outcome,
        reason=reason,
        step_percent=percent,
        started_at=begun["at"],
        versions={"canary": version, "baseline": baseline},
        slis=[sli.model_dump(mode="json") for sli in subject.judgement.slis],
        points=[{"at": point.at, "verdicts": [asdict(verdict) for verdict in point.verdicts]} for point in kept],
        probes=probes,
        samples=[row for point in kept for row in point.rows],
        mismatch=step.mismatch,
    )


@task(name="watch on", **OBSERVE_PLATFORM)
async def watch_on(
    platform: Platform,
    *,
    subject: Subject,
    version: str,
    percent: int,
    lease: Lease,
    begun: dict[str, Any],
    ends: Callable[[float], Awaitable[bool]],
) -> PhaseResult:
    """Watch the canary of a step that has passed, until told otherwise or until it fails; the same test goes on, so it stays valid.

    Args:
        platform: The environment.
        subject: What is watched, and by which SLIs.
        version: The version under release.
        percent: Its share, which must not change meanwhile.
        lease: Our lease; a newer owner ends the watch.
        begun: What the step's watch began with.
        ends: Waits for the end, for so many seconds at most, and says if it came; what it raises ends the watch, too.

    Returns:
        The verdict at its end; only `failed` and `error` end it earlier.

    Raises:
        Superseded: Another owner holds the environment.
        WorldMoved: The traffic or the canary is not as it was left.
    """
    baseline = (await platform.current())["baseline"]
    judgement, where = subject.judgement, within(subject.environment)
    async with open_sources(subject, platform, versions=versions_of(version, baseline), memory=begun.get("prometheus")) as sources:
        sources.lost_seconds(begun)  # the probes go on from what they counted
        began = begun["at"], sources.platform(begun["counts"]) | sources.beginning()
        step = Step(judgement, version=version, baseline=baseline, percent=percent, began=began)
        for number in count(1):
            due, is_last = time.monotonic() + judgement.interval_seconds, await ends(0)
            sources.start()
            counts = await _look(platform, subject=subject, version=version, percent=percent, lease=lease)
            seen = await sources.collect(patience_seconds=max(0.0, due - time.monotonic()))
            whole = combine(step.judge(sources.platform(counts) | seen, at=time.time()))
            if is_last or whole.outcome in {Outcome.FAILED, Outcome.ERROR}:
                break
            emit_progress(lease["owner"], f"held at {percent} %{where}: {whole.reason}", reading=number)
            await ends(max(SHORTEST_PAUSE_SECONDS, due - time.monotonic()))
    return PhaseResult(outcome=whole.outcome, reason=as_ending(whole.reason))


async def _readings(
    step: Step,
    sources: Sources,
    look: Callable[[], Awaitable[dict[str, Any]]],
    *,
    ends_at: float,
    bakes_until: float,
    owner: str,
    where: str,
) -> AsyncIterator[Point]:
    """Read at the plan's interval until the verdict or the time-out (monotonic); a slow source delays only the last reading."""
    interval = step.judgement.interval_seconds
    for number in count(1):
        due, is_last = time.monotonic() + interval, time.monotonic() >= ends_at
        sources.start()
        counts = await look()
        seen = await sources.collect(patience_seconds=None if is_last else max(0.0, due - time.monotonic()))
        at = time.time()
        verdicts = step.judge(sources.platform(counts) | seen, at=at, is_last=is_last)
        yield Point(at, verdicts, step.rows(verdicts, at=at))
        whole = combine(verdicts)
        if is_last or (step.mismatch and step.judgement.sample_ratio == ENDS_WATCH):
            return
        if whole.outcome in DECIDED and (whole.outcome is not Outcome.PASSED or time.monotonic() >= bakes_until):
            return
        emit_progress(owner, f"{step.percent} %{where}: {whole.reason}", reading=number)
        await asyncio.sleep(max(SHORTEST_PAUSE_SECONDS, min(due, ends_at) - time.monotonic()))


async def _look(platform: Platform, *, subject: Subject, version: str, percent: int, lease: Lease) -> dict[str, Any]:
    """Read position and counts, and tolerate a platform that does not answer for a few readings."""
    for missed in range(MOST_MISSED + 1):
        try:
            found = await asyncio.gather(platform.current(), _counts(platform, subject))
        except Temporary:
            if missed == MOST_MISSED:
                raise
            await asyncio.sleep(subject.judgement.interval_seconds)
        else:
            _expect_ours(found[0], version=version, percent=percent, lease=lease)
            counts: dict[str, Any] = found[1]
            return counts
    raise AssertionError


async def _counts(platform: Platform, subject: Subject) -> dict[str, Any]:
    """Read the platform's counts if an SLI needs them."""
    return dict(await platform.counts()) if subject.asks_platform else {}


def _expect_ours(position: Position, *, version: str, percent: int, lease: Lease) -> None:
    if (position["owner"], position["generation"]) != (lease["owner"], lease["generation"]):
        raise Superseded(f"the environment belongs to {position['owner']} now (generation {position['generation']})")
    if "trouble" in position:
        raise WorldMoved(position["trouble"])
    if position["canary"] == version and position["percent"] != percent:
        raise WorldMoved(f"the canary gets {position['percent']} %, not the {percent} % of this step; it was shifted elsewhere")
    if version not in (position["canary"], position["baseline"]):
        raise WorldMoved(f"{version} is not the canary any more ({position['canary'] or 'there is none'}); something else changed it")
