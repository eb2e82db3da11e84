"""The benchmark measures the rule that judges releases, not another one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.judgement.cases import ALPHA, Case, divergence, interval, least_requests
from benchmarks.judgement.rivals import fixed_threshold, mann_whitney
from benchmarks.judgement.streams import Evidence, one_request
from tasks.rules.analysis.verdict import Limits, Outcome, Reading, judge


@pytest.mark.parametrize("case", [Case(0.05, 0.5, 0.4, 0.01), Case(0.1, 0.5, 0.5, 0.0, 0.3), Case(0.0, 0.0, 0.3, 0.1)])
def test_streams_decide_at_the_same_request_as_the_judge(case: Case) -> None:
    """Request by request, the benchmark's arrays and `judge` fail and pass one stream at the same moment."""
    rng = np.random.default_rng(11)
    evidence, draw = Evidence(case, 1), one_request(rng)
    limits = Limits(name="x", tolerance=case.tolerance, limit=case.limit, min_requests=0, alpha=ALPHA)
    readings = [Reading(0.0, "canary", "a", 0, 0), Reading(0.0, "baseline", "a", 0, 0)]
    outcome = Outcome.WATCHING
    for moment in range(1, 250):
        evidence.add(draw(evidence))
        a, n, b, m = (int(count) for count in evidence.total[0])
        readings += [Reading(float(moment), "canary", "a", a, n), Reading(float(moment), "baseline", "a", b, m)]
        outcome = judge(readings, limits).outcome
        assert bool(evidence.failed()[0]) == (outcome is Outcome.FAILED)
        if outcome in {Outcome.FAILED, Outcome.PASSED}:
            assert bool(evidence.passed()[0]) == (outcome is Outcome.PASSED)
            break
    assert outcome in {Outcome.FAILED, Outcome.PASSED}


def test_the_bound_is_that_of_the_simple_case() -> None:
    """With hardly any baseline traffic to learn from the bound is infinite; with plenty it is that of a known ratio."""
    plenty = least_requests(Case(0.01, 0.1, 1e-9))
    assert plenty == pytest.approx(math.log(1 / ALPHA) / divergence(0.1, 0.01), rel=1e-3)
    assert least_requests(Case(0.01, 0.1, 0.999)) > 10 * plenty


def test_an_interval_encloses_the_share_that_was_seen() -> None:
    """The interval of nothing seen begins at zero, and every interval holds its own share."""
    assert interval(0, 100)[0] == 0
    low, high = interval(7, 1000)
    assert low < 0.007 < high


def test_rivals_judge_as_their_rules_say() -> None:
    """Four bad intervals fail a rule of three allowed, and a clear shift fails the rank test."""
    counts = np.zeros((1, 30, 4))
    counts[:, :, 1] = counts[:, :, 3] = 100
    assert fixed_threshold(counts, most_bad_ratio=0.05, failures=4)[0] == 30
    assert not mann_whitney(counts)[0]
    counts[:, :, 0] = 10 + np.arange(30) % 3
    assert fixed_threshold(counts, most_bad_ratio=0.05, failures=4)[0] == 3
    assert mann_whitney(counts)[0]
