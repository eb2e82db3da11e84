"""Results of phases: the worst decides, and what is stored is loaded again as what it was."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.serializers import JSONSerializer

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.results import (
    Analysis,
    Approval,
    PhaseResult,
    RollbackResult,
    StepResult,
    TargetResult,
    WaveResult,
    unjudged,
    worst_of,
)

WORST_FIRST = [Outcome.FAILED, Outcome.ERROR, Outcome.MISMATCH, Outcome.NO_DATA, Outcome.WATCHING, Outcome.PASSED]
REASONS = st.text(st.characters(codec="ascii"), min_size=1)
RESULTS = st.lists(st.builds(PhaseResult, outcome=st.sampled_from(Outcome), reason=REASONS), max_size=8)
LOADED = """
import sys
from prefect.serializers import JSONSerializer
found = JSONSerializer().loads(sys.stdin.buffer.read())
print(type(found).__name__, found.outcome.name, found.targets["production/eu"].is_inconclusive)
"""


def result(outcome: str, reason: str = "so") -> PhaseResult:
    """Make one result from what a check found."""
    return PhaseResult.of({"outcome": outcome, "reason": reason, "more": 1})


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ([], "no_data"),
        (["passed", "passed"], "passed"),
        (["passed", "watching"], "watching"),
        (["no_data", "watching", "passed"], "no_data"),
        (["error", "no_data"], "error"),
        (["error", "failed", "passed"], "failed"),
        (["splendid"], "error"),
        (["PASSED"], "error"),
    ],
)
def test_the_worst_outcome_decides(outcomes: list[str], worst: str) -> None:
    """Nothing at all does not pass, and neither does an unknown word."""
    assert worst_of([result(outcome) for outcome in outcomes]).outcome == worst


def test_an_unknown_word_beside_a_good_one_does_not_pass() -> None:
    """Fail closed: a typo in an outcome must not be hidden by the checks beside it."""
    assert worst_of([result("passed"), result("splendid")]).outcome is Outcome.ERROR


@given(RESULTS, st.sampled_from(Outcome))
def test_one_more_result_never_makes_it_better(found: list[PhaseResult], more: Outcome) -> None:
    """The fold is monotone: what is bad stays bad."""
    if found:
        before, after = worst_of(found).outcome, worst_of([*found, result(more)]).outcome
        assert WORST_FIRST.index(after) <= WORST_FIRST.index(before)


@given(RESULTS, st.randoms())
def test_the_order_of_the_checks_changes_nothing(found: list[PhaseResult], random: Random) -> None:
    """Checks run side by side; which one ends first has no say in the outcome."""
    shuffled = list(found)
    random.shuffle(shuffled)
    assert worst_of(shuffled).outcome is worst_of(found).outcome


@given(RESULTS)
def test_all_passed_means_that_every_single_one_did(found: list[PhaseResult]) -> None:
    """A pass is never a majority."""
    assert worst_of(found).passed == (bool(found) and all(one.passed for one in found))


@given(RESULTS)
def test_the_reason_carries_what_was_wrong(found: list[PhaseResult]) -> None:
    """Each reason of the worst kind is in the sentence."""
    whole = worst_of(found)
    if not whole.passed:
        assert all(one.reason in whole.reason for one in found if one.outcome is whole.outcome)


def test_what_had_nothing_to_judge_counts_as_no_check() -> None:
    """It stops no release and is named; without anything judged, nothing passes."""
    nothing = unjudged("no line was read")
    assert worst_of([result("passed"), nothing, nothing]).reason == "1 check passed; not judged: no line was read"
    assert worst_of([result("passed"), result("passed")]).reason == "all 2 checks passed"
    assert worst_of([result("failed", "down"), nothing]) == result("failed", "down")
    assert worst_of([nothing]) == result("no_data", "no line was read")


def test_a_reason_names_its_place_once() -> None:
    """A place that the reason names already is not named again."""
    assert result("failed", "it is down").at("production/eu").reason == "production/eu: it is down"
    assert result("failed", "production/eu is down").at("production/eu").reason == "production/eu is down"
    assert result("failed", "it is down").at("").reason == "it is down"


def wave(**changes: Any) -> WaveResult:
    """Make the result of a wave with an inconclusive target."""
    target = TargetResult(outcome=Outcome.WATCHING, reason="at 25 %", environment="production/eu", step=25, is_inconclusive=True)
    return WaveResult(outcome=target.outcome, reason=target.reason, targets={"production/eu": target}, **changes)


def test_no_one_is_asked_about_a_wave_that_a_target_ended() -> None:
    """All are rolled back then."""
    assert [one.environment for one in wave().inconclusive] == ["production/eu"]
    assert wave(ended_by="production/us").inconclusive == []


@pytest.mark.parametrize(
    "value",
    [
        result("passed"),
        StepResult(outcome=Outcome.FAILED, reason="worse", step=25),
        wave(ended_by="production/us"),
        RollbackResult(outcome=Outcome.PASSED, reason="back", environment="production", version=None),
        Approval(gate="production"),
        Analysis(
            outcome=Outcome.NO_DATA,
            reason="silent",
            step_percent=25,
            started_at=1.5,
            versions={"canary": "1.1", "baseline": None},
            slis=[{"name": "errors"}],
            points=[{"at": 2.0, "verdicts": [{"canary_high": math.inf}]}],
            probes={},
            samples=[{"bad": 0}],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_prefect_stores_is_loaded_as_the_same_value(value: Any) -> None:
    """As JSON, with its type."""
    assert JSONSerializer().loads(JSONSerializer().dumps(value)) == value


@pytest.mark.slow
def test_a_result_is_loaded_in_another_process() -> None:
    """One that has imported nothing of ours, as after a crash."""
    ran = subprocess.run(
        [sys.executable, "-c", LOADED], input=JSONSerializer().dumps(wave()), capture_output=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert ran.stdout.decode().split() == ["WaveResult", "WATCHING", "True"]
