"""Folding outcomes: the worst decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.analysis.summary import WORST_FIRST, worst_of

RESULTS = st.lists(
    st.fixed_dictionaries({"outcome": st.sampled_from(WORST_FIRST), "reason": st.text(st.characters(codec="ascii"), min_size=1)}),
    max_size=8,
)


def result(outcome: str, reason: str = "so") -> dict[str, str]:
    """Make one result."""
    return {"outcome": outcome, "reason": reason}


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
    """Nothing at all is no pass, and neither is a word that nobody knows."""
    assert worst_of([result(outcome) for outcome in outcomes])[0] == worst


def test_a_word_that_nobody_knows_is_no_pass_beside_a_good_one() -> None:
    """Fail closed: a typo in an outcome must not be hidden by the checks beside it."""
    assert worst_of([result("passed"), result("splendid")])[0] == "error"


@given(RESULTS, st.sampled_from(WORST_FIRST))
def test_one_more_result_never_makes_it_better(found: list[dict[str, str]], more: str) -> None:
    """The fold is monotone: what is bad stays bad."""
    if found:
        before, after = worst_of(found)[0], worst_of([*found, result(more)])[0]
        assert WORST_FIRST.index(after) <= WORST_FIRST.index(before)


@given(RESULTS, st.randoms())
def test_the_order_of_the_checks_changes_nothing(found: list[dict[str, str]], random: object) -> None:
    """Checks run side by side; whoever ends first has no say in the outcome."""
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert worst_of(shuffled)[0] == worst_of(found)[0]


@given(RESULTS)
def test_all_passed_means_that_every_single_one_did(found: list[dict[str, str]]) -> None:
    """A pass is never a majority."""
    assert (worst_of(found)[0] == "passed") == (bool(found) and all(one["outcome"] == "passed" for one in found))


@given(RESULTS)
def test_the_reason_carries_what_was_wrong(found: list[dict[str, str]]) -> None:
    """Each reason of the worst kind is in the sentence."""
    outcome, reason = worst_of(found)
    if outcome != "passed":
        assert all(one["reason"] in reason for one in found if one["outcome"] == outcome)
