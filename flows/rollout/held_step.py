"""Hold a wave that has begun before its next step: the traffic stays where it is, and the canary is watched on.

It needs a process, as a watch does: if that dies, the keeper starts the release again, which comes back to this very place.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from blocks.platform import Lease, Platform, Position
from flows.lifecycle.context import Phase, check_not_stopped, subject_in
from flows.lifecycle.what_holds import tell_what_is_over, what_freezes, what_holds_a_step
from flows.rollout.stop import stop_requests
from flows.rollout.verify_canary import was_stopped
from flows.rollout.watch_promoted import watch_promoted
from tasks.analysis.watch import begin_watch, watch_on
from tasks.lifecycle.clock import now
from tasks.lifecycle.retries import as_temporary, named, retried
from tasks.record.journal import read_entries
from tasks.rollout.rollout import read_position
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.plan.targets import is_production, within
from tasks.rules.record.durations import HELD_BY
from tasks.rules.rollout.next_step import PREPARE, PROMOTE, Next
from tasks.rules.rollout.waiting import BEFORE, held_since, hold_name
from tasks.rules.windows.freeze import Hold

LOOK_SECONDS, ASK_SECONDS = 2.0, 10.0


@dataclass(frozen=True)
class Standing:
    """Where a canary stands between two steps.

    Fields:
        platform: The environment's platform.
        environment: The environment.
        version: The canary's version.
        lease: Our lease; None before it is acquired.
        percent: The share of the traffic that it has; 0 before its first request.
        begun: What the watch of its last step began with; empty if that step was not watched.
    """

    platform: Platform
    environment: str
    version: str
    lease: Lease | None = None
    percent: int = 0
    begun: dict[str, Any] = field(default_factory=dict)


async def wait_while_held(phase: Phase, standing: Standing, *, before: Next) -> str:
    """Wait while something holds the next step, and watch the canary meanwhile.

    What is promoted stays while it is well: what holds a step after that is waited for, as long as it takes.

    Args:
        phase: The release and its round.
        standing: Where the canary stands.
        before: The step that is taken next.

    Returns:
        Why it is rolled back: it is not well, or was held for longer than the plan lets it be. "" to go on.

    Raises:
        Superseded: A rollback requested that the release stops.
    """
    environment = standing.environment
    if await _is_taken(phase, environment, before):
        return ""  # before this run was interrupted
    since = held_since(await read_entries(phase.owner), environment=environment, before=before)
    hold = await _look(phase, environment)
    if hold is None and since is None:
        return ""
    position = await retried(read_position)(standing.platform)
    if _is_there(position, standing, before):
        return ""
    if fault := was_stopped(position, standing.version, standing.percent):
        return fault
    while hold is not None:
        since = await _record(phase, standing, hold, before=before, since=since)
        limit = None if before.is_after else _limit(phase, since)
        if fault := _too_long(phase, limit) or await _watch(phase, standing, hold, until=limit, promoted=before.is_after):
            return fault
        hold = await _look(phase, environment)
    await tell_what_is_over(phase)
    return ""


async def _look(phase: Phase, environment: str) -> Hold | None:
    """Say what holds a step: windows are those of production."""
    return await (what_holds_a_step if is_production(environment) else what_freezes)(phase)


async def _is_taken(phase: Phase, environment: str, before: Next) -> bool:
    """Say if the record has the step, or one behind it."""
    if await phase.read(before.kind, environment=environment, step=before.step, name=before.name):
        return True
    return not before.is_after and await phase.read("effect", environment=environment, name=PROMOTE.name) is not None


def _is_there(position: Position, standing: Standing, before: Next) -> bool:
    """Say if the next step was made, though its entry is missing."""
    if before.kind == "migration":
        return False
    if before == PROMOTE:
        return position["canary"] is None and position["baseline"] == standing.version
    return position["canary"] == standing.version and (before == PREPARE or position["percent"] == before.step)


async def _record(phase: Phase, standing: Standing, hold: Hold, *, before: Next, since: datetime | None) -> datetime:
    """Record what holds the step, and give since when it is held."""
    by, where, lasting = list(hold.by), within(standing.environment), hold.as_it_lasts().why
    at = f"at {standing.percent} %" if standing.percent else "before the first request"
    what = f"Held {'after the promotion' if before.is_after else at}{where}: {hold.what}"
    entry = await phase.append(
        what, kind="gate", environment=standing.environment, step=before.step, name=hold_name(by, before.name, what, lasting),
        why=hold.why, evidence={HELD_BY: by, BEFORE: before.name},
    )  # fmt: skip
    return since or datetime.fromisoformat(entry.at)


def _limit(phase: Phase, since: datetime) -> datetime | None:
    minutes = phase.plan.windows.held_at_most_minutes
    return None if minutes is None else since + timedelta(minutes=minutes)


def _too_long(phase: Phase, limit: datetime | None) -> str:
    if limit is None or now() < limit:
        return ""
    return f"it was held for more than the {phase.plan.windows.held_at_most_minutes:g} min of `windows.held_at_most_minutes`"


@dataclass
class _Asks:
    """When the server and the record are asked next if the release must stop, by the monotonic clock; freezes are files, and cost less."""

    due: float = 0.0


async def _ends(phase: Phase, standing: Standing, hold: Hold, until: datetime | None, asks: _Asks, seconds: float) -> bool:
    """Wait for so long at most until what holds the step changes, and say if it did; also if it was held for too long."""
    waited_until = time.monotonic() + seconds
    while True:
        if until is not None and now() >= until:
            return True
        if asks.due <= time.monotonic():
            with _passing():  # while the server is away, what is held stays where it is
                await check_not_stopped(phase.owner)
            asks.due = time.monotonic() + ASK_SECONDS
        found = await _look(phase, standing.environment)
        if found is None or found.as_it_lasts() != hold.as_it_lasts():
            return True
        left = waited_until - time.monotonic()
        if left <= 0:
            return False
        await asyncio.sleep(min(LOOK_SECONDS, left))


@contextlib.contextmanager
def _passing() -> Iterator[None]:
    """Go on after an error that another look may not meet."""
    try:
        yield
    except Exception as error:
        if as_temporary(error) is None:
            raise


async def _watch(phase: Phase, standing: Standing, hold: Hold, *, until: datetime | None, promoted: bool) -> str:
    """Watch the canary, or what is promoted, until what holds it changes; gives why it is not well, or ""."""
    ends = partial(_ends, phase, standing, hold, until, _Asks())
    if promoted:
        return await watch_promoted(phase, standing.platform, standing.version, environment=standing.environment, ends=ends)
    if not standing.percent or standing.lease is None:
        await ends(math.inf)
        return ""
    where, subject = within(standing.environment), await subject_in(phase, standing.environment)
    place = f"{standing.environment}/step-{standing.percent}"
    begun = standing.begun or await named(begin_watch, f"{standing.percent} %: read the counters while held{where}")(
        standing.platform, subject=subject, version=standing.version, key=phase.key(f"{place}/held")
    )
    found = await named(watch_on, f"{standing.percent} %: watch while held{where}")(
        standing.platform, subject=subject, version=standing.version, percent=standing.percent, lease=standing.lease, begun=begun, ends=ends
    )  # fmt: skip
    if found.outcome not in {Outcome.FAILED, Outcome.ERROR}:
        return ""
    why = f"while it was held at {standing.percent} %{where}: {found.reason}"
    await stop_requests(
        phase,
        standing.platform,
        standing.version,
        environment=standing.environment,
        percent=standing.percent,
        lease=standing.lease,
        why=why,
    )
    return why
