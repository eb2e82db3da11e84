"""Request counts and a latency histogram in the OpenMetrics text format (version 1.0.0)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
BOUNDS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Counts since the process started."""

    def __init__(self) -> None:
        """Start at zero."""
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets = [0] * (len(BOUNDS_SECONDS) + 1)
        self._sum_seconds = 0.0

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request; a latency on a bound belongs to that bound's bucket."""
        self._requests[route, status] += 1
        self._buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self._sum_seconds += seconds

    def render(self, version: str) -> str:
        """Write the exposition, ended by `# EOF`."""
        quoted = version.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines = [
            "# TYPE guestbook_build info",
            "# HELP guestbook_build The version that runs.",
            f'guestbook_build_info{{version="{quoted}"}} 1',
        ]
        lines += ["# TYPE guestbook_requests counter", "# HELP guestbook_requests Answered requests by route and status code."]
        lines += [
            f'guestbook_requests_total{{route="{route}",code="{code}"}} {count}' for (route, code), count in sorted(self._requests.items())
        ]
        name = "guestbook_request_duration_seconds"
        lines += [f"# TYPE {name} histogram", f"# UNIT {name} seconds", f"# HELP {name} Time from a request's head to its answer."]
        total = 0
        for bound, count in zip([*map(str, BOUNDS_SECONDS), "+Inf"], self._buckets, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        lines += [f"{name}_count {total}", f"{name}_sum {self._sum_seconds:.6f}", "# EOF", ""]
        return "\n".join(lines)
