"""Rhythm of a service's traffic, from Prometheus: the requests of each quarter of an hour in up to eight weeks."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task

from blocks.errors import BadInput
from blocks.prometheus.client import PrometheusClient
from tasks.lifecycle.policy import OBSERVE
from tasks.rules.analysis.prometheus_counts import series_name
from tasks.rules.analysis.rhythm import SLOT_MINUTES
from tasks.rules.plan.judgement import Judgement, PrometheusSli
from tasks.rules.plan.promql import fill, of_all_revisions, places_in

STEP_SECONDS = SLOT_MINUTES * 60
WEEK_SECONDS = 7 * 24 * 3_600
MOST_WEEKS = 8


def request_counter(judgement: Judgement, words: Mapping[str, str]) -> str:
    """Give the selector of a service's request counter, over all of its versions, from the plan's SLIs.

    Args:
        judgement: The plan's section.
        words: The values of `{service}`, `{environment}` and `{target}`.

    Raises:
        BadInput: No SLI names a counter or a histogram of Prometheus, or it names a place without a value.
    """
    fix = "Name one, as `--counter 'http_requests_total{job=\"shop\"}'`."
    named = [sli for sli in judgement.slis if isinstance(sli, PrometheusSli)]
    if not named:
        raise BadInput("no SLI of the plan names a counter of Prometheus", field="judgement.slis", fix=fix)
    sli = next((one for one in named if one.indicator == "errors"), named[0])
    metric = series_name(sli)
    counter = metric if sli.indicator == "errors" else f"{metric.removesuffix('_bucket')}_count"
    selector = of_all_revisions(sli.selector)
    if missing := sorted(places_in(selector) - words.keys()):
        raise BadInput(
            f"the selector of {sli.name} names {{{missing[0]}}}, which only a running version has", field="judgement.slis", fix=fix
        )
    return f"{counter}{{{fill(selector, {name: value for name, value in words.items() if value})}}}"


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
