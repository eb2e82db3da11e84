"""Exposition: the metrics of selections in Prometheus's text format, one set of series for each service and environment.

What has no value has no series: neither 0 nor NaN, so that a rule over it does not fire, and a graph shows a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tasks.rules.metrics.metrics import Metrics
from tasks.rules.metrics.numbers import Ratio, Spread

LABELS = ("service", "environment")
MEDIAN, P90 = "50", "90"


def exposition_of(measured: Sequence[Metrics], *, broken: int | None = None) -> str:
    """Write metrics in the text format of Prometheus.

    Args:
        measured: Of selections that differ by service or environment.
        broken: How many records cannot be trusted, of whatever service; None if not every one was looked at.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Measured([*_families(measured), *([] if broken is None else [_broken(broken)])]))
    return generate_latest(registry).decode()


class _Measured(Collector):
    """Hand families over to the client, which writes them."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Give all families that have a series."""
        return [family for family in self._families if family.samples]


def _broken(number: int) -> Metric:
    family = Metric("shipway_records_broken", "Records of any service that cannot be trusted and are in no figure.", "gauge")
    family.add_sample(family.name, {}, number)
    return family


def _families(measured: Sequence[Metrics]) -> Iterator[Metric]:
    yield from _counts(measured)
    yield from _ratios(measured)
    yield from _spreads(measured)
    yield from _of_deployments(measured)
    yield from _moments(measured)
    yield from _span(measured)


def _counts(measured: Sequence[Metrics]) -> Iterator[Metric]:
    releases = Metric("shipway_releases", "Releases that ended in the span, by outcome.", "gauge")
    deployments = Metric("shipway_deployments", "Releases that gave their version requests, and ended in the span.", "gauge")
    alerts = Metric("shipway_alerts", "Releases and rollbacks of the span of which people were told this fact.", "gauge")
    opened = Metric("shipway_releases_open", "Releases under way at the end of the span.", "gauge")
    for one in measured:
        labels = _labels(one)
        for outcome, number in one.outcomes.items():
            releases.add_sample(releases.name, {**labels, "outcome": outcome}, number)
        for fact, number in one.alerts.items():
            alerts.add_sample(alerts.name, {**labels, "fact": fact}, number)
        if one.is_known:
            deployments.add_sample(deployments.name, labels, one.deployments)
            opened.add_sample(opened.name, labels, one.left_out.open)
    yield from (releases, deployments, alerts, opened)


def _ratios(measured: Sequence[Metrics]) -> Iterator[Metric]:
    by_name: dict[str, tuple[str, list[Ratio]]] = {
        "shipway_release_success_ratio": ("Deployed releases of all that finished.", [one.success for one in measured]),
        "shipway_change_fail_ratio": ("Failed deployments of all.", [one.failures.rate for one in measured]),
        "shipway_rework_ratio": ("Deployments that were asked for as a fix of all.", [one.rework for one in measured]),
        "shipway_health_after_ratio": ("Passed health checks after deployments of all.", [one.afterwards.health for one in measured]),
        "shipway_errors_after_ratio": ("Failed requests after deployments of all.", [one.afterwards.errors for one in measured]),
    }
    for name, (told, ratios) in by_name.items():
        family = Metric(name, told, "gauge")
        for one, ratio in zip(measured, ratios, strict=True):
            if ratio.value is not None:
                family.add_sample(name, _labels(one), ratio.value)
        yield family


def _spreads(measured: Sequence[Metrics]) -> Iterator[Metric]:
    took = Metric("shipway_release_duration_seconds", "Duration of deployed releases: the whole, and its parts each by itself.", "gauge")
    recovery = Metric("shipway_recovery_seconds", "Time from the decision to roll back until the environment was verified again.", "gauge")
    lead = Metric("shipway_lead_time_seconds", "Time from a commit until its version was the baseline.", "gauge")
    for one in measured:
        for part in ("total", "work", "people", "windows", "lock"):
            _add(took, {**_labels(one), "part": part}, getattr(one.took, part))
        _add(recovery, _labels(one), one.failures.recovery)
        _add(lead, _labels(one), one.lead_time.changes)
    yield from (took, recovery, lead)


def _add(family: Metric, labels: dict[str, str], spread: Spread) -> None:
    for percentile, seconds in ((MEDIAN, spread.median_seconds), (P90, spread.p90_seconds)):
        if seconds is not None:
            family.add_sample(family.name, {**labels, "percentile": percentile}, seconds)


def _of_deployments(measured: Sequence[Metrics]) -> Iterator[Metric]:
    """Give what the ratios and the durations rest on, or leave out: a failed deployment that never recovered has no recovery time."""
    by_name: dict[str, tuple[str, list[float | None]]] = {
        "shipway_deployments_per_day": ("Deployments by the days of the span that the records cover.", [one.per_day for one in measured]),
        "shipway_deployments_failed": ("Failed deployments of the span.", [_some(one, one.failures.rate.part) for one in measured]),
        "shipway_deployments_not_recovered": (
            "Failed deployments of the span that no record shows recovered.", [_some(one, one.failures.not_recovered) for one in measured],
        ),
        "shipway_health_unchecked": (
            "Environments that were deployed to without a health check.", [_some(one, one.afterwards.unchecked) for one in measured],
        ),
        "shipway_errors_uncounted": (
            "Environments of deployments without a counted request.", [_some(one, one.afterwards.uncounted) for one in measured],
        ),
        "shipway_lead_time_commits": ("Commits that the lead time is of.", [one.lead_time.changes.count or None for one in measured]),
    }  # fmt: skip
    for name, (what, values) in by_name.items():
        family = Metric(name, what, "gauge")
        for one, value in zip(measured, values, strict=True):
            if value is not None:
                family.add_sample(name, _labels(one), value)
        yield family


def _some(one: Metrics, number: float) -> float | None:
    """Give a number of deployments, if there were any."""
    return number if one.deployments else None


def _moments(measured: Sequence[Metrics]) -> Iterator[Metric]:
    """Give when something was last so: unlike a count of a span, that can be alerted on at once, and for how long is up to the rule."""
    last = Metric("shipway_last_release_timestamp_seconds", "When the newest release with this outcome ended.", "gauge")
    told = Metric("shipway_last_alert_timestamp_seconds", "When the newest run of which people were told this fact ended.", "gauge")
    opened = Metric("shipway_open_since_timestamp_seconds", "When the oldest release that is under way was opened.", "gauge")
    for one in measured:
        for outcome, at in one.last.items():
            last.add_sample(last.name, {**_labels(one), "outcome": outcome}, at.timestamp())
        for fact, at in one.last_alerts.items():
            told.add_sample(told.name, {**_labels(one), "fact": fact}, at.timestamp())
        if one.open_since is not None:
            opened.add_sample(opened.name, _labels(one), one.open_since.timestamp())
    yield from (last, told, opened)


def _span(measured: Sequence[Metrics]) -> Iterator[Metric]:
    begin = Metric("shipway_span_begin_timestamp_seconds", "When the span begins, or the first record was opened.", "gauge")
    end = Metric("shipway_span_end_timestamp_seconds", "When the span ends.", "gauge")
    for one in measured:
        if one.selection.since:
            begin.add_sample(begin.name, _labels(one), one.selection.since.timestamp())
        end.add_sample(end.name, _labels(one), one.selection.until.timestamp())
    yield from (begin, end)


def _labels(one: Metrics) -> dict[str, str]:
    return dict(zip(LABELS, (one.selection.service, one.selection.environment), strict=True))
