"""The service answers in reasonable time while nobody else asks."""

import statistics
import time
from collections.abc import Callable
from typing import Any

Fetch = Callable[..., tuple[int, Any]]

REQUESTS = 20
P50_SECONDS = 0.5


def test_health_answers_fast(fetch: Fetch) -> None:
    """The median of 20 health checks is under half a second."""
    seconds = []
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        assert fetch("/healthz")[0] == 200
        seconds.append(time.perf_counter() - begun)
    assert statistics.median(seconds) < P50_SECONDS
