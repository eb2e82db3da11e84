"""What a plan says of who is told."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tasks.rules.plan.file import read_plan
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.summary import describe_course
from tests.flows.harness import plan_of

TEAM = "slack-webhook/team"
HOURS = {"begin": "08:00", "end": "18:00", "zone": "Europe/Berlin"}


def read(notify: Any, **more: Any) -> tuple[Plan | None, list[str]]:
    """Read a plan with these receivers."""
    plan, problems = read_plan(yaml.safe_dump({**plan_of("shop"), "notify": notify, **more}), name="shipway.yaml")
    return plan, [str(problem) for problem in problems]


def test_a_receiver_may_be_a_name_or_have_bounds() -> None:
    """The course of a release names both, as they are told."""
    plan, problems = read([TEAM, {"to": "apprise/oncall", "at_least": "error", "hours": [HOURS]}])
    assert problems == []
    assert plan is not None
    course = "\n".join(describe_course(plan, "1.1"))
    assert f"notify {TEAM}, apprise/oncall (error and worse, daily 08:00 to 18:00 Europe/Berlin)" in course


@pytest.mark.parametrize(
    ("notify", "problem"),
    [
        ([{"to": "team"}], "notify[0].to"),
        ([{"at_least": "error"}], "notify[0].to"),
        ([{"to": TEAM, "at_least": "loud"}], "notify[0].at_least"),
        ([{"to": TEAM, "hours": [{**HOURS, "begin": "8:00"}]}], "notify[0].hours[0].begin"),
        ([{"to": TEAM, "hours": [{**HOURS, "end": "24:00"}]}], "notify[0].hours[0].end"),
        ([{"to": TEAM, "hours": [{**HOURS, "zone": "CET"}]}], "notify[0].hours[0].zone"),
        ([{"to": TEAM, "hours": [{**HOURS, "days": []}]}], "notify[0].hours[0].days"),
        ([{"to": TEAM, "hours": [{**HOURS, "days": ["mon", "mon"]}]}], "notify[0].hours[0].days"),
        ([TEAM, {"to": TEAM, "at_least": "error"}], f"notify: `{TEAM}` is listed twice"),
        ([7], "notify[0]"),
        ("team", "notify"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(notify: Any, problem: str) -> None:
    """One sentence each, before anything moves."""
    plan, problems = read(notify)
    assert plan is None
    assert len(problems) == 1
    assert problem in problems[0]


def test_the_checklist_needs_a_receiver_that_is_told_of_the_announcement() -> None:
    """Else every release would be refused, and only at its start."""
    loud = [{"to": TEAM, "at_least": "error"}]
    _, problems = read(loud, checklist={"team_told": True, "tests_passed": False, "monitoring_on": False})
    assert "no receiver is told of the announcement" in problems[0]
    plan, problems = read(loud, checklist={"team_told": False, "tests_passed": False, "monitoring_on": False})
    assert (plan is not None, problems) == (True, [])
