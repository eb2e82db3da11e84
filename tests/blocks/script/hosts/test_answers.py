"""The form of what hosts answer, as values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.script.hosts.answers import in_form

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
CHECK = {"faults": {"deploy": "it does not exist"}, "free_bytes": 5_000}
READ = {"exit_code": 0, "output": "MS4w", "cut": False, "tail": "", "not_run": "", "seconds": 0.2}
UNDER_WAY = {"state": "under way", "output": "", "where": None}
BOTH = {**READ, "then": READ}
ENDED = {"state": "ended", "output": "b2s=", "where": [77, 2], "result": {"exit_code": 0}, "log": ""}
NOT = {"not": "cannot", "why": "it is not there"}
GOOD = [
    ("check", CHECK), ("check", {**CHECK, "free_bytes": 2**63}), ("read", READ), ("read", BOTH), ("read", NOT),
    ("begin", UNDER_WAY), ("follow", UNDER_WAY), ("follow", ENDED), ("follow", NOT),
]  # fmt: skip
ORDER = {"commands": {"deploy": ["./app.sh"]}, "then": {"1.1": {"command": ["./app.sh", "verify"]}}}


@pytest.mark.parametrize(("do", "answer"), GOOD)
def test_what_our_program_answers_is_in_form(do: str, answer: dict[str, Any]) -> None:
    """Each kind of order, and each way to say that it is not done."""
    assert in_form({**ORDER, "do": do}, answer)


@pytest.mark.parametrize(("do", "answer"), GOOD)
def test_an_answer_without_one_of_its_values_is_not(do: str, answer: dict[str, Any]) -> None:
    """None of what is read is left out; of a run that is not over there is no more to say."""
    optional = {"where", "result"} | ({"exit_code", "then"} if do == "read" else set())
    for name in set(answer) - optional:
        assert not in_form({**ORDER, "do": do}, {key: value for key, value in answer.items() if key != name})


@pytest.mark.parametrize(
    ("do", "answer"),
    [
        ("read", {**READ, "output": "no base64!"}),
        ("read", {**READ, "then": 5}),
        ("read", {**READ, "then": {}}),
        ("read", {**READ, "then": {**READ, "output": 1}}),
        ("read", {**READ, "output": "é"}),
        ("read", {**READ, "seconds": float("nan")}),
        ("read", {**READ, "seconds": 10**400}),
        ("read", {**READ, "exit_code": True}),
        ("check", {**CHECK, "faults": {"other": "a command that was not asked about"}}),
        ("check", {**CHECK, "faults": ["deploy"]}),
        ("follow", {**UNDER_WAY, "where": [1]}),
        ("follow", {**UNDER_WAY, "where": [1, "2"]}),
        ("follow", {**ENDED, "state": ["ended"]}),
        ("follow", {**ENDED, "result": 0}),
        ("follow", {**NOT, "why": None}),
    ],
)
def test_a_value_of_another_kind_is_not(do: str, answer: dict[str, Any]) -> None:
    """It would end the asking of all other hosts where it is used."""
    assert not in_form({**ORDER, "do": do}, answer)


def test_a_second_reading_that_was_not_asked_for_is_not() -> None:
    """Nothing would look at it, and it would be taken for that of another version."""
    assert not in_form({"do": "read"}, BOTH)


@given(VALUES, st.sampled_from(["check", "begin", "follow", "read"]))
def test_any_value_is_judged_without_an_error(answer: Any, do: str) -> None:
    """Whatever JSON there is."""
    assert in_form({**ORDER, "do": do}, answer) in {True, False}
