"""The judgement of a step: which counts of which versions decide."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.analysis.observation import Count, Seen
from tasks.rules.analysis.platform_counts import see_platform
from tasks.rules.analysis.step import MOST_MISSED, Step, versions_of
from tasks.rules.analysis.verdict import Outcome, combine
from tasks.rules.plan.plan import Judgement, PlatformSli, ProbeSli

JUDGEMENT = Judgement(slis=[PlatformSli(name="errors", indicator="errors", limit=0.05)], min_requests=50)
BOTH = Judgement(
    slis=[PlatformSli(name="errors", indicator="errors"), PlatformSli(name="slow", indicator="latency", threshold_seconds=0.3)]
)


def counts(requests: int, errors: int = 0, *, slow: int = 0, started: str = "a") -> dict[str, Any]:
    """Make one revision's counts."""
    return {"started": started, "requests": requests, "errors": errors, "buckets": {"0.3": requests - slow, "+Inf": requests}}


def see(judgement: Judgement, numbers: Any, *, baseline: str | None = "1.0") -> dict[str, Seen]:
    """Read every SLI from counts by version."""
    versions: Any = versions_of("1.1", baseline)
    return {sli.name: see_platform(sli, numbers, versions=versions) for sli in judgement.slis if isinstance(sli, PlatformSli)}


def step(percent: int = 25, *, baseline: str | None = "1.0", judgement: Judgement = JUDGEMENT, began: Any = None) -> Step:
    """Begin a watch of 1.1."""
    seen = see(judgement, began or {"1.0": counts(0), "1.1": counts(0)}, baseline=baseline)
    return Step(judgement, version="1.1", baseline=baseline, percent=percent, began=(0.0, seen))


def outcome(watched: Step, **seen: Any) -> Outcome:
    """Judge once; names are versions with `_` for the dot."""
    numbers = {name.removeprefix("v").replace("_", "."): one for name, one in seen.items()}
    return combine(watched.judge(see(watched.judgement, numbers), at=1.0)).outcome


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


def test_a_silent_canary_is_not_a_pass() -> None:
    """A version that the counts do not name has served no one."""
    assert outcome(step(began={"1.0": counts(0)}), v1_0=counts(900)) is Outcome.NO_DATA


def test_what_was_counted_before_the_watch_does_not_count() -> None:
    """The errors of an earlier step neither fail this one nor fill its sample."""
    watched = step(began={"1.0": counts(9_000), "1.1": counts(9_000, 4_000)})
    assert outcome(watched, v1_0=counts(9_010), v1_1=counts(9_010, 4_000)) is Outcome.WATCHING


def test_a_counter_that_began_again_loses_no_errors() -> None:
    """A restart of the router starts its counts at zero; what was bad before it stays bad."""
    watched = step()
    watched.judge(see(JUDGEMENT, {"1.0": counts(300), "1.1": counts(300, 150)}), at=1.0)
    assert outcome(watched, v1_0=counts(3, started="b"), v1_1=counts(3, started="b")) is Outcome.FAILED


def test_at_full_traffic_the_canary_is_held_against_the_baselines_past() -> None:
    """Beside it no one serves: what the baseline did before makes the limit, and no fresh baseline is asked for."""
    watched = step(100, began={"1.0": counts(100_000, 100), "1.1": counts(0)})
    assert outcome(watched, v1_1=counts(5_000, 150), v1_0=counts(100_000, 100)) is Outcome.FAILED
    assert outcome(step(100, baseline=None), v1_1=counts(5_000, 150)) is Outcome.PASSED


def test_a_first_deployment_is_held_to_its_limit_alone() -> None:
    """Without a baseline the absolute limit decides."""
    assert outcome(step(baseline=None), v1_1=counts(2000)) is Outcome.PASSED
    assert outcome(step(baseline=None), v1_1=counts(2000, 400)) is Outcome.FAILED


def test_a_slow_canary_fails_by_its_latency() -> None:
    """Every SLI is judged by itself, and one bad one decides."""
    verdicts = step(judgement=BOTH).judge(see(BOTH, {"1.0": counts(3_000), "1.1": counts(3_000, slow=1_500)}), at=1.0)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PASSED, Outcome.FAILED]
    assert "slower than 300 ms" in verdicts[1].reason


CRITICAL = Judgement(slis=[PlatformSli(name="critical", indicator="errors", limit=0)], min_requests=1_000_000)
PROBED = Judgement(slis=[ProbeSli(name="probe", source="probe", indicator="errors", path="/")], min_requests=10)


@given(st.integers(1, 10_000_000), st.integers(1, 50), st.integers(0, 5_000), st.sampled_from([25, 100]), st.sampled_from([None, "1.0"]))
def test_a_critical_sli_fails_at_its_first_bad_event(least: int, bad: int, fine: int, percent: int, baseline: str | None) -> None:
    """A limit of 0 waits for no sample size, at any share, beside any baseline, in its first reading and in a later one."""
    judgement = CRITICAL.model_copy(update={"min_requests": least})
    watched = step(percent, baseline=baseline, judgement=judgement)
    before = Outcome.NO_DATA if fine == 0 else Outcome.WATCHING if fine < least else Outcome.PASSED
    assert outcome(watched, v1_1=counts(fine), v1_0=counts(10)) is before
    assert outcome(watched, v1_1=counts(fine + bad, bad), v1_0=counts(20)) is Outcome.FAILED


def test_an_sli_on_trial_is_shown_and_never_decides() -> None:
    """A dry run of a critical SLI fails by itself, and the whole passes."""
    trial = PlatformSli(name="trial", indicator="errors", limit=0, deciding=False)
    judgement = Judgement(slis=[trial, *JUDGEMENT.slis], min_requests=50)
    verdicts = step(judgement=judgement).judge(see(judgement, {"1.0": counts(9_000), "1.1": counts(9_000, 1)}), at=1.0)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.FAILED, Outcome.PASSED]
    assert combine(verdicts).outcome is Outcome.PASSED


def test_too_little_traffic_is_no_data_when_the_time_is_up() -> None:
    """Until then it is watched; at the end the plan may let a step go on that is inconclusive, but none that no one used."""
    few = see(JUDGEMENT, {"1.0": counts(500), "1.1": counts(49)})
    assert combine(step().judge(few, at=1.0)).outcome is Outcome.WATCHING
    whole = combine(step().judge(few, at=1.0, is_last=True))
    assert (whole.outcome, "too few is no data" in whole.reason) == (Outcome.NO_DATA, True)
    enough = see(JUDGEMENT, {"1.0": counts(500), "1.1": counts(50)})
    assert combine(step().judge(enough, at=1.0, is_last=True)).outcome is Outcome.WATCHING


GOOD: dict[str, Any] = {"1.0": counts(2_000), "1.1": counts(2_000)}
SILENT = {"errors": Seen(silence="Prometheus does not answer")}


def test_a_source_that_falls_silent_passes_no_one() -> None:
    """What was read before would pass; without a source that speaks it is watched, then no data, and passes once it speaks again."""
    watched = step()
    watched.judge(see(JUDGEMENT, {"1.0": counts(9), "1.1": counts(9)}), at=0.5)
    assert watched.judge(see(JUDGEMENT, GOOD), at=1.0)[0].outcome is Outcome.PASSED
    outcomes = [watched.judge(SILENT, at=2.0 + number)[0] for number in range(MOST_MISSED + 1)]
    assert [one.outcome for one in outcomes] == [Outcome.WATCHING] * MOST_MISSED + [Outcome.NO_DATA]
    assert all("Prometheus does not answer" in one.reason for one in outcomes)
    assert watched.judge(see(JUDGEMENT, GOOD), at=20.0)[0].outcome is Outcome.PASSED


def test_the_last_reading_must_be_one() -> None:
    """A source that is silent when the time is up gives no data, however short it has been silent."""
    watched = step()
    assert watched.judge(SILENT, at=1.0, is_last=True)[0].outcome is Outcome.NO_DATA


def test_what_was_read_still_fails_a_canary() -> None:
    """Silence takes nothing back."""
    watched = step()
    watched.judge(see(JUDGEMENT, {"1.0": counts(500), "1.1": counts(500, 250)}), at=1.0)
    assert watched.judge(SILENT, at=2.0, is_last=True)[0].outcome is Outcome.FAILED


def test_a_source_that_lies_is_an_error_at_once() -> None:
    """Two series where one is expected will not become one by waiting."""
    verdict = step().judge({"errors": Seen(error="`bad` gives 2 series")}, at=1.0)[0]
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "`bad` gives 2 series")
    impossible = Seen({"canary": Count(3, 2), "baseline": Count(0, 2)})
    assert step().judge({"errors": impossible}, at=1.0)[0].outcome is Outcome.ERROR


def test_a_source_that_was_silent_at_the_beginning_counts_from_its_first_answer() -> None:
    """No one knows what its counters held before, so that is not judged."""
    watched = Step(JUDGEMENT, version="1.1", baseline="1.0", percent=25, began=(0.0, SILENT))
    first = watched.judge(see(JUDGEMENT, {"1.0": counts(9_000), "1.1": counts(9_000, 4_000)}), at=1.0)[0]
    assert (first.outcome, first.canary_total) == (Outcome.NO_DATA, 0)
    assert watched.judge(see(JUDGEMENT, {"1.0": counts(9_100), "1.1": counts(9_040, 4_000)}), at=2.0)[0].canary_total == 40


def test_probes_compare_both_also_at_full_traffic() -> None:
    """They go past the traffic split, so the warm baseline is asked as often."""
    began: Any = {"probe": Seen({"canary": Count(0, 0), "baseline": Count(0, 0)})}
    watched = Step(PROBED, version="1.1", baseline="1.0", percent=100, began=(0.0, began))
    verdict = watched.judge({"probe": Seen({"canary": Count(40, 40), "baseline": Count(0, 40)})}, at=1.0)[0]
    assert (verdict.outcome, verdict.baseline_total) == (Outcome.FAILED, 40)


def test_rows_hold_what_was_read_since_the_beginning() -> None:
    """One row an SLI and revision, whose counts only rise; a moment of silence has none."""
    watched = step(began={"1.0": counts(100, 7), "1.1": counts(50, 5)})
    verdicts = watched.judge(see(JUDGEMENT, {"1.0": counts(110, 8), "1.1": counts(3, 1, started="b")}), at=1.5)
    assert watched.rows(verdicts, at=1.5) == [
        {"at": 1.5, "sli": "errors", "role": "canary", "version": "1.1", "bad": 1, "total": 3},
        {"at": 1.5, "sli": "errors", "role": "baseline", "version": "1.0", "bad": 1, "total": 10},
    ]
    assert watched.rows(watched.judge(SILENT, at=2.0), at=2.0) == []
