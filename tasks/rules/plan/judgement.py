"""Plan sections for judgement: the SLIs by their source, and the parameters of a watch."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from tasks.rules.plan.http import HttpCheck
from tasks.rules.plan.promql import expression_fault, selector_fault
from tasks.rules.plan.types import LABEL, METRIC, BlockName, Name, Ratio, Section, fault, refuse_doubles

Text = Annotated[str, Field(min_length=1, max_length=4_000)]
Threshold = Annotated[float, Field(gt=0, le=3_600)] | None


class _Judged(Section):
    """Fields of every SLI: bad events over all events, judged against the baseline and an absolute limit."""

    name: Name
    """Its name in verdicts and pictures."""
    tolerance: Ratio = 0.01
    """The canary may be worse than the baseline by this much (a difference of ratios)."""
    limit: Ratio = 0.05
    """The canary fails above this ratio, whatever the baseline does; 0 fails at the first bad event."""
    deciding: bool = True
    """False: shown, never decides (a dry run of a new indicator)."""


class _Indicated(_Judged):
    """An SLI whose bad events are failures or slow answers."""

    indicator: Literal["errors", "latency"]
    """`errors`: failed requests over requests; `latency`: requests slower than `threshold_seconds` over requests."""
    threshold_seconds: Threshold = None
    """Latency only: a slower answer is a bad event. In a histogram it is rounded up to the next bucket, which the reason reports."""

    @field_validator("threshold_seconds")
    @classmethod
    def _threshold_fits(cls, threshold: float | None, info: ValidationInfo) -> float | None:
        if "indicator" in info.data and (info.data["indicator"] == "latency") != (threshold is not None):
            wrong = "a latency indicator needs a threshold, and no other may have one"
            raise fault(wrong, fix="Write `threshold_seconds: 0.3` with `indicator: latency`, or leave it out.")
        return threshold


class PlatformSli(_Indicated):
    """An SLI counted by the platform, which splits the traffic."""

    source: Literal["platform"] = "platform"
    """Source of the counts: `platform` (its traffic split), `prometheus`, or `probe` (requests of our own)."""


class ProbeSli(_Indicated, HttpCheck):
    """An SLI counted by probes: at each reading one request to the canary and one to the baseline, past the traffic split.

    An answer that differs from `expect`, or a time-out, is a bad event.
    """

    source: Literal["probe"]
    """`probe`: requests of our own, one at each reading."""
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 2
    """Errors: an answer that takes longer is a time-out. Latency does not wait longer than its threshold."""


class PrometheusSli(_Indicated):
    """An SLI counted by Prometheus, from a request counter or a latency histogram of the service."""

    source: Literal["prometheus"]
    """`prometheus`: counters that a Prometheus server scrapes."""
    metric: Annotated[str, Field(pattern=METRIC, max_length=200)] | None = None
    """Errors: the counter, default http_requests_total; latency: the histogram, default http_request_duration_seconds."""
    selector: Annotated[str, Field(max_length=4_000)] = 'version="{version}"'
    """Label matchers that choose one revision's series, without the braces. In quotes `{version}`, `{service}`, `{environment}`,
    `{target}`, `{role}`, `{revision}` and `{namespace}` are filled in."""
    status_label: Annotated[str, Field(pattern=LABEL, max_length=200)] = "status"
    """Errors only: the label that holds the answer's status."""
    bad_status: Annotated[str, Field(min_length=1, max_length=200)] = "5.."
    """Errors only: a regular expression; a request whose whole status matches is bad."""

    missing_status: Literal["bad", "good", "ignore"] = "bad"
    """Errors only: how requests without that label count (in OpenTelemetry those without an answer): bad, good, or left out."""

    @field_validator("selector")
    @classmethod
    def _selects_one_revision(cls, selector: str) -> str:
        wrong = selector_fault(selector)
        if wrong is not None:
            raise fault(wrong[0], fix=wrong[1])
        return selector

    @field_validator("bad_status")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise fault(f"the pattern is not a regular expression: {error}", fix='Write one, as `"5.."`.') from None
        return pattern


class PrometheusPairSli(_Judged):
    """An SLI counted by Prometheus, from two PromQL expressions of cumulative counts."""

    source: Literal["prometheus"]
    """`prometheus`: counters that a Prometheus server scrapes."""
    bad: Text
    """PromQL that gives one series: bad events since the counters' start. End it with `or vector(0)` if there may be none yet."""
    total: Text
    """PromQL that gives one series: all events since the counters' start."""

    @field_validator("bad", "total")
    @classmethod
    def _asks_about_one_revision(cls, expression: str) -> str:
        wrong = expression_fault(expression)
        if wrong is not None:
            raise fault(wrong[0], fix=wrong[1])
        return expression


def _kind_of_sli(value: Any) -> str:
    """Return the kind of an SLI by its source; the two kinds of Prometheus differ in their fields."""
    if isinstance(value, PrometheusPairSli):
        return "pair"
    if isinstance(value, Section):
        return str(getattr(value, "source", ""))
    if not isinstance(value, dict):
        return "platform"
    source = value.get("source", "platform")
    return "pair" if source == "prometheus" and ("bad" in value or "total" in value) else str(source)


Sli = PlatformSli | PrometheusPairSli | PrometheusSli | ProbeSli
TaggedSli = Annotated[
    Annotated[PlatformSli, Tag("platform")]
    | Annotated[PrometheusPairSli, Tag("pair")]
    | Annotated[PrometheusSli, Tag("prometheus")]
    | Annotated[ProbeSli, Tag("probe")],
    Discriminator(_kind_of_sli),
]


class Judgement(Section):
    """Judgement: how the watch of a step decides."""

    slis: Annotated[list[TaggedSli], Field(min_length=1, max_length=50)]
    """What is judged; at least one must decide."""
    prometheus: BlockName = "prometheus/shipway"
    """The Prometheus of SLIs of this source, a Prefect block as `type/name`."""
    alpha: Annotated[float, Field(ge=1e-6, le=0.2)] = 0.01
    """The probability of failing a version that is as good as allowed, over the whole watch of one step and all SLIs."""
    min_requests: Annotated[int, Field(ge=1, le=10_000_000)] = 50
    """The canary must have served this many requests before it can pass."""
    interval_seconds: Annotated[float, Field(ge=0.2, le=600)] = 1
    """Time between two readings of the counts."""
    inconclusive: Literal["ask", "extend", "proceed", "rollback"] = "ask"
    """If the time is up and the verdict is inconclusive: ask a person, watch once more for `extend_seconds` (then roll back), promote, or
    roll back. Too little traffic is no data, which never promotes by itself: `proceed` rolls back then."""
    extend_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """How much longer `extend` watches; without it as long again as the step's `watch_seconds`."""
    undecidable: Literal["warn", "refuse"] = "warn"
    """If a step's expected requests are too few for a verdict: warn in `shipway check`, the record and the approval form, or refuse the
    release before anything moves. Traffic that is not known refuses nothing."""
    sample_ratio: Literal["warn", "ask", "rollback", "ignore"] = "warn"
    """If the canary's share of the requests is shown not to be the one that was set (`platform` SLIs count them): say so in the record,
    ask a person at the end of the watch, or roll back at once."""
    answer_within_minutes: Annotated[float, Field(gt=0, le=10_080)] = 60
    """`ask` rolls back without an answer in this time."""

    @field_validator("slis")
    @classmethod
    def _one_of_them_decides(cls, slis: list[Sli]) -> list[Sli]:
        if not any(sli.deciding for sli in slis):
            raise fault("no SLI decides", fix="Set `deciding: true` on at least one.")
        refuse_doubles([sli.name for sli in slis])
        return slis
