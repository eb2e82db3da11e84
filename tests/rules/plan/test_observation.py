"""What a plan says of looks after a deployment."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tasks.rules.plan.file import read_plan
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.summary import describe_course
from tests.flows.harness import plan_of


def read(section: Any) -> tuple[Plan | None, list[str]]:
    """Read a plan with this section."""
    plan, problems = read_plan(yaml.safe_dump({**plan_of("shop"), "observe": section}), name="shipway.yaml")
    return plan, [str(problem) for problem in problems]


def test_left_out_nothing_is_looked_at_again() -> None:
    """And the summary does not speak of it."""
    plan, _ = read({})
    assert plan is not None
    assert (plan.observe.hours, plan.observe.on_failure) == (0, "tell")
    assert not [line for line in describe_course(plan, "1.1") if "looked at again" in line]


@pytest.mark.parametrize("section", [{"hours": 169}, {"hours": -1}, {"every_minutes": 4}, {"on_failure": "ask"}, "24"])
def test_what_is_out_of_bounds_is_refused(section: Any) -> None:
    """Each with the field's name."""
    plan, problems = read(section)
    assert plan is None
    assert "observe" in problems[0]


@pytest.mark.parametrize(("then", "said"), [("tell", "told, and nothing is changed"), ("roll_back", "all of production is rolled back")])
def test_the_summary_says_what_happens(then: str, said: str) -> None:
    """Who reviews the plan need not know the defaults."""
    plan, _ = read({"hours": 24, "on_failure": then})
    assert plan is not None
    line = next(one for one in describe_course(plan, "1.1") if "looked at again" in one)
    assert line.startswith("For 24 h after the deployment it is looked at again each 15 min")
    assert line.endswith(f"{said}.")
