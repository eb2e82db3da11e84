"""Rhythm of a service's traffic, from Prometheus: the requests of each quarter of an hour in up to eight weeks."""

from __future__ import annotations

from prefect import task

from blocks.prometheus.client import PrometheusClient
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.analysis.rhythm import SLOT_MINUTES

STEP_SECONDS = SLOT_MINUTES * 60
WEEK_SECONDS = 7 * 24 * 3_600
MOST_WEEKS = 8


@task(name="read traffic of weeks", **OBSERVE)
async def read_rhythm(client: PrometheusClient, counter: str, *, now: float, weeks: int = MOST_WEEKS) -> list[tuple[float, float]]:
    """Read how many requests came in each quarter of an hour.

    Args:
        client: Of the server.
        counter: The selector of the counter.
        now: The moment, in seconds since the epoch.
        weeks: How many, one request each, so that none is too large for the server.

    Returns:
        When each quarter begins, in seconds since the epoch, and its requests. Quarters that were not measured are absent.

    Raises:
        BadInput: The counter is not one, or its server cannot read it.
        Temporary: The server does not answer: half of the weeks would be another rhythm.
    """
    end = now // STEP_SECONDS * STEP_SECONDS
    query = f"sum(increase({counter}[{STEP_SECONDS}s]))"
    found: dict[float, float] = {}
    for number in range(weeks):
        last = end - number * WEEK_SECONDS
        points = await client.over(query, begin=last - WEEK_SECONDS + STEP_SECONDS, end=last, step_seconds=STEP_SECONDS)
        if not points and found:
            break  # it keeps no more
        found |= {at - STEP_SECONDS: float(value) for at, value in points}
    return sorted(found.items())
