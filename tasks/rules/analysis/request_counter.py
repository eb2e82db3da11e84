"""Which counter of Prometheus holds the requests of a service's environments, over all of its versions."""

from __future__ import annotations

from collections.abc import Mapping

from blocks.errors import BadInput
from tasks.rules.analysis.prometheus_counts import series_name
from tasks.rules.plan.judgement import Judgement, PrometheusSli
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.promql import fill, of_all_revisions, places_in
from tasks.rules.plan.targets import production_of, target_of
from tasks.rules.windows.quietest import Asked

FIX = "Name one, as `--counter 'http_requests_total{job=\"shop\"}'`, or as `windows.quietest.counter` in the plan."


def request_counter(judgement: Judgement, words: Mapping[str, str]) -> str:
    """Give the selector of a service's request counter, over all of its versions, from the plan's SLIs.

    Args:
        judgement: The plan's section.
        words: The values of `{service}`, `{environment}` and `{target}`.

    Raises:
        BadInput: No SLI names a counter or a histogram of Prometheus, or it names a place without a value.
    """
    named = [sli for sli in judgement.slis if isinstance(sli, PrometheusSli)]
    if not named:
        wrong = "no SLI of the plan names a counter of Prometheus, and a platform's own counts have no history"
        raise BadInput(wrong, field="judgement.slis", fix=FIX)
    sli = next((one for one in named if one.indicator == "errors"), named[0])
    metric = series_name(sli)
    counter = metric if sli.indicator == "errors" else f"{metric.removesuffix('_bucket')}_count"
    selector = of_all_revisions(sli.selector)
    if missing := sorted(places_in(selector) - words.keys()):
        raise BadInput(
            f"the selector of {sli.name} names {{{missing[0]}}}, which only a running version has", field="judgement.slis", fix=FIX
        )
    return f"{counter}{{{fill(selector, {name: value for name, value in words.items() if value})}}}"


def words_for(plan: Plan, environment: str) -> dict[str, str]:
    """Give the values of `{service}`, `{environment}` and `{target}` in an environment."""
    return {"service": plan.service, "environment": environment, "target": target_of(environment)}


def asked_in(plan: Plan) -> Asked:
    """Give what a plan with `windows.quietest` asks for.

    Raises:
        BadInput: It does not say which counter, or has the same for two targets.
        ValueError: It has no such section.
    """
    wanted = plan.windows.quietest
    if wanted is None:
        raise ValueError("the plan has no `windows.quietest`")
    counters: dict[str, str] = {}
    for place in production_of(plan):
        words = words_for(plan, place.environment)
        counter = wanted.counter_in(words) or request_counter(plan.judgement, words)
        if (same := next((name for name, one in counters.items() if one == counter), None)) is not None:
            wrong = f"{same} and {place.environment} have the same counter, {counter}"
            raise BadInput(wrong, field="windows.quietest.counter", fix='Tell them apart, as with `target="{target}"`.')
        counters[place.environment] = counter
    return Asked(
        minutes=wanted.minutes, zone=wanted.zone, counters=counters, country=wanted.holidays or "", subdivision=wanted.subdivision or ""
    )
