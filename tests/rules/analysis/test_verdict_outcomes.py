"""The verdict's outcomes and words, in tables."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import pytest

from tasks.rules.analysis.verdict import Limits, Outcome, Reading, Verdict, combine, judge, limit_from_history, share_alpha, worst

LIMITS = Limits(name="errors", tolerance=0.01, limit=0.05, min_requests=50, alpha=0.01)


def watch(canary: tuple[int, int], baseline: tuple[int, int] | None, *, moments: int = 40) -> list[Reading]:
    """Read counters that grow evenly to these counts."""
    readings = []
    for moment in range(moments + 1):
        pairs = [("canary", canary)] if baseline is None else [("canary", canary), ("baseline", baseline)]
        readings += [Reading(float(moment), name, "a", bad * moment // moments, total * moment // moments) for name, (bad, total) in pairs]
    return readings


@pytest.mark.parametrize(
    ("canary", "baseline", "changes", "outcome", "words"),
    [
        ((38, 412), (2, 3708), {}, "failed", "38 of 412 requests failed against 2 of 3,708; worse by at least"),
        ((38, 412), (2, 3708), {"what": "were slower than 250 ms"}, "failed", "38 of 412 requests were slower than 250 ms against"),
        ((1, 2000), (18, 36000), {}, "passed", "worse by less than 1 point and below the limit of 5 %; wrong less than once in 100"),
        ((0, 40), (0, 800), {}, "watching", "passes after 50 requests at the earliest"),
        ((1, 100), (10, 1900), {}, "watching", "not yet shown to be worse by less than 1 point"),
        ((8, 8), (0, 8), {"limit": 1.0}, "failed", "8 of 8 requests failed against 0 of 8; worse by at least"),
        ((60, 400), (600, 4000), {}, "failed", "above the limit of 5 %"),
        ((60, 400), (600, 4000), {"limit": 1.0}, "watching", "not yet shown"),
        ((60, 4000), (600, 40000), {"tolerance": 0.0}, "watching", "better than the baseline"),
        ((0, 0), (3, 900), {}, "no_data", "the canary served no request"),
        ((3, 200), (0, 0), {}, "no_data", "the baseline served no request"),
        ((40, 200), (0, 0), {}, "failed", "above the limit"),
        ((0, 300), None, {}, "passed", "no baseline was read, so the limit alone has decided"),
        ((60, 300), None, {}, "failed", "above the limit of 5 %"),
        ((10, 300), None, {}, "watching", "only the limit can decide"),
        ((0, 300), None, {"limit": 1.0}, "no_data", "nothing to compare with"),
        ((1, 12), (0, 900), {"limit": 0.0}, "failed", "1 of 12 requests failed against 0 of 900, and not a single one is allowed"),
        ((0, 60), (0, 900), {"limit": 0.0}, "passed", "none was seen, so at most"),
        ((0, 40), (0, 900), {"limit": 0.0}, "watching", "passes after 50 requests"),
        ((0, 900), (0, 900), {"tolerance": 1.0, "limit": 1.0}, "error", "nothing can be judged"),
        ((0, 900), (0, 900), {"tolerance": math.nan}, "error", "cannot be judged by"),
        ((0, 900), (0, 900), {"alpha": 0.0}, "error", "cannot be judged by"),
    ],
)  # fmt: skip
def test_a_verdict_says_what_follows_and_why(
    canary: tuple[int, int], baseline: tuple[int, int] | None, changes: dict[str, float], outcome: str, words: str
) -> None:
    """Counts and limits lead to the outcome that an operator expects, in words that carry the counts."""
    verdict = judge(watch(canary, baseline), dataclasses.replace(LIMITS, **changes))
    assert verdict.outcome.value == outcome, verdict.reason
    assert words in verdict.reason


def test_no_reading_is_no_data() -> None:
    """A watch that read nothing passes no one."""
    assert judge([], LIMITS).outcome is Outcome.NO_DATA


@pytest.mark.parametrize(
    "broken",
    [
        {"bad": math.nan},
        {"total": math.inf},
        {"bad": -1},
        {"bad": 11, "total": 10},
        {"at": math.nan},
        {"at": None},
        {"total": "many"},
        {"bad": 0.5},
        {"total": 10**40},
        {"revision": "blue"},
    ],
)
def test_an_impossible_reading_is_an_error(broken: dict[str, object]) -> None:
    """One reading that cannot be true makes the verdict an error that names it, whatever the others say."""
    odd = dataclasses.replace(Reading(7.0, "canary", "a", 0, 10), **broken)  # type: ignore[arg-type]
    assert judge([*watch((0, 900), (0, 9000)), odd], LIMITS).outcome is Outcome.ERROR


def test_what_a_counter_held_before_the_watch_is_not_judged() -> None:
    """A baseline with a bad past is judged by the present alone."""
    past = [dataclasses.replace(reading, bad=reading.bad + 500, total=reading.total + 600) for reading in watch((1, 900), (9, 9000))]
    assert dataclasses.astuple(judge(past, LIMITS)) == dataclasses.astuple(judge(watch((1, 900), (9, 9000)), LIMITS))


def test_a_restart_goes_on_counting() -> None:
    """A counter that begins again in another life adds to what was counted; the old life's last value is kept."""
    readings = [
        Reading(0, "canary", "a", 0, 0),
        Reading(1, "canary", "a", 3, 100),
        Reading(2, "canary", "b", 2, 40),
        Reading(3, "canary", "b", 2, 60),
    ]
    verdict = judge(readings, LIMITS)
    assert (verdict.canary_bad, verdict.canary_total) == (5, 160)


def test_two_lives_that_alternate_are_counted_once() -> None:
    """Two replicas behind one name, read in turn, are not taken for a restart at every scrape."""
    readings = [Reading(float(moment), "canary", "ab"[moment % 2], 0, 10 * moment) for moment in range(10)]
    assert judge(readings, LIMITS).canary_total == 80 + 90


def test_a_total_that_falls_is_a_reset() -> None:
    """A reset that no one announced counts from zero, and never takes anything away."""
    readings = [Reading(0, "canary", "a", 0, 0), Reading(1, "canary", "a", 3, 100), Reading(2, "canary", "a", 1, 20)]
    verdict = judge(readings, LIMITS)
    assert (verdict.canary_bad, verdict.canary_total) == (4, 120)


def test_a_verdict_becomes_json() -> None:
    """The record takes a verdict as it is."""
    assert json.loads(json.dumps(dataclasses.asdict(judge(watch((38, 412), (2, 3708)), LIMITS))))["outcome"] == "failed"


def made(name: str, outcome: str, *, deciding: bool = True) -> Verdict:
    """Make a verdict with this outcome."""
    return dataclasses.replace(judge([], LIMITS), sli=name, outcome=Outcome(outcome), reason=f"{name} is {outcome}", deciding=deciding)


@pytest.mark.parametrize(
    ("outcomes", "decisive"),
    [
        (["passed", "failed", "error", "no_data", "watching"], "failed"),
        (["passed", "error", "no_data", "watching"], "error"),
        (["passed", "watching", "no_data"], "no_data"),
        (["passed", "watching", "passed"], "watching"),
        (["passed", "passed"], "passed"),
    ],
)
def test_the_worst_outcome_decides(outcomes: list[str], decisive: str) -> None:
    """Of several SLIs the worst speaks for all, with its own reason first."""
    whole = combine([made(f"sli-{index}", outcome) for index, outcome in enumerate(outcomes)])
    assert (whole.sli, whole.outcome.value) == ("all", decisive)
    assert whole.reason.startswith(f"sli-{outcomes.index(decisive)}: ")
    assert worst([Outcome(outcome) for outcome in outcomes]).value == decisive


def test_an_indicator_on_trial_never_decides() -> None:
    """A failed SLI that does not decide is shown and changes nothing; without any that decides nothing passes."""
    trial = made("trial", "failed", deciding=False)
    assert combine([trial, made("errors", "passed")]).outcome is Outcome.PASSED
    assert combine([trial]).outcome is Outcome.ERROR
    assert combine([]).outcome is Outcome.ERROR


def test_alpha_is_shared_equally() -> None:
    """The shares of all SLIs add up to the whole."""
    assert share_alpha(0.01, 4) * 4 == pytest.approx(0.01)
    assert share_alpha(0.01, 0) == 0.01


def from_history(bad: int, total: int) -> float:
    """Make the limit of a past baseline with the tolerance and half the alpha of LIMITS."""
    return limit_from_history(bad, total, tolerance=LIMITS.tolerance, alpha=LIMITS.alpha / 2)


def test_history_stands_in_for_a_baseline_as_a_limit() -> None:
    """The limit made of the past lies above what was seen plus the tolerance, and nears it with more data."""
    assert 0.011 < from_history(10_000, 10_000_000) < 0.0112 < from_history(10, 10_000) < 0.015
    assert from_history(0, 0) == from_history(10, 10) == 1.0


def test_a_canary_alone_is_judged_by_history() -> None:
    """At the last step, where no baseline serves, three percent fail against a past of one in a thousand and not against three."""
    readings = watch((60, 2000), None)
    good, poor = (dataclasses.replace(LIMITS, limit=from_history(bad, 20_000), alpha=LIMITS.alpha / 2) for bad in (20, 600))
    assert judge(readings, good).outcome is Outcome.FAILED
    assert judge(readings, poor).outcome is not Outcome.FAILED


@pytest.mark.parametrize(
    ("canary", "baseline", "bad_above", "limit"),
    [
        # Kayenta 780, case 1, in both readings of what "more variable" means: no one may be passed on it.
        ([10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 17.0, 17.1, 17.2, 17.3, 17.4, 17.5, 17.6, 17.7],
         [1.0, 100.0, 4.0, 101.0, 5.0, 102.0, 6.0, 103.0, 7.0, 104.0, 8.0, 105.0, 9.0, 106.0, 17.0], 9.5, 0.05),
        ([1.0, 100.0, 4.0, 101.0, 5.0, 102.0, 6.0, 103.0, 7.0, 104.0, 8.0, 105.0, 9.0, 106.0, 17.0],
         [10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 17.0, 17.1, 17.2, 17.3, 17.4, 17.5, 17.6, 17.7], 20.0, 0.05),
        # Kayenta 426: anomalies where there are usually none, said as "one moment in a hundred" and as "never".
        ([0.0, 1.0, 2.0, 1.0, 0.0, 0.0], [0.0] * 6, 0.5, 0.01),
        ([0.0, 1.0, 2.0, 1.0, 0.0, 0.0], [0.0] * 6, 0.5, 0.0),
    ],
)  # fmt: skip
def test_two_known_traps_of_rank_tests_are_failed(canary: list[float], baseline: list[float], bad_above: float, limit: float) -> None:
    """Samples that a rank test passes fail here: each sample is an event, bad above the SLI's threshold, and few may be."""
    readings = []
    for name, samples in (("canary", canary), ("baseline", baseline)):
        for moment in range(len(samples) + 1):
            bad = sum(sample > bad_above for sample in samples[:moment])
            readings.append(Reading(float(moment), name, "a", bad, moment))  # type: ignore[arg-type]
    assert judge(readings, dataclasses.replace(LIMITS, limit=limit)).outcome is Outcome.FAILED
    alone = judge(readings, dataclasses.replace(LIMITS, limit=1.0, min_requests=1))
    assert alone.outcome is Outcome.WATCHING, "against so few samples of a baseline nothing is certain, and no one passes"


def test_the_rules_of_judgement_need_no_heavy_import() -> None:
    """Commands that only speak of verdicts start without numpy, and nothing here needs scipy or Prefect."""
    program = "import sys, tasks.rules.analysis.verdict; print([name for name in ('numpy', 'scipy', 'prefect', 'pydantic') if name in sys.modules])"  # noqa: E501
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"
