"""From the evidence of `samples` entries to what a picture draws: one series for each environment and SLI.

The time axis is the time *watched*: steps stand side by side and the pauses between them (gates, roll-outs) are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tasks.rules.record.entries import Entry

DECIDED = ("passed", "failed")
MAX_POINTS_PER_STEP = 400
SHORTEST_STEP_SECONDS = 0.5


@dataclass(frozen=True)
class Stream:
    """One revision's counts at one moment; bounds are ratios and None if none were computed."""

    bad: float
    total: float
    low: float | None
    high: float | None

    @property
    def ratio(self) -> float | None:
        """Bad over all; None before the first request."""
        return min(1.0, max(0.0, self.bad / self.total)) if self.total > 0 else None


@dataclass(frozen=True)
class Point:
    """One reading; `seconds` is the time watched before it, over all steps."""

    seconds: float
    canary: Stream
    baseline: Stream
    outcome: str
    reason: str


@dataclass(frozen=True)
class WatchedStep:
    """One watch of one step, from `start_seconds` to `end_seconds` of the time watched.

    `decided` is the reading at which this SLI was decided; None if it never was.
    """

    percent: int | None
    start_seconds: float
    end_seconds: float
    points: tuple[Point, ...]
    decided: Point | None
    outcome: str


@dataclass(frozen=True)
class Series:
    """All that is known of one SLI in one environment; the threshold is in seconds."""

    environment: str
    name: str
    indicator: str
    threshold_seconds: float | None
    tolerance: float | None
    limit: float | None
    canary: str
    baseline: str
    deciding: bool
    steps: tuple[WatchedStep, ...]

    @property
    def points(self) -> list[Point]:
        """The readings of all steps in order."""
        return [point for step in self.steps for point in step.points]

    @property
    def measure(self) -> str:
        """What the ratio is, in words."""
        if self.indicator != "latency":
            return f"share of requests that {'failed' if self.indicator == 'errors' else 'were bad'}"
        limit = "the threshold" if self.threshold_seconds is None else f"{self.threshold_seconds:g} s"
        return f"share of requests slower than {limit}"


def series_of(entries: list[Entry]) -> list[Series]:
    """Collect what was watched, in the order of the record.

    Args:
        entries: The record in order.

    Returns:
        One series for each environment and SLI that any `samples` entry names.
    """
    watches: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in entries:
        if entry.kind == "samples":
            for sli in _members(entry.evidence.get("slis")):
                name = (entry.environment, str(sli.get("name", "")))
                watches.setdefault(name, []).append({**entry.evidence, "percent": entry.step, "sli": sli})
    return [_series(environment, name, evidence) for (environment, name), evidence in watches.items()]


def _series(environment: str, name: str, watches: list[dict[str, Any]]) -> Series:
    sli = watches[-1]["sli"]
    steps: list[WatchedStep] = []
    for watch in watches:
        steps.append(_step(watch, name, start=steps[-1].end_seconds if steps else 0.0))
    versions = watches[-1].get("versions")
    named = versions if isinstance(versions, dict) else {}
    return Series(
        environment=environment, name=name, indicator=str(sli.get("indicator", "pair")),
        threshold_seconds=number(sli.get("threshold_seconds")),
        tolerance=number(sli.get("tolerance")), limit=number(sli.get("limit")), canary=str(named.get("canary") or ""),
        baseline=str(named.get("baseline") or ""), deciding=sli.get("deciding") is not False, steps=tuple(steps),
    )  # fmt: skip


def _step(watch: dict[str, Any], name: str, *, start: float) -> WatchedStep:
    readings = [
        (at, verdict)
        for point in _members(watch.get("points"))
        if (at := number(point.get("at"))) is not None
        for verdict in _members(point.get("verdicts"))
        if verdict.get("sli") == name
    ]
    readings.sort(key=lambda reading: reading[0])
    begun = _beginning(watch.get("started_at"), readings)
    points = _thinned([_point(start + max(0.0, at - begun), verdict) for at, verdict in readings])
    last = points[-1] if points else None
    return WatchedStep(
        percent=watch["percent"], start_seconds=start,
        end_seconds=max(last.seconds if last else start, start + SHORTEST_STEP_SECONDS), points=tuple(points),
        decided=_decision(points), outcome=last.outcome if last else "no_data",
    )  # fmt: skip


def _beginning(started_at: Any, readings: list[tuple[float, dict[str, Any]]]) -> float:
    first = readings[0][0] if readings else 0.0
    begun = number(started_at)
    return begun if begun is not None and 0 <= first - begun <= 86_400 else first  # noqa: PLR2004 - a day: no watch is longer


def _decision(points: list[Point]) -> Point | None:
    """Find the reading from which on the outcome stayed what it is at the end."""
    if not points or points[-1].outcome not in DECIDED:
        return None
    decided = points[-1]
    for point in reversed(points):
        if point.outcome != decided.outcome:
            break
        decided = point
    return decided


def _point(seconds: float, verdict: dict[str, Any]) -> Point:
    return Point(
        seconds, _stream(verdict, "canary"), _stream(verdict, "baseline"), str(verdict.get("outcome", "")), str(verdict.get("reason", ""))
    )


def _stream(verdict: dict[str, Any], side: str) -> Stream:
    bad, total = number(verdict.get(f"{side}_bad")), number(verdict.get(f"{side}_total"))
    return Stream(bad or 0.0, total or 0.0, number(verdict.get(f"{side}_low")), number(verdict.get(f"{side}_high")))


def _thinned(points: list[Point]) -> list[Point]:
    """Keep at most some hundreds of readings, the first, the last and each change of outcome among them."""
    stride = math.ceil(len(points) / MAX_POINTS_PER_STEP)
    if stride <= 1:
        return points
    kept = [
        point
        for index, point in enumerate(points)
        if index % stride == 0 or index == len(points) - 1 or point.outcome != points[index - 1].outcome
    ]
    return kept if len(kept) <= 2 * MAX_POINTS_PER_STEP else [*points[::stride], points[-1]]


def _members(value: Any) -> list[dict[str, Any]]:
    return [member for member in value if isinstance(member, dict)] if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """Read a finite number; None for anything else, truth values included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
