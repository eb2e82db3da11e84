"""One look at what was deployed: what each environment shows, by what the release acted through, and the record of a failure."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from blocks.errors import BadInput, ShipwayError
from blocks.outside_text import error_text
from blocks.platform import Platform, Position
from flows.lifecycle.context import Phase
from flows.rollout.after_deployment import append_counts, append_health, probe
from flows.rollout.gone import gone_by
from flows.rollout.log_check import LogsFound, append_logs, new_errors
from tasks.analysis.watch import read_counts
from tasks.lifecycle.clock import now
from tasks.lifecycle.retries import retried
from tasks.record.journal import say
from tasks.rollout.as_deployed import load_platform_to_roll_back
from tasks.rollout.rollout import read_position
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.analysis.platform_counts import increase
from tasks.rules.lifecycle.observed import Observed, ObservedPlace
from tasks.rules.lifecycle.observed_looks import HEALTH, LOGS, REQUESTS, FoundThere
from tasks.rules.lifecycle.observed_requests import judge_requests
from tasks.rules.lifecycle.results import PhaseResult
from tasks.rules.plan.targets import place_of

NAME = "observation"
Found = TypeVar("Found")


class Seen(NamedTuple):
    """What was seen in one environment.

    Fields:
        position: What it runs; None if it does not answer.
        gone: By which run the version does not serve any more, as `gone_by` says it; "" if it serves, or that is not known.
        found: The verdicts, and the counts from which the next look goes on.
        health: What the health check found, for the record.
        counts: Requests since the counts were judged last, and how many failed.
        logs: What the logs say; None if they were not read.
    """

    position: Position | None
    gone: str
    found: FoundThere
    health: dict[str, Any]
    counts: dict[str, int] | None
    logs: LogsFound | None


async def see(phase: Phase, kept: Observed, environment: str) -> Seen:
    """Look at one environment by what the release acted through, whatever was done to its block since; each check by itself."""
    place, before = place_of(phase.plan, environment), kept.places[environment]
    platform = await _or_none(load_platform_to_roll_back(place.platform, field=place.field, strategy=place.strategy))
    if isinstance(platform, PhaseResult):
        return _unseen(platform, before)
    position = await _or_none(retried(read_position)(platform))
    if isinstance(position, PhaseResult):
        return _unseen(position, before)
    gone = await _or_none(gone_by(phase, platform, position, environment=environment, version=kept.version, since=kept.since))
    if isinstance(gone, PhaseResult):
        return _unseen(gone, before)
    if gone:
        return Seen(position, gone, FoundThere({}, before.counts), {}, None, None)
    return await _check(phase, kept, platform, position, environment=environment)


def _unseen(result: PhaseResult, before: ObservedPlace) -> Seen:
    """Give that an environment could not be looked at: while it is not known what serves there, nothing is judged."""
    return Seen(None, "", FoundThere(dict.fromkeys((HEALTH, REQUESTS, LOGS), result), before.counts), {}, None, None)


async def _check(phase: Phase, kept: Observed, platform: Platform, position: Position, *, environment: str) -> Seen:
    """Make the checks of one environment, under the name that the version has there now."""
    before, version = kept.places[environment], position["baseline"] or kept.version
    refused = False
    try:
        probed = await _or_none(probe(phase.plan, platform, version, environment=environment), but=BadInput)
    except BadInput as error:
        refused, probed = True, _no_data(error)
    health = {} if isinstance(probed, PhaseResult) else probed[1]
    counted = await _or_none(retried(read_counts)(platform))
    after = None if isinstance(counted, PhaseResult) else counted.get(version)
    requests, counts = judge_requests(before.counts, after, limit=phase.plan.verification.max_error_ratio)
    logs, read = await _read_logs(phase, kept, platform, version=version, before=before)
    checks = {
        HEALTH: probed if isinstance(probed, PhaseResult) else PhaseResult.of(health),
        REQUESTS: counted if isinstance(counted, PhaseResult) else requests,
        LOGS: logs if isinstance(logs, PhaseResult) else logs.result,
    }
    errors, number = increase(before.counts.model_dump() if before.counts else after, after)
    delta = {"requests": number, "errors": errors} if after else None
    return Seen(position, "", FoundThere(checks, counts, read, refused), health, delta, None if isinstance(logs, PhaseResult) else logs)


async def _read_logs(
    phase: Phase, kept: Observed, platform: Platform, *, version: str, before: ObservedPlace
) -> tuple[LogsFound | PhaseResult, datetime | None]:
    """Read the log from where it was read last; gives until when it was read, None if it was not.

    Each line counts in one look, as two looks confirm a failure. Times of lines may be in whole seconds, so that is what looks meet at.
    """
    until = now().replace(microsecond=0)
    since = min(before.read or kept.since, until)
    found = await _or_none(
        new_errors(
            phase.plan.logs, platform, since=since.timestamp(), until=until.timestamp(), version=version, previous=None,
            known=before.known, in_whole=before.in_whole,
        )
    )  # fmt: skip
    return found, None if isinstance(found, PhaseResult) else until


async def _or_none(work: Awaitable[Found], *, but: tuple[type[ShipwayError], ...] | type[ShipwayError] = ()) -> Found | PhaseResult:
    """Give what a look found, or that there is no data: what cannot be looked at is neither well nor ill."""
    try:
        return await work
    except but:
        raise
    except ShipwayError as error:
        return _no_data(error)


def _no_data(error: ShipwayError) -> PhaseResult:
    return PhaseResult(outcome=Outcome.NO_DATA, reason=f"it could not be looked at: {error_text(error)}")


async def record(phase: Phase, seen: Mapping[str, Seen], result: PhaseResult, *, version: str, release: str) -> None:
    """Record a look in which a check failed, under its own run; a storage that does not take it keeps no failure from being acted on.

    Args:
        phase: The look.
        seen: What it saw, by environment.
        result: Its result.
        version: The version that is observed.
        release: The run that deployed it.
    """
    try:
        await _append(phase, seen, result, version=version, release=release)
    except (ShipwayError, OSError) as error:
        say(f"the look could not be recorded: {error_text(error)}")


async def _append(phase: Phase, seen: Mapping[str, Seen], result: PhaseResult, *, version: str, release: str) -> None:
    for environment, one in seen.items():
        if one.health:
            await append_health(phase, one.health, environment=environment, name=NAME)
        await append_counts(phase, one.counts, version, environment=environment, name=NAME, since="the look before")
        if one.logs:
            await append_logs(phase, one.logs, version, environment=environment, name=NAME)
    evidence = {"outcome": result.outcome}
    await phase.append(f"Looked at {version} again, deployed by {release}", kind="verdict", name=NAME, why=result.reason, evidence=evidence)
    await phase.append(f"{version}: {result.outcome}", kind="closed", why=result.reason, evidence=evidence)
