"""Samples suite: a step's samples as a table, with expectations: possible readings, no gaps in time, no shift against the baseline.

A row is one reading of one SLI's counters of one revision, as the watch took it: `at` (seconds since the epoch), `sli`, `role`
(canary or baseline), `version`, `bad`, `total` (counts that only rise within a step). Derived are `gap_seconds` since the reading
before of the same SLI and role, `new_bad` and `new_total` since then, and `ratio`, the share of bad ones among them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.rules.analysis.downsampling import most_points
from tasks.rules.data.jobs import Job
from tasks.rules.plan.data import Samples

Row = Mapping[str, Any]
COLUMNS = ("at", "sli", "role", "version", "bad", "total")
DERIVED = ("gap_seconds", "new_bad", "new_total", "ratio")
ROLES = ("canary", "baseline")
NEVER_A_HOLE_SECONDS = 15.0
FEWEST_REQUESTS, FEWEST_INTERVALS = 10, 8  # fewer make a ratio, or its quantiles, a matter of luck
QUANTILES = (0.5, 0.75)
SLACK_SECONDS = 2.0
RISING = {"description": "Counts never fall within a step"}
JUDGED_WITHIN_SECONDS = 120


def samples_job(evidence: Mapping[str, Any], *, name: str, ended_at: float, interval_seconds: float, rules: Samples) -> Job:
    """Build the job that validates a step's samples.

    Args:
        evidence: The watch's evidence: `samples` (rows), `step_percent`, `started_at`, `versions` by role, `slis`.
        name: The job's name, unique in the release.
        ended_at: When the watch was recorded, in seconds since the epoch.
        interval_seconds: The plan's time between two readings.
        rules: The plan's section `samples`.

    Returns:
        The job; ended as `no_data` if the watch kept no samples.
    """
    job = Job(name=name, title=f"Samples at {evidence.get('step_percent')} %", timeout_seconds=JUDGED_WITHIN_SECONDS)
    rows = rows_that_decide(evidence)
    if not rows:
        return job.ended("no_data", "the watch kept no samples")
    started_at = _number(evidence.get("started_at"))
    if started_at is None:
        return job.ended("error", "it is not known when the watch began")
    table = derive(rows)
    span = max(0.0, ended_at - started_at)
    gap_seconds = max(
        rules.largest_gap_intervals * max(interval_seconds, span / most_points(len(evidence.get("slis") or ()))), NEVER_A_HOLE_SECONDS
    )
    expectations = [
        *_possible(rows, evidence, first=started_at - SLACK_SECONDS, last=ended_at + SLACK_SECONDS),
        *_rising(table),
        *_steady(started_at, gap_seconds=gap_seconds),
        *_alike(table, evidence, worse_by=rules.worse_by),
    ]
    source = {"rows": table, "numbers": list(DERIVED)}
    return job.over(source, {"name": job.title, "expectations": expectations}, show=True)


def rows_that_decide(evidence: Mapping[str, Any]) -> list[Row]:
    """Return the readings of a watch without those of SLIs that only show: an SLI that does not decide a step must not roll it back later.

    Args:
        evidence: The watch's evidence.

    Returns:
        The rows; empty if there are none, or they are not a table.
    """
    rows = evidence.get("samples")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        return []
    shown = {sli.get("name") for sli in evidence.get("slis") or () if isinstance(sli, Mapping) and not sli.get("deciding", True)}
    return [row for row in rows if row.get("sli") not in shown]


def derive(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Convert rows to columns, in the order of SLI, role and time, and derive the others.

    Args:
        rows: Readings in any order; a missing value or one that is not a number is None.

    Returns:
        Values by column: those that any row has, and the derived ones.
    """
    ordered = sorted(rows, key=lambda row: (str(row.get("sli")), str(row.get("role")), _number(row.get("at")) or -math.inf))
    names = list(dict.fromkeys([*(name for name in COLUMNS if any(name in row for row in rows)), *(name for row in rows for name in row)]))
    table: dict[str, list[Any]] = {name: [row.get(name) for row in ordered] for name in names}
    derived: dict[str, list[float | None]] = {name: [] for name in DERIVED}
    before: Row = {}
    for row in ordered:
        goes_on = bool(before) and all(row.get(name) == before.get(name) for name in ("sli", "role"))
        gap, bad, total = (_increase(row, before, name) if goes_on else None for name in ("at", "bad", "total"))
        enough = bad is not None and total is not None and total >= FEWEST_REQUESTS
        for name, value in zip(DERIVED, (gap, bad, total, bad / total if enough and bad is not None and total else None), strict=True):
            derived[name].append(value)
        before = row
    return {**table, **derived}


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile by linear interpolation between the two nearest values, as numpy's default does.

    Args:
        values: At least one.
        share: From 0 to 1.
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _possible(rows: Sequence[Row], evidence: Mapping[str, Any], *, first: float, last: float) -> list[dict[str, Any]]:
    """Return the expectations on all readings."""
    versions = [str(version) for version in (evidence.get("versions") or {}).values() if version]
    slis = [str(sli.get("name")) for sli in evidence.get("slis") or () if isinstance(sli, Mapping)]
    there = [name for name in COLUMNS if any(name in row for row in rows)]
    asked = [_ask("expect_table_columns_to_match_set", column_set=[*COLUMNS, *DERIVED], exact_match=True)]
    if there != list(COLUMNS):
        return asked  # the others would only repeat that a column is missing
    return [
        *asked,
        *(_column("expect_column_values_to_not_be_null", name) for name in COLUMNS),
        *(_column("expect_column_values_to_be_in_type_list", name, type_list=["int", "int64"]) for name in ("bad", "total")),
        _column("expect_column_values_to_be_in_type_list", "at", type_list=["float", "float64", "int", "int64"]),
        _column("expect_column_values_to_be_between", "at", min_value=first, max_value=last),
        *(_column("expect_column_values_to_be_between", name, min_value=0) for name in ("bad", "total")),
        _ask("expect_column_pair_values_a_to_be_greater_than_b", column_A="total", column_B="bad", or_equal=True)
        | {"description": "No more bad requests than requests"},
        _column("expect_column_values_to_be_in_set", "role", value_set=list(ROLES)),
        _column("expect_column_values_to_be_in_set", "version", value_set=versions),
        _column("expect_column_values_to_be_in_set", "sli", value_set=slis),
        _ask("expect_compound_columns_to_be_unique", column_list=["at", "sli", "role"]),
    ]


def _rising(table: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the expectation of counts that never fall, if there are two to compare: one reading cannot be validated."""
    there = [name for name in ("new_bad", "new_total") if any(value is not None for value in table[name])]
    return [_column("expect_column_values_to_be_between", name, min_value=0) | RISING for name in there]


def _steady(started_at: float, *, gap_seconds: float) -> list[dict[str, Any]]:
    """Return the expectations of no gap in time, which only warn.

    Counts are cumulative: nothing is missed if a source did not answer for a while, or the watch was restarted. A source that stays
    silent is judged by the verdict.
    """
    late = _column("expect_column_min_to_be_between", "at", max_value=started_at + gap_seconds)
    hole = _column("expect_column_values_to_be_between", "gap_seconds", max_value=gap_seconds)
    return [
        {**hole, "severity": "warning", "description": f"No gap in time: at most {gap_seconds:g} s between two readings"},
        {**late, "severity": "warning", "description": f"The first reading is at most {gap_seconds:g} s after the watch began"},
    ]


def _alike(table: Mapping[str, Sequence[Any]], evidence: Mapping[str, Any], *, worse_by: float) -> list[dict[str, Any]]:
    """Return the expectations of canary quantiles near the baseline's, for every deciding SLI with enough samples."""
    asked = []
    for sli in evidence.get("slis") or ():
        name = str(sli.get("name"))
        canary, baseline = (_ratios(table, sli=name, role=role) for role in ROLES)
        if sli.get("deciding", True) and min(len(canary), len(baseline)) >= FEWEST_INTERVALS:
            most = [[None, round(quantile(baseline, share) + worse_by, 6)] for share in QUANTILES]
            ranges = {"quantiles": list(QUANTILES), "value_ranges": most}
            condition = {"row_condition": f'role == "canary" and sli == "{name}"', "condition_parser": "pandas"}
            kind = "expect_column_quantile_values_to_be_between"
            asked.append(_column(kind, "ratio", quantile_ranges=ranges, **condition) | {"description": _told(name, most)})
    return asked


def _told(sli: str, most: Sequence[Sequence[Any]]) -> str:
    bounds = ", ".join(f"{limit:.4g}" for _, limit in most)
    return f"Quantiles {', '.join(map(str, QUANTILES))} of the canary's bad share of {sli}, a reading each, are at most {bounds}"


def _ratios(table: Mapping[str, Sequence[Any]], *, sli: str, role: str) -> list[float]:
    rows = zip(table.get("sli", ()), table.get("role", ()), table["ratio"], strict=False)
    return [ratio for its_sli, its_role, ratio in rows if its_sli == sli and its_role == role and ratio is not None]


def _increase(row: Row, before: Row, name: str) -> float | None:
    now, then = _number(row.get(name)), _number(before.get(name))
    return None if now is None or then is None else now - then


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _column(kind: str, name: str, **kwargs: Any) -> dict[str, Any]:
    return _ask(kind, column=name, **kwargs)


def _ask(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs}
