"""SLIs in a plan: each by its source, each fault with its place and fix, and old plans as before."""

from __future__ import annotations

import pytest

from tasks.rules.plan.file import read_plan
from tasks.rules.plan.plan import PlatformSli, ProbeSli, PrometheusPairSli, PrometheusSli

PLAN = """\
shipway: 1
service: guestbook
verification: {{health: [{{}}]}}
judgement:
  slis:
    - {sli}
    - {{name: other, indicator: errors}}
staging: {{platform: local/staging}}
production: {{platform: local/production, steps: [{{percent: 100}}]}}
approval: {{quorum: 0}}
rollback: {{}}
checklist: {{tests_passed: false}}
"""
PAIR = """{name: x, source: prometheus, bad: 'sum(a{v="{version}"}) or vector(0)', total: 'sum(b{v="{version}"})'}"""


@pytest.mark.parametrize(
    ("sli", "kind"),
    [
        ("{name: x, indicator: errors}", PlatformSli),
        ("{name: x, source: platform, indicator: latency, threshold_seconds: 0.3}", PlatformSli),
        ("{name: x, source: prometheus, indicator: errors}", PrometheusSli),
        ("{name: x, source: prometheus, indicator: latency, threshold_seconds: 1, metric: 'a:b_seconds'}", PrometheusSli),
        (PAIR, PrometheusPairSli),
        ("{name: x, source: probe, indicator: errors, path: /healthz}", ProbeSli),
    ],
)
def test_an_sli_is_of_the_kind_that_its_source_says(sli: str, kind: type) -> None:
    """Without a source it is the platform's, as in plans of old; and it survives being written out."""
    plan, problems = read_plan(PLAN.format(sli=sli), name="x")
    assert plan is not None, problems
    assert type(plan.judgement.slis[0]) is kind
    assert type(plan).model_validate(plan.model_dump(mode="json")) == plan


FAULTS = [
    ("{name: x, source: promtheus, indicator: errors}", "6:25 judgement.slis[0].source: `promtheus` is not a source of counts"),
    ("{name: x, source: 3, indicator: errors}", "6:25 judgement.slis[0].source: `3` is not a source of counts. Write platform, prometheus"),
    ("{name: x, source: prometheus}", "6:7 judgement.slis[0].indicator: `indicator` is missing"),
    ("{name: x, source: prometheus, indicator: errors, metrc: a}", "6:56 judgement.slis[0].metrc: the field `metrc` is unknown."),
    ("{name: x, source: prometheus, indicator: errors, metric: 'a{}'}", "6:64 judgement.slis[0].metric: `a{}` does not fit."),
    ("{name: x, source: prometheus, indicator: errors, status_label: 'a b'}", "judgement.slis[0].status_label: `a b` does not fit"),
    ("{name: x, source: prometheus, indicator: errors, bad_status: '('}", "judgement.slis[0].bad_status: the pattern is no"),
    ("{name: x, source: prometheus, indicator: latency}", "judgement.slis[0].threshold_seconds: a latency indicator needs a threshold"),
    ("{name: x, source: prometheus, indicator: errors, threshold_seconds: 1}", "6:75 judgement.slis[0].threshold_seconds: a latency"),
    ("{name: x, source: prometheus, indicator: errors, selector: 'a=\"b\"'}", "6:66 judgement.slis[0].selector: canary and baseline would"),
    ("{name: x, source: prometheus, indicator: errors, selector: 'v=\"{versoin}\"'}", "selector: `{versoin}` is not a known placeholder"),
    ("{name: x, source: prometheus, bad: 'a{v=\"{version}\"}'}", "6:7 judgement.slis[0].total: `total` is missing"),
    ("{name: x, source: prometheus, bad: 'a{v=\"{version}\"}', totl: x}", "totl` is unknown. Did you mean `total`?"),
    (PAIR.replace("{name: x,", "{name: x, indicator: errors,"), "6:17 judgement.slis[0].indicator: the field `indicator` is unknown"),
    (PAIR.replace('b{v="{version}"}', "b{version}"), "judgement.slis[0].total: `{version}` stands outside quotes"),
    ("{name: x, source: probe, indicator: errors}", "6:7 judgement.slis[0].path: `path` is missing"),
    ("{name: x, source: probe, indicator: errors, path: healthz}", "6:57 judgement.slis[0].path: `healthz` does not fit. Write a path"),
    ("{name: x, source: probe, indicator: errors, path: /, expect: {status: 20}}", "slis[0].expect.status[0]: must be at least 100"),
    ("{name: x, source: platform, indicator: errors, path: /}", "judgement.slis[0].path: the field `path` is unknown"),
    ("{name: x, indicator: errors, tolerance: 2}", "6:47 judgement.slis[0].tolerance: `2` must be at most 1"),
    ("x", "6:7 judgement.slis[0]: `x` must be a section"),
    ("{name: other, source: probe, indicator: errors, path: /}", "6:5 judgement.slis: `other` is listed twice"),
]  # fmt: skip


@pytest.mark.parametrize(("sli", "expected"), FAULTS, ids=[sli for sli, _ in FAULTS])
def test_a_fault_of_an_sli_is_named_with_its_place(sli: str, expected: str) -> None:
    """One problem, with line, column and field, whatever the source."""
    plan, problems = read_plan(PLAN.format(sli=sli), name="x")
    assert plan is None
    assert [expected in str(problem) for problem in problems] == [True], list(map(str, problems))
