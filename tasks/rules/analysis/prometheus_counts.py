"""Prometheus counts: from answers to the counts of one SLI: which series are bad, which bucket is the threshold, what is invalid."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from blocks.errors import BadInput
from tasks.rules.analysis.indicator import bound_seconds, snap_threshold
from tasks.rules.analysis.scrapes import LARGEST_COUNT, Sample, Weight
from tasks.rules.plan.judgement import PrometheusSli

DEFAULT_METRIC = {"errors": "http_requests_total", "latency": "http_request_duration_seconds"}
EVERYTHING = "+Inf"
NEAR = 1e-6
WHOLE_STATUS = re.compile(r"(\d+)\.0+")
# Labels that Prometheus itself adds to every series of a target: https://prometheus.io/docs/concepts/jobs_instances/
TARGET_LABELS = ("job", "instance")

Labels = Mapping[str, str]
Matrix = Sequence[tuple[Labels, Sequence[tuple[float, str]]]]
Vector = Sequence[tuple[Labels, float, str]]


def series_name(sli: PrometheusSli) -> str:
    """Return the metric that an SLI counts: its counter, or its histogram's buckets."""
    metric = sli.metric or DEFAULT_METRIC[sli.indicator]
    return metric if sli.indicator == "errors" else f"{metric.removesuffix('_bucket')}_bucket"


def whole(text: str, *, what: str) -> int:
    """Read a cumulative count.

    Args:
        text: The value as Prometheus writes it.
        what: The name of the value, for the message.

    Raises:
        BadInput: It is not a count: NaN, infinite, negative or fractional.
    """
    fix = "Name a counter as scraped, or a sum of counters, without rate(), increase() or a quotient."
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and 0 <= value <= LARGEST_COUNT and abs(value - round(value)) <= NEAR):
        raise BadInput(f"{what} is {text[:40]}, which is not a count of events", field="query", fix=fix)
    return round(value)


def choose_bound(sli: PrometheusSli, matrix: Matrix) -> str | None:
    """Choose the bucket of the threshold, as a label's text; None if no histogram was seen yet.

    Raises:
        BadInput: There is no finite bucket, or a bound is not a number.
    """
    bounds = {labels["le"]: 0 for labels, _ in matrix if "le" in labels}
    if sli.threshold_seconds is None or not bounds:
        return None
    bound = snap_threshold(bounds, threshold_seconds=sli.threshold_seconds)
    return next(text for text in bounds if float(text) == bound)


def read_samples(sli: PrometheusSli, matrix: Matrix, *, bound: str | None) -> tuple[list[Sample], dict[str, Weight]]:
    """Convert the answer to a range selector to samples with their weights.

    Series that differ only in how a number is written, as `le="1"` and `le="1.0"`, are one: an upgrade of a client library may rename
    them in the middle of a watch (https://github.com/prometheus/prometheus/issues/14485).

    Args:
        sli: The SLI.
        matrix: Labels, and moments with values.
        bound: Latency: the bucket of the threshold.

    Returns:
        The samples of the series that count, and the weights of these series.

    Raises:
        BadInput: A value is not a count, or a histogram lacks the bucket.
    """
    samples: list[Sample] = []
    weights: dict[str, Weight] = {}
    for found, values in matrix:
        labels = _plain(sli, found)
        weight = _status_weight(sli, labels) if sli.indicator == "errors" else _bucket_weight(labels, bound)
        if weight is not None:
            series, target = _spelled(labels), _target_of(labels)
            weights[series] = weight
            samples += [Sample(target, series, at, whole(value, what=_spelled(labels))) for at, value in values]
    if sli.indicator == "latency":
        _expect_bucket(matrix, bound)
    return samples, weights


def has_status(sli: PrometheusSli, matrix: Matrix) -> bool:
    """Return whether any series has the status label; a single one without it is a request without an answer."""
    return any(labels.get(sli.status_label) for labels, _ in matrix)


def expect_status(sli: PrometheusSli, matrix: Matrix) -> None:
    """Refuse a counter of which no series has the status label: it would make every version look bad, or good.

    Args:
        sli: The SLI.
        matrix: The series of all revisions.

    Raises:
        BadInput: There are series, and none has it.
    """
    if sli.indicator == "errors" and matrix and not has_status(sli, matrix):
        labels = matrix[0][0]
        fix = f"Set `status_label` to the one that holds the status, of {', '.join(sorted(labels.keys() - {'__name__'}))}."
        raise BadInput(f"{_spelled(labels)} has no label `{sli.status_label}`, nor has any other", field="status_label", fix=fix)


def one_count(vector: Vector, *, what: str) -> int | None:
    """Read the single value of an expression; None if it gives none.

    Args:
        vector: The answer to an instant query.
        what: The expression's name in the plan, for the message.

    Raises:
        BadInput: There are several, or it is not a count.
    """
    if len(vector) > 1:
        example = " and ".join(_spelled(labels) for labels, _, _ in vector[:2])
        raise BadInput(f"`{what}` gives {len(vector)} series where one is expected: {example}", field=what, fix="Add them up with sum().")
    return whole(vector[0][2], what=f"`{what}`") if vector else None


def windows(elapsed_seconds: float, *, most_seconds: int, margin_seconds: int) -> list[tuple[int, int]]:
    """Split the time since the last reading into range queries of bounded size, oldest first.

    Args:
        elapsed_seconds: Since the last reading.
        most_seconds: The longest window.
        margin_seconds: Added in front, since a scrape is stored later than its timestamp.

    Returns:
        Each window's length and its end, as seconds before now, in whole seconds.
    """
    left = math.ceil(max(0.0, elapsed_seconds)) + margin_seconds
    cuts = [*range(0, left, most_seconds), left]
    # Each window reaches a second into the older one, so that no scrape falls between two queries.
    return [(older - newer + 1, newer) for newer, older in pairwise(cuts)][::-1]


def _plain(sli: PrometheusSli, labels: Labels) -> Labels:
    """Normalise a label that is a number."""
    if sli.indicator == "latency" and "le" in labels:
        bound = bound_seconds(labels["le"])
        return {**labels, "le": EVERYTHING if bound == math.inf else repr(bound)}
    whole_number = WHOLE_STATUS.fullmatch(labels.get(sli.status_label, "")) if sli.indicator == "errors" else None
    return {**labels, sli.status_label: whole_number[1]} if whole_number else labels


def _status_weight(sli: PrometheusSli, labels: Labels) -> Weight | None:
    status = labels.get(sli.status_label)
    if not status:
        return {"bad": Weight(1, 1), "good": Weight(0, 1), "ignore": None}[sli.missing_status]
    return Weight(1 if re.fullmatch(sli.bad_status, status) else 0, 1)


def _bucket_weight(labels: Labels, bound: str | None) -> Weight | None:
    le = labels.get("le", "")
    if _is_everything(le):
        return Weight(1, 1)
    return Weight(-1, 0) if bound is not None and le and bound_seconds(le) == float(bound) else None


def _expect_bucket(matrix: Matrix, bound: str | None) -> None:
    """Refuse a histogram without the bucket: all its answers would count as slow, or the revisions would differ in their thresholds."""
    ends = {_without(labels, "le"): labels for labels, _ in matrix if _is_everything(labels.get("le", ""))}
    cut = {_without(labels, "le") for labels, _ in matrix if bound is not None and _bucket_weight(labels, bound) == Weight(-1, 0)}
    lacking = [labels for name, labels in ends.items() if name not in cut]
    if lacking:
        fix = "Let all revisions publish the same buckets."
        raise BadInput(f"{_spelled(lacking[0])} has no bucket {bound}, by which this watch counts", field="threshold_seconds", fix=fix)


def _is_everything(le: str) -> bool:
    return bool(le) and bound_seconds(le) == math.inf


def _target_of(labels: Labels) -> str:
    """Return the process that was scraped; without Prometheus's own labels each series is a separate one."""
    named = {name: labels[name] for name in TARGET_LABELS if name in labels}
    return json.dumps(named, sort_keys=True) if "instance" in named else _without(labels, "le")


def _without(labels: Labels, name: str) -> str:
    return _spelled({key: value for key, value in labels.items() if key != name})


def _spelled(labels: Labels) -> str:
    inner = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(labels.items()) if name != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}"
