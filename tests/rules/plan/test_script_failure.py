"""What a plan says of scripts that fail."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tasks.rules.plan.file import read_plan
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.summary import describe_course
from tests.flows.harness import plan_of

PEOPLE = {"approvers": ["ada"], "quorum": 1}


def read(section: Any, **more: Any) -> tuple[Plan | None, list[str]]:
    """Read a plan with this section."""
    plan, problems = read_plan(yaml.safe_dump({**plan_of("shop"), "on_script_failure": section, **more}), name="shipway.yaml")
    return plan, [str(problem) for problem in problems]


def test_left_out_it_rolls_back_without_another_try() -> None:
    """As it was before there was a choice."""
    plan, _ = read({})
    assert plan is not None
    assert (plan.on_script_failure.retries, plan.on_script_failure.then) == (0, "roll_back")
    assert not [line for line in describe_course(plan, "1.1") if "script" in line]


def test_asking_needs_people_who_may_answer() -> None:
    """A question that no one can answer would only let time pass."""
    _, problems = read({"then": "ask"})
    assert "on_script_failure: `then: ask` asks approvers, and the plan names none" in problems[0]


@pytest.mark.parametrize("section", [{"retries": 11}, {"retries": -1}, {"then": "skip"}, {"answer_within_minutes": 0}, "ask"])
def test_what_is_out_of_bounds_is_refused(section: Any) -> None:
    """Each with the field's name."""
    plan, problems = read(section, approval=PEOPLE)
    assert plan is None
    assert "on_script_failure" in problems[0]


def test_the_summary_says_what_happens() -> None:
    """Who reviews the plan need not know the defaults."""
    plan, _ = read({"retries": 2, "then": "ask", "answer_within_minutes": 90}, approval=PEOPLE)
    assert plan is not None
    said = "If a script fails that moves the version forward: it is run again, up to 2x; then people are asked for at most 90 min, "
    assert said + "and without an answer it rolls back." in describe_course(plan, "1.1")
