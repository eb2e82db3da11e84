"""The report of a selection: its metrics beside those of the span before, how they moved, what failed and why, and the slowest phases."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tasks.rules.metrics.deployments import Deployment, deployments_in
from tasks.rules.metrics.facts import Facts, aims_at
from tasks.rules.metrics.metrics import FINISHED, Metrics, Selection, measure
from tasks.rules.metrics.numbers import Spread
from tasks.rules.notify.facts import Fact
from tasks.rules.record.axis import TIME_STEPS_SECONDS
from tasks.rules.rollout.history import Measured

MOST_FAILED, MOST_SERVICES, MOST_PHASES, MOST_BINS = 50, 12, 12, 12
MOST_DAYS, MOST_WEEKS = 45, 60  # more are drawn as weeks, or as spans of four weeks
ROOM = 1.25  # a histogram goes so far beyond nine of ten; what took longer is its last bar
CAUSES: Mapping[Fact, str] = {
    "rollback_failed": "rollback failed",
    "health_check_failed": "health check failed",
    "error_rate_high": "error rate high",
    "performance_degraded": "performance degraded",
}
CANCELLED, LATER, OTHER = "cancelled", "found after the release", "another reason"
GOOD, BACK = ("deployed",), ("rolled_back", "partly_deployed")


class Failed(NamedTuple):
    """A release that was let through and did not end as deployed, or a deployment that turned out to be bad later.

    Fields:
        facts: The release.
        at: When that was known.
        causes: In words, the most urgent first; never empty.
        why: What its record says, or what undid it.
    """

    facts: Facts
    at: datetime
    causes: tuple[str, ...]
    why: str


class Period(NamedTuple):
    """A part of the span: when it begins, and how many releases ended in it as deployed, as rolled back at least in part, and else."""

    begin: datetime
    deployed: int
    back: int
    failed: int


class PhaseTimes(NamedTuple):
    """How long one phase of the releases of a service took, of those that were deployed in the span and did not wait in it."""

    service: str
    phase: str
    took: Spread


@dataclass(frozen=True, slots=True)
class Report:
    """What a report shows.

    Fields:
        metrics: Of the selection.
        before: Of the span of the same length before; None if the records do not reach back so far.
        periods: How releases ended, by days, weeks or four weeks (UTC); without a gap.
        work_seconds: The work of each deployed release, in order; without waits.
        failed: The newest first, at most `MOST_FAILED`.
        failed_in_all: How many there are.
        causes: How many failed for each; one may have several.
        services: The metrics of each service, those of which most failed first, at most `MOST_SERVICES`; none if the report is of one.
        services_in_all: Of how many a release ended.
        phases: The slowest first, by the time within which nine of ten were done.
    """

    metrics: Metrics
    before: Metrics | None
    periods: tuple[Period, ...]
    work_seconds: tuple[float, ...]
    failed: tuple[Failed, ...]
    failed_in_all: int
    causes: tuple[tuple[str, int], ...]
    services: tuple[Metrics, ...]
    services_in_all: int
    phases: tuple[PhaseTimes, ...]


def report_of(
    facts: Iterable[Facts], times: Iterable[tuple[str, Measured]], selection: Selection, *, broken: int = 0
) -> Report:  # fmt: skip
    """Compute a report.

    Args:
        facts: As `measure` takes them.
        times: Service and measured phases of releases, in any order.
        selection: What it is of.
        broken: How many records could not be trusted.
    """
    known = list(facts)
    made = deployments_in(known, selection.environment)
    metrics = measure(known, selection, broken=broken, made=made)
    chosen = metrics.selection
    own = [one for one in known if one.is_release and one.service and chosen.service in {"", one.service}]
    ended = [one for one in own if aims_at(one, chosen.environment) and chosen.spans(one) and one.outcome in FINISHED]
    failed = sorted(_failed(ended, made, chosen), key=lambda one: (one.at, one.facts.run), reverse=True)
    causes = Counter(cause for one in failed for cause in one.causes)
    names = _names(ended, failed) if not chosen.service else []
    return Report(
        metrics=metrics,
        before=_before(known, made, metrics),
        periods=periods_of(ended, chosen),
        work_seconds=tuple(sorted(one.work_seconds for one in ended if one.outcome == "deployed")),
        failed=tuple(failed[:MOST_FAILED]),
        failed_in_all=len(failed),
        causes=tuple(sorted(causes.items(), key=lambda one: (-one[1], one[0]))),
        services=tuple(measure(known, replace(chosen, service=name), made=made) for name in names[:MOST_SERVICES]),
        services_in_all=len(names),
        phases=_phases(times, {one.run for one in ended}),
    )


def periods_of(ended: Sequence[Facts], selection: Selection) -> tuple[Period, ...]:
    """Count how releases ended, day by day; of a longer span week by week from Mondays on, or by four weeks.

    Args:
        ended: Releases that ended in the span, by one of `FINISHED`.
        selection: With both ends of its span; without its beginning there are none.
    """
    if selection.since is None:
        return ()
    begin = _midnight(selection.since)
    days = math.ceil((selection.until - begin) / timedelta(days=1))
    length = 1 if days <= MOST_DAYS else 7 if days <= MOST_WEEKS * 7 else 28
    begin -= timedelta(days=begin.weekday() if length > 1 else 0)
    width = timedelta(days=length)
    counts = Counter(((one.ended - begin) // width, _class(one)) for one in ended if one.ended)
    number = max(1, math.ceil((selection.until - begin) / width))
    return tuple(Period(begin + width * place, *(counts[place, kind] for kind in range(3))) for place in range(number))


def bin_seconds(seconds: Sequence[float]) -> float:
    """Choose the width of a histogram's bars, in seconds: at steps that people count in, few bars, and nine of ten durations in them."""
    most = (Spread.of(seconds).p90_seconds or 0.0) * ROOM
    fitting = (step for step in TIME_STEPS_SECONDS if most / step <= MOST_BINS)
    day = TIME_STEPS_SECONDS[-1]
    return next(fitting, math.ceil(most / MOST_BINS / day) * day)


def bins_of(seconds: Sequence[float], *, width: float) -> tuple[int, ...]:
    """Count durations by bars of a width, in seconds, up to the longest; at most one bar more than `MOST_BINS`, which has the rest."""
    if not seconds:
        return ()
    last = min(MOST_BINS, int(max(seconds) // width))
    counts = Counter(min(last, int(one // width)) for one in seconds)
    return tuple(counts[place] for place in range(last + 1))


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _class(facts: Facts) -> int:
    return 0 if facts.outcome in GOOD else 1 if facts.outcome in BACK else 2


def _before(known: Sequence[Facts], made: Sequence[Deployment], metrics: Metrics) -> Metrics | None:
    chosen = metrics.selection
    if chosen.since is None or metrics.begin is None:
        return None
    since = chosen.since - (chosen.until - chosen.since)
    if metrics.begin > since:
        return None
    return measure(known, Selection(chosen.service, chosen.environment, since, chosen.since), made=made)


def _failed(ended: Sequence[Facts], made: Sequence[Deployment], selection: Selection) -> list[Failed]:
    """List what failed by its own end, and the deployments of the span that something undid later."""
    own = [Failed(one, one.failed or one.ended, _causes(one), one.why) for one in ended if one.outcome != "deployed" and one.ended]
    later = [
        Failed(one.facts, one.failed, (LATER,), "A rollback on demand left it, or a release says that it was made because of it.")
        for one in made
        if one.failed and one.facts.outcome == "deployed" and selection.spans(one.facts) and selection.service in {"", one.facts.service}
    ]
    return own + later


def _names(ended: Sequence[Facts], failed: Sequence[Failed]) -> list[str]:
    """Name the services of which a release ended, those of which most failed first."""
    number = Counter(one.facts.service for one in failed)
    return sorted({one.service for one in ended} | {*number}, key=lambda name: (-number[name], name))


def _causes(facts: Facts) -> tuple[str, ...]:
    if facts.outcome == "cancelled":
        return (CANCELLED, *((CAUSES["rollback_failed"],) if "rollback_failed" in facts.alerts else ()))
    return tuple(words for fact, words in CAUSES.items() if fact in facts.alerts) or (OTHER,)


def _phases(times: Iterable[tuple[str, Measured]], runs: set[str]) -> tuple[PhaseTimes, ...]:
    taken: dict[tuple[str, str], list[float]] = {}
    for service, one in times:
        for phase in one.phases if one.run in runs else ():
            taken.setdefault((service, phase.phase), []).append(phase.seconds)
    found = [PhaseTimes(service, phase, Spread.of(seconds)) for (service, phase), seconds in taken.items()]
    return tuple(sorted(found, key=lambda one: (-(one.took.p90_seconds or 0), one.service, one.phase))[:MOST_PHASES])
