"""The forecast of a step's verdict is right about the test that will judge it."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.judgement.cases import Case
from benchmarks.judgement.streams import decide
from tasks.rules.analysis.forecast import Traffic, forecast, rows, warnings
from tasks.rules.analysis.outcome import Limits
from tasks.rules.analysis.power import requests_to_pass, smallest_caught
from tasks.rules.plan.judgement import Judgement, PlatformSli, ProbeSli
from tasks.rules.plan.plan import Step

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
STREAMS = 4_000 if THOROUGH else 1_000
LIMITS = Limits(name="errors", tolerance=0.01, limit=1, min_requests=1, alpha=0.01)
CASES = [(ratio, share) for ratio in (0.0, 0.0001, 0.001, 0.005, 0.01, 0.02, 0.05) for share in (0.05, 0.25, 0.5)]
THINNED = [(0.0, 0.05), (0.001, 0.25), (0.01, 0.5), (0.02, 0.05), (0.05, 0.05)]


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "share"), CASES if THOROUGH else THINNED)
def test_the_requests_that_a_pass_needs_are_those_of_simulation_within_15_percent(ratio: float, share: float) -> None:
    """For a version like its baseline, in the median, looked at after every request."""
    expected = requests_to_pass(LIMITS, ratio=ratio, share=share)
    case, rng = Case(ratio, ratio, share, LIMITS.tolerance), np.random.default_rng(5)
    _, passed_at = decide(case, streams=STREAMS, horizon=1.5 * expected, rng=rng)
    assert np.median(passed_at) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(("ratio", "share", "limit"), [(0.0, 0.05, 1.0), (0.001, 0.25, 0.05), (0.01, 0.5, 0.05), (0.05, 0.25, 1.0)])
def test_the_smallest_regression_is_detected_in_about_nine_of_ten_releases(ratio: float, share: float, limit: float) -> None:
    """Not much more often either: a smaller one would not be."""
    caught = smallest_caught(replace(LIMITS, limit=limit), ratio=ratio, share=share, requests=1_000)
    assert caught is not None
    failed_at, _ = decide(Case(ratio, caught, share, 0.01, limit), streams=STREAMS, horizon=1_000, rng=np.random.default_rng(6))
    assert 0.8 < float((failed_at <= 1_000).mean()) < 0.96


def test_what_cannot_be_shown_needs_infinitely_many_requests() -> None:
    """No tolerance, a ratio at the limit, a critical SLI that the baseline breaks; and nothing is detected without requests."""
    assert requests_to_pass(replace(LIMITS, tolerance=0.0), ratio=0.01, share=0.5) == math.inf
    assert requests_to_pass(replace(LIMITS, limit=0.05), ratio=0.05, share=0.5) == math.inf
    assert requests_to_pass(replace(LIMITS, limit=0.0), ratio=0.001, share=0.5) == math.inf
    assert requests_to_pass(replace(LIMITS, limit=0.0, min_requests=70), ratio=0.0, share=0.5) == 70
    assert smallest_caught(LIMITS, ratio=0.01, share=0.5, requests=0) is None
    assert smallest_caught(LIMITS, ratio=0.01, share=0.5, requests=2) is None


JUDGEMENT = Judgement(slis=[PlatformSli(name="errors", indicator="errors")])
STEPS = [Step(percent=25, watch_seconds=60), Step(percent=50, watch_seconds=0), Step(percent=100, watch_seconds=60)]


def test_a_step_that_is_too_short_is_named_with_what_would_decide() -> None:
    """Twenty requests a second, none bad, a quarter of it for a minute: 300 come, and a pass needs more; the remedies are true."""
    traffic = {"errors": Traffic(20, 0, 10_000)}
    first, last = forecast(JUDGEMENT, STEPS, traffic)
    assert (first.percent, first.expected, first.decides, last.percent, last.decides) == (25, 300, False, 100, True)
    assert first.caught is not None
    said = warnings([first, last])
    assert len(said) == 1
    assert "about 300 canary requests come in its time" in said[0]
    assert "watch 120 s, or tolerance 0.02 would" in said[0]
    longer = [Step(percent=25, watch_seconds=120), STEPS[-1]]
    assert warnings(forecast(JUDGEMENT, longer, traffic)) == []
    tolerant = Judgement(slis=[PlatformSli(name="errors", indicator="errors", tolerance=0.02)])
    assert warnings(forecast(tolerant, STEPS, traffic)) == []


def test_unknown_traffic_is_said_and_the_needed_requests_stand_alone() -> None:
    """What is not known is not a warning; an SLI that can never pass is one, whatever the traffic."""
    found = forecast(JUDGEMENT, STEPS, {})
    assert [(one.expected, one.decides, one.caught) for one in found] == [(None, None, None)] * 2
    assert all(one.needed is not None and one.needed > 500 for one in found)
    assert [row[2] for row in rows(found)] == ["not known", "not known"]
    strict = Judgement(slis=[PlatformSli(name="errors", indicator="errors", tolerance=0)])
    assert "cannot be shown" in warnings(forecast(strict, STEPS[:1], {}))[0]


def test_probes_need_no_traffic() -> None:
    """They come at the plan's interval, as many to each version; an SLI that does not decide has no line."""
    trial = PlatformSli(name="trial", indicator="errors", deciding=False)
    probed = Judgement(slis=[ProbeSli(name="probe", source="probe", indicator="errors", path="/"), trial], interval_seconds=0.5)
    assert [(one.sli, one.expected) for one in forecast(probed, STEPS, {})] == [("probe", 120), ("probe", 120)]
