"""Counts of the local router by revision, and their OpenMetrics text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from blocks.platform import Counts

BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass
class Tally:
    """Running counts of one revision; `started` names their life."""

    started: str
    requests: int = 0
    errors: int = 0
    total_seconds: float = 0.0
    slots: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_SECONDS) + 1))

    def add(self, seconds: float, *, failed: bool) -> None:
        """Count one request.

        Args:
            seconds: From its arrival at the revision to its answer.
            failed: Answered with 500 and above, or not at all.
        """
        self.requests += 1
        self.errors += failed
        self.total_seconds += seconds
        self.slots[bisect_left(BOUNDS_SECONDS, seconds)] += 1


def as_counts(tally: Tally) -> Counts:
    """Read a tally as the platform's cumulative counts."""
    labels = [*(f"{bound:g}" for bound in BOUNDS_SECONDS), "+Inf"]
    buckets = dict(zip(labels, accumulate(tally.slots), strict=True))
    return Counts(started=tally.started, requests=tally.requests, errors=tally.errors, buckets=buckets)


def as_openmetrics(tallies: Mapping[str, Tally], *, percent: int) -> str:
    """Write tallies as OpenMetrics text.

    Args:
        tallies: By version; versions hold no character that a label would have to escape.
        percent: The canary's share of new requests.
    """
    lines = ["# TYPE shipway_requests counter"]
    lines += [f'shipway_requests_total{{version="{version}"}} {tally.requests}' for version, tally in tallies.items()]
    lines += ["# TYPE shipway_request_errors counter"]
    lines += [f'shipway_request_errors_total{{version="{version}"}} {tally.errors}' for version, tally in tallies.items()]
    lines += ["# TYPE shipway_request_duration_seconds histogram", "# UNIT shipway_request_duration_seconds seconds"]
    for version, tally in tallies.items():
        for bound, count in as_counts(tally)["buckets"].items():
            le = bound if bound == "+Inf" else str(float(bound))
            lines.append(f'shipway_request_duration_seconds_bucket{{version="{version}",le="{le}"}} {count}')
        lines.append(f'shipway_request_duration_seconds_sum{{version="{version}"}} {tally.total_seconds:.6f}')
        lines.append(f'shipway_request_duration_seconds_count{{version="{version}"}} {tally.requests}')
    lines += ["# TYPE shipway_canary_traffic_percent gauge", f"shipway_canary_traffic_percent {percent}", "# EOF", ""]
    return "\n".join(lines)
