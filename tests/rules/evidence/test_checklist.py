"""The checklist and the course: what is asked for and unknown is not passed, and what would happen is said before."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.rules.evidence.checklist import Facts, all_passed, judge_checklist
from tasks.rules.evidence.dependencies import DependencyState
from tasks.rules.evidence.tests import TestEvidence
from tasks.rules.plan.checklist import Checklist
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.summary import describe_course, duration

RAW: dict[str, Any] = {
    "shipway": 1, "service": "guestbook", "tests": [{"junit": "junit.xml"}], "verification": {"health": [{}]},
    "dependencies": [{"name": "accounts", "url": "http://127.0.0.1/"}],
    "judgement": {"slis": [{"name": "errors", "indicator": "errors"}]}, "staging": {"platform": "local/a"},
    "production": {"platform": "local/b", "steps": [{"percent": 10, "watch_seconds": 60}, {"percent": 100, "watch_seconds": 0}]},
    "approval": {"approvers": ["ada", "grace"]}, "rollback": {},
}  # fmt: skip
PLAN = Plan.model_validate(RAW)
GOOD = Facts(
    tests=[TestEvidence("passed", "3 of 3")], dependencies=[DependencyState("accounts", "passed", "well")], platform_answers=True,
    rollback_to="1.0", readings={"errors": ""}, announced=True,
)  # fmt: skip


def test_known_and_good_facts_pass() -> None:
    """All five lines pass when all five facts are there."""
    items = judge_checklist(PLAN, GOOD)
    assert [item.name for item in items] == ["tests_passed", "dependencies_verified", "rollback_ready", "monitoring_on", "team_told"]
    assert all_passed(items)


def test_without_facts_nothing_passes() -> None:
    """No data is not a pass, for any line."""
    assert {item.outcome for item in judge_checklist(PLAN, Facts())} == {"no_data"}


@pytest.mark.parametrize(
    ("change", "name", "outcome"),
    [
        ({"tests": [TestEvidence("failed", "1 of 3 failed")]}, "tests_passed", "failed"),
        ({"tests": []}, "tests_passed", "no_data"),
        ({"dependencies": []}, "dependencies_verified", "no_data"),
        ({"dependencies": [DependencyState("accounts", "no_data", "silent")]}, "dependencies_verified", "no_data"),
        ({"dependencies": [DependencyState("other", "passed", "well")]}, "dependencies_verified", "no_data"),
        ({"platform_answers": False}, "rollback_ready", "failed"),
        ({"rollback_to": None}, "rollback_ready", "failed"),
        ({"readings": {}}, "monitoring_on", "no_data"),
        ({"readings": {"errors": "Prometheus does not answer"}}, "monitoring_on", "no_data"),
        ({"announced": False}, "team_told", "failed"),
    ],
)
def test_one_bad_fact_fails_its_line(change: dict[str, Any], name: str, outcome: str) -> None:
    """Each line hangs on its own fact."""
    items = judge_checklist(PLAN, replace(GOOD, **change))
    assert {item.name: item.outcome for item in items if item.outcome != "passed"} == {name: outcome}


def test_a_first_deployment_can_go_back_to_nothing() -> None:
    """Where nothing runs yet, taking the new version away is a rollback."""
    assert all_passed(judge_checklist(PLAN, replace(GOOD, rollback_to=None, first_deployment=True)))


def test_what_is_not_asked_is_not_judged() -> None:
    """A line that the plan switches off is not in the list."""
    plan = Plan.model_validate({**RAW, "checklist": {"team_told": False, "monitoring_on": False}})
    assert len(judge_checklist(plan, Facts())) == 3


@pytest.mark.parametrize(
    ("commands", "outcome"),
    [
        ({}, "no_data"),
        ({"disk": TestEvidence("failed", "df exited 1")}, "failed"),
        ({"disk": TestEvidence("passed", "df exited 0")}, "passed"),
    ],
)
def test_a_command_answers_a_line(commands: dict[str, TestEvidence], outcome: str) -> None:
    """One that was not run does not pass."""
    plan = Plan.model_validate({**RAW, "checklist": {"commands": [{"name": "disk", "command": ["df"]}]}})
    found = judge_checklist(plan, replace(GOOD, commands=commands))
    assert {item.name: item.outcome for item in found}["disk"] == outcome
    assert all_passed(found) == (outcome == "passed")


ITEM = {"name": "backup", "text": "A backup was read", "evidence": "link"}


def only(item: dict[str, Any]) -> Checklist:
    """Make a checklist with this item alone."""
    return Checklist.model_validate({"items": [{**item, "who": ["ada"]}]})


def test_the_course_says_what_people_tick() -> None:
    """Before which phase, who, with which evidence, who may skip it, and what silence leads to."""
    after = {**ITEM, "name": "after", "before": "closing"}
    items = [after, ITEM, {**ITEM, "name": "call", "before": "staging", "who": ["tom"], "skipped_by": ["grace"], "required": False}]
    plan = Plan.model_validate({**RAW, "checklist": {"items": [*items, {**ITEM, "name": "told", "before": "staging"}]}})
    text = "\n".join(describe_course(plan, "1.1", {}))
    assert "Checklist before production: people tick backup, A backup was read (ada or grace with a link). If" in text
    assert "before staging: people tick call, A backup was read (tom with a link, may be skipped by grace, optional); told" in text
    assert "still open after 24 h, the release ends as refused" in text
    assert "Checklist before closing: people tick after, A backup was read (ada or grace with a link). If" in text
    assert "still open after 24 h, the release ends as deployed, with it named as open" in text
    assert [item.name for item in plan.checklist.required()] == ["backup", "told"]
    assert not plan.model_copy(update={"approval": plan.approval.model_copy(update={"quorum": 0}), "checklist": only(after)}).asks_people()


def test_the_course_says_steps_people_and_rollbacks() -> None:
    """The sentences carry the versions, shares, times, names and consequences."""
    text = "\n".join(describe_course(PLAN, "1.1", {"staging": None, "production": "1.0"}))
    for words in (
        "nothing runs there yet", "1.0 runs there now", "10 % of new requests", "watch for at most 1 min", "go on at once",
        "1 of ada, grace must approve within 4 h", "end the release as refused", "to 1.0, which stays warm",
    ):  # fmt: skip
        assert words in text


def test_the_course_of_a_rolling_update_says_that_the_version_before_is_deployed_again() -> None:
    """It replaces what runs, so nothing stays warm to go back to."""
    production = {**RAW["production"], "strategy": "rolling"}
    text = "\n".join(describe_course(Plan.model_validate({**RAW, "production": production}), "1.1", {"staging": None, "production": "1.0"}))
    assert "warm" not in text
    assert "stop the previous version" not in text.partition("Production")[2]
    assert "A failure before the promotion deploys the version before again." in text
    assert "Rollback, after any failure: to 1.0, which is deployed again," in text


@pytest.mark.parametrize(("seconds", "text"), [(0.5, "0.5 s"), (59, "59 s"), (300, "5 min"), (5_400, "1 h 30 min"), (7_200, "2 h")])
def test_times_are_written_as_people_read_them(seconds: float, text: str) -> None:
    """Seconds, minutes and hours, whichever fits."""
    assert duration(seconds) == text
