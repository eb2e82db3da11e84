"""Deployment metrics, computed from the facts of records: docs/metrics.md says for readers what each class here says in its docstring.

A run belongs to the span in which its record was closed. What cannot be judged is counted apart and never as a success.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.rules.metrics.deployments import Deployment, deployments_in
from tasks.rules.metrics.facts import Facts, aims_at
from tasks.rules.metrics.numbers import Ratio, Spread, newest
from tasks.rules.notify.facts import in_order
from tasks.rules.record.entries import ReleaseOutcome

FINISHED: tuple[ReleaseOutcome, ...] = ("deployed", "partly_deployed", "rolled_back", "failed", "cancelled")
"""The outcomes that count in the success rate: a refused or skipped release was never let through, an open one has not ended."""
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Selection:
    """What is measured.

    Fields:
        service: Only this one; "" for all.
        environment: `production` with all its targets, `production/eu`, or `staging`.
        since: From when on, by the end of a run; None for everything.
        until: Up to when, this moment not included.
    """

    service: str
    environment: str
    since: datetime | None
    until: datetime

    def spans(self, facts: Facts) -> bool:
        """Say if a run ended in the span."""
        return facts.ended is not None and (self.since is None or self.since <= facts.ended) and facts.ended < self.until

    def pending(self, facts: Facts) -> bool:
        """Say if a run was under way when the span ended: opened before, and not closed by then."""
        return facts.opened < self.until and (facts.ended is None or facts.ended >= self.until)


@dataclass(frozen=True, slots=True)
class Took:
    """Duration of the deployed releases of the selection, in seconds: the whole, and its parts (`Durations`), each by itself.

    A median of parts is not a part of the median: the parts of one release add up, those of several do not.
    """

    total: Spread
    work: Spread
    people: Spread
    windows: Spread
    lock: Spread


@dataclass(frozen=True, slots=True)
class Failures:
    """Change fail rate = failed deployments / deployments; and failed deployment recovery time, in seconds.

    Fields:
        rate: The ratio. A deployment failed if its release did not end as deployed (of several targets, here), if a rollback on demand left
            it, or if a release says that it was made because of it.
        in_release: How many of the failed ones their own release ended.
        recovery: From the moment at which it was decided to roll back, or at which the rollback or the fix was asked for, until the
            environment served without the version, verified.
        not_recovered: How many failed ones no record shows recovered.
    """

    rate: Ratio
    in_release: int
    recovery: Spread
    not_recovered: int


@dataclass(frozen=True, slots=True)
class LeadTime:
    """Lead time for changes: from the author's time of each commit until its version first was the baseline, in seconds.

    Fields:
        changes: Over all commits that became the baseline for the first time in the span, each once for its service.
        without_log: How many promoted deployments have no change log, as one is the first of its service, or its phase ran alone.
        cut_logs: How many have more than 500 commits; the others of them are not measured.
        in_future: How many commits are dated after their promotion; they are left out.
    """

    changes: Spread
    without_log: int
    cut_logs: int
    in_future: int


@dataclass(frozen=True, slots=True)
class Afterwards:
    """Service health and error ratio after deployments: of deployed releases, in each environment of the selection.

    Fields:
        health: Passed health checks after the deployment, and for hours after it, / all of them.
        unchecked: How many environments were deployed to without such a check.
        errors: Failed requests / requests of the new version, from its first one to the look after the deployment, over all environments.
        uncounted: In how many environments no request was counted by then.
    """

    health: Ratio
    unchecked: int
    errors: Ratio
    uncounted: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What no figure counts.

    Fields:
        open: Releases under way at the end of the span: neither a success nor a failure yet.
        refused: Not let through.
        skipped: Not begun in the time that they were scheduled for.
        unnamed: Ended before their record named a service, as their plan was refused; said if a service is selected.
        broken: Records that are not as they were written, or cannot be read, whatever the span: no time of theirs can be trusted.
    """

    open: int
    refused: int
    skipped: int
    unnamed: int
    broken: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics of a selection.

    Fields:
        selection: What was measured; `since` is `begin` if none was given.
        begin: When the first record that is known was opened, of whatever service; None without one.
        outcomes: How many releases ended how.
        success: Success rate = deployed / all that finished (`FINISHED`).
        took: Durations.
        is_known: Whether a record names the service, so that 0 is a count and not a wrong name; of all, whether there is a record.
        deployments: Deployment count: releases that gave their version requests in the environment, and have ended.
        days: How much of the span the records cover.
        per_day: Deployment frequency = deployments / those days; None for none, or if no release of the selection is known at any time.
        failures: Change fail rate and recovery.
        lead_time: Lead time for changes.
        rework: Rework rate = deployments that were asked for as a fix / deployments.
        afterwards: Health and errors.
        alerts: Alerts by kind: of how many runs, rollbacks on demand among them, people were told each fact.
        last: When the newest release that ended so did, by outcome.
        last_alerts: When the newest run of which people were told this fact ended, by fact.
        open_since: When the oldest release that was under way at the end of the span was opened; None without one.
        left_out: What is not counted.
    """

    selection: Selection
    begin: datetime | None
    outcomes: dict[str, int]
    success: Ratio
    took: Took
    is_known: bool
    deployments: int
    days: float
    per_day: float | None
    failures: Failures
    lead_time: LeadTime
    rework: Ratio
    afterwards: Afterwards
    alerts: dict[str, int]
    last: dict[str, datetime]
    last_alerts: dict[str, datetime]
    open_since: datetime | None
    left_out: LeftOut


def measure(
    facts: Iterable[Facts],
    selection: Selection,
    *,
    broken: int = 0,
    made: Sequence[Deployment] | None = None,
    begin: datetime | None = None,
) -> Metrics:
    """Compute the metrics of a selection.

    Args:
        facts: Of all records, also of those outside the span: they may undo what was deployed in it. Their order does not matter.
        selection: What is measured.
        broken: How many records could not be trusted.
        made: The deployments to the environment by the facts of all services, if they are known.
        begin: When the first record of any service was opened, if that is known.

    Returns:
        The metrics; a ratio or a spread of nothing has no value.
    """
    all_known = list(facts)
    known = [one for one in all_known if not selection.service or one.service in {selection.service, ""}]
    named = [one for one in known if one.service == selection.service or not selection.service]
    releases = [one for one in named if one.is_release and aims_at(one, selection.environment)]
    ended = sorted((one for one in releases if selection.spans(one)), key=lambda one: one.run)
    if made is None:  # of all services: a fix in one may say that it is made because of another's
        made = deployments_in(all_known, selection.environment)
    deployments = [one for one in made if not selection.service or one.facts.service == selection.service]
    own = [one for one in deployments if selection.spans(one.facts)]
    told = [one for one in named if selection.spans(one) and aims_at(one, selection.environment)]
    outcomes = Counter(str(one.outcome) for one in ended)
    begin = begin or min((one.opened for one in all_known), default=None)
    since = selection.since or (begin if begin and begin < selection.until else None)
    days = max(0.0, (selection.until - max(since, begin)).total_seconds()) / DAY_SECONDS if since and begin else 0.0
    left = LeftOut(
        open=sum(map(selection.pending, releases)), refused=outcomes["refused"], skipped=outcomes["skipped"],
        unnamed=sum(selection.spans(one) for one in known if not one.service) if selection.service else 0, broken=broken,
    )  # fmt: skip
    return Metrics(
        selection=Selection(selection.service, selection.environment, since, selection.until),
        begin=begin,
        outcomes=dict(sorted(outcomes.items())),
        success=Ratio(outcomes["deployed"], sum(outcomes[name] for name in FINISHED)),
        took=_took([one for one in ended if one.outcome == "deployed"]),
        is_known=bool(named),
        deployments=len(own),
        days=days,
        per_day=len(own) / days if days > 0 and releases else None,
        failures=_failures(own),
        lead_time=_lead_time(deployments, selection),
        rework=Ratio(sum(one.facts.kind == "fix" for one in own), len(own)),
        afterwards=_afterwards([one for one in own if one.facts.outcome == "deployed"]),
        alerts=_alerts(told),
        last=newest((str(one.outcome), one.ended) for one in ended),
        last_alerts=newest((fact, one.ended) for one in told for fact in one.alerts),
        open_since=min((one.opened for one in releases if selection.pending(one)), default=None),
        left_out=left,
    )


def _alerts(ended: Sequence[Facts]) -> dict[str, int]:
    return {fact: sum(fact in one.alerts for one in ended) for fact in in_order(fact for one in ended for fact in one.alerts)}


def _took(deployed: Sequence[Facts]) -> Took:
    took = [one.took for one in deployed]
    return Took(
        total=Spread.of([one.total_seconds for one in took]),
        work=Spread.of([one.work_seconds for one in took]),
        people=Spread.of([one.people_seconds for one in took]),
        windows=Spread.of([one.window_seconds for one in took]),
        lock=Spread.of([one.lock_seconds for one in took]),
    )


def _failures(deployments: Sequence[Deployment]) -> Failures:
    failed = [one for one in deployments if one.failed]
    seconds = [one.recovery_seconds for one in failed if one.recovery_seconds is not None]
    return Failures(
        rate=Ratio(len(failed), len(deployments)),
        in_release=sum(one.found_in_release for one in failed),
        recovery=Spread.of(seconds),
        not_recovered=len(failed) - len(seconds),
    )


def _lead_time(deployments: Sequence[Deployment], selection: Selection) -> LeadTime:
    """Measure each commit at its first promotion, whichever span that is in."""
    promoted = sorted(((at, one.facts.run, one.facts) for one in deployments if (at := one.promoted)), key=lambda found: found[:2])
    seen: set[tuple[str, str]] = set()
    seconds: list[float] = []
    without_log = cut = in_future = 0
    for at, _, facts in promoted:
        new = [change for change in facts.changes if (facts.service, change.hash) not in seen]
        seen.update((facts.service, change.hash) for change in new)
        if not selection.spans(facts):
            continue
        took = [(at - change.at).total_seconds() for change in new]
        seconds += [one for one in took if one >= 0]
        in_future += sum(one < 0 for one in took)
        without_log += not facts.changes
        cut += facts.cut
    return LeadTime(Spread.of(seconds), without_log, cut, in_future)


def _afterwards(deployed: Sequence[Deployment]) -> Afterwards:
    places = [place for one in deployed for place in one.places]
    checked = [place.health for place in places if place.health]
    counted = [place for place in places if (place.requests or 0) + place.looks.requests]
    return Afterwards(
        health=Ratio(
            sum(outcome == "passed" for outcome in checked) + sum(place.looks.well for place in places),
            len(checked) + sum(place.looks.checks for place in places),
        ),
        unchecked=len(places) - len(checked),
        errors=Ratio(
            sum(place.errors + place.looks.errors for place in counted),
            sum((place.requests or 0) + place.looks.requests for place in counted),
        ),
        uncounted=len(places) - len(counted),
    )
