"""The judgement of a step: which counts of which versions decide."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.rules.plan import Judgement, Sli
from tasks.rules.step import Step
from tasks.rules.verdict import Outcome, combine

JUDGEMENT = Judgement(slis=[Sli(name="errors", indicator="errors", limit=0.05)], min_requests=50)
BOTH = Judgement(slis=[Sli(name="errors", indicator="errors"), Sli(name="slow", indicator="latency", threshold_seconds=0.3)])


def counts(requests: int, errors: int = 0, *, slow: int = 0, started: str = "a") -> dict[str, Any]:
    """Make one revision's counts."""
    return {"started": started, "requests": requests, "errors": errors, "buckets": {"0.3": requests - slow, "+Inf": requests}}


def step(percent: int = 25, *, baseline: str | None = "1.0", judgement: Judgement = JUDGEMENT, began: Any = None) -> Step:
    """Begin a watch of 1.1."""
    return Step(judgement, version="1.1", baseline=baseline, percent=percent, began=(0.0, began or {"1.0": counts(0), "1.1": counts(0)}))


def outcome(watched: Step, **seen: Any) -> Outcome:
    """Judge once; names are versions with `_` for the dot."""
    return combine(watched.judge({name.removeprefix("v").replace("_", "."): one for name, one in seen.items()}, at=1.0)).outcome


@pytest.mark.parametrize(
    ("canary", "baseline", "expected"),
    [
        (counts(2000), counts(2000), Outcome.PASSED),
        (counts(500, 250), counts(500), Outcome.FAILED),
        (counts(10), counts(10), Outcome.WATCHING),
        (counts(0), counts(500), Outcome.NO_DATA),
        (counts(500), counts(0), Outcome.NO_DATA),
    ],
)
def test_the_canary_is_judged_beside_the_baseline(canary: Any, baseline: Any, expected: Outcome) -> None:
    """Good, bad, too few, none, and nothing to compare with."""
    assert outcome(step(), v1_1=canary, v1_0=baseline) is expected


def test_a_silent_canary_is_no_pass() -> None:
    """A version that the counts do not name has served nobody."""
    assert outcome(step(began={"1.0": counts(0)}), v1_0=counts(900)) is Outcome.NO_DATA


def test_what_was_counted_before_the_watch_does_not_count() -> None:
    """The errors of an earlier step neither fail this one nor fill its sample."""
    watched = step(began={"1.0": counts(9_000), "1.1": counts(9_000, 4_000)})
    assert outcome(watched, v1_0=counts(9_010), v1_1=counts(9_010, 4_000)) is Outcome.WATCHING


def test_a_counter_that_began_again_loses_no_errors() -> None:
    """A restart of the router starts its counts at zero; what was bad before it stays bad."""
    watched = step()
    watched.judge({"1.0": counts(300), "1.1": counts(300, 150)}, at=1.0)
    assert outcome(watched, v1_0=counts(3, started="b"), v1_1=counts(3, started="b")) is Outcome.FAILED


def test_at_full_traffic_the_canary_is_held_against_the_baselines_past() -> None:
    """Beside it nobody serves: what the baseline did before makes the limit, and no fresh baseline is asked for."""
    watched = step(100, began={"1.0": counts(100_000, 100), "1.1": counts(0)})
    assert set(watched.revisions) == {"canary"}
    assert outcome(watched, v1_1=counts(5_000, 150), v1_0=counts(100_000, 100)) is Outcome.FAILED
    assert outcome(step(100, baseline=None), v1_1=counts(5_000, 150)) is Outcome.PASSED


def test_a_first_deployment_is_held_to_its_limit_alone() -> None:
    """Without a baseline the absolute limit decides."""
    assert outcome(step(baseline=None), v1_1=counts(2000)) is Outcome.PASSED
    assert outcome(step(baseline=None), v1_1=counts(2000, 400)) is Outcome.FAILED


def test_a_slow_canary_fails_by_its_latency() -> None:
    """Every SLI is judged by itself, and one bad one decides."""
    verdicts = step(judgement=BOTH).judge({"1.0": counts(3_000), "1.1": counts(3_000, slow=1_500)}, at=1.0)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PASSED, Outcome.FAILED]
    assert "slower than 300 ms" in verdicts[1].reason
