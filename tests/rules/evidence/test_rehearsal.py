"""Rehearsals: one counts for its own method alone, while it is young and its rollback worked; nothing is rehearsed where nothing shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from blocks.errors import BadInput
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.evidence.checklist import Facts, judge_checklist
from tasks.rules.evidence.rehearsal import (
    Method,
    Rehearsal,
    differences_of,
    fault_of_staging,
    judge_rehearsal,
    page_of,
    rehearsed_plan,
    steps_until,
)
from tasks.rules.plan.checklist import Checklist
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import production_of
from tests.rules.evidence.test_checklist import PLAN, RAW

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
METHOD = Method(kind="kubernetes", strategy="canary", through=("Deployment", "HTTPRoute"), shares=(10, 100))
(PLACE,) = production_of(PLAN)
STAGING = PLAN.staging.platform


def rehearsal(*, days_ago: float = 1, **changes: Any) -> Rehearsal:
    """Give a rehearsal that worked."""
    return Rehearsal.model_validate({
        "service": "guestbook", "environment": "production", "staging": STAGING, "method": METHOD, "version": "1.1", "baseline": "1.0",
        "step": 100, "at": NOW - timedelta(days=days_ago), "seconds": 4.2, "outcome": "passed", "reason": "1.0 serves again", "run": "r",
    } | changes)  # fmt: skip


def judged(*found: Rehearsal, within_days: float = 7) -> tuple[Outcome, str]:
    """Judge what is kept."""
    return judge_rehearsal(found, place=PLACE, staging=STAGING, method=METHOD, within_days=within_days, now=NOW)


@pytest.mark.parametrize(
    ("found", "outcome", "words"),
    [
        ([], "no_data", "was never rehearsed"),
        ([rehearsal()], "passed", "was rehearsed Sun 2026-11-29 12:00 UTC and took 4.2 s"),
        ([rehearsal(days_ago=7)], "passed", "was rehearsed"),
        ([rehearsal(days_ago=7.01)], "no_data", "is 7.01 days old, and may be 7"),
        (
            [rehearsal(outcome="failed", reason="1.0 is ill")],
            "failed",
            "did not work in the rehearsal of Sun 2026-11-29 12:00 UTC: 1.0 is ill",
        ),
        ([rehearsal(days_ago=2), rehearsal(outcome="failed")], "failed", "did not work"),
        ([rehearsal(outcome="failed", days_ago=2), rehearsal()], "passed", "was rehearsed"),
        ([rehearsal(days_ago=-1)], "no_data", "lies in the future"),
        ([rehearsal(staging="local/other")], "no_data", "was of another method"),
        ([rehearsal(method=METHOD.model_copy(update={"strategy": "rolling"}))], "no_data", "was of another method"),
        ([rehearsal(method=METHOD.model_copy(update={"shares": (50, 100)}))], "no_data", "was of another method"),
        ([rehearsal(method=METHOD.model_copy(update={"programs": {"deploy": ("a",)}}))], "no_data", "was of another method"),
        ([rehearsal(method=METHOD.model_copy(update={"kind": "local"}))], "no_data", "was of another method"),
    ],
)
def test_the_newest_rehearsal_of_the_very_method_counts_while_it_is_young(found: list[Rehearsal], outcome: str, words: str) -> None:
    """What does not count says why, and names the command."""
    result, reason = judged(*found)
    assert result == outcome
    assert words in reason
    assert ("shipway rehearse PLAN" in reason) == (outcome != "passed")


@pytest.mark.parametrize(
    ("facts", "outcome", "words"),
    [
        ({"rehearsed": None}, "passed", "1.0 can be rolled back to"),
        ({"rehearsed": (Outcome.PASSED, "was rehearsed")}, "passed", "1.0 can be rolled back to; was rehearsed"),
        ({"rehearsed": (Outcome.NO_DATA, "never rehearsed")}, "no_data", "never rehearsed"),
        ({"rehearsed": (Outcome.FAILED, "did not work")}, "failed", "did not work"),
        ({"rehearsed": (Outcome.PASSED, "was rehearsed"), "platform_answers": False}, "failed", "does not answer"),
        ({"rehearsed": (Outcome.NO_DATA, "never"), "rollback_to": None, "first_deployment": True}, "passed", "nothing runs yet"),
    ],
)
def test_the_line_that_a_rollback_is_ready_takes_the_rehearsal_too(facts: dict[str, Any], outcome: str, words: str) -> None:
    """Beside the other facts, which decide as before; a first deployment has no earlier version to return to."""
    known = Facts(**{"platform_answers": True, "rollback_to": "1.0", **facts})
    (line,) = [item for item in judge_checklist(PLAN, known) if item.name == "rollback_ready"]
    assert line.outcome == outcome
    assert words in line.reason


def test_a_rehearsal_is_asked_for_only_with_its_line() -> None:
    """Else the plan would ask for what is not judged."""
    assert Checklist(rehearsed_within_days=30).rollback_ready
    with pytest.raises(ValidationError, match="not that a rollback is ready"):
        Checklist(rollback_ready=False, rehearsed_within_days=30)
    for days in (0, -1, 367):
        with pytest.raises(ValidationError):
            Checklist(rehearsed_within_days=days)


@pytest.mark.parametrize(
    ("changes", "version", "words"),
    [
        ({}, "1.1", ""),
        ({"owner": "me"}, "1.1", ""),
        ({"baseline": None}, "1.1", "nothing serves in staging"),
        ({"owner": "another"}, "1.1", "the run another holds it"),
        ({"canary": "2.0"}, "1.1", "2.0 is being rolled out beside 1.0"),
        ({"ready": {"1.0": False}}, "1.1", "is not ready"),
        ({}, "", "name one with `--version VERSION`"),
        ({}, "1.0", "1.0 is what serves in staging"),
    ],
)
def test_nothing_is_rehearsed_where_nothing_would_be_shown(changes: dict[str, Any], version: str, words: str) -> None:
    """Each reason says what to do."""
    position = {"baseline": "1.0", "canary": None, "owner": None, "ready": {"1.0": True}, **changes}
    fault = fault_of_staging(position, version=version, owner="me", is_baseline=version == "1.0")
    assert words in fault
    assert bool(fault) == bool(words)


@pytest.mark.parametrize(("fail_at", "taken"), [(None, (10, 100)), (100, (10, 100)), (10, (10,))])
def test_the_steps_end_with_the_one_that_is_made_to_fail(fail_at: int | None, taken: tuple[int, ...]) -> None:
    """The last one, if none is named."""
    assert tuple(step.percent for step in steps_until(PLACE, fail_at)) == taken


def test_a_step_that_is_not_there_is_refused_with_those_that_are() -> None:
    """By their shares."""
    with pytest.raises(BadInput, match="Name one of its steps by its share: 10, 100"):
        steps_until(PLACE, 50)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"kind": "local"}, ["of the type kubernetes, that of staging local"]),
        ({"strategy": "rolling"}, ["is canary, that of staging rolling"]),
        ({"through": ("Deployment",)}, ["production is a Deployment with an HTTPRoute, staging a Deployment"]),
        ({"programs": {"deploy": ("b",)}}, ["other programs or words than staging for deploy"]),
    ],
)
def test_a_staging_with_another_method_shows_nothing_of_production(changes: dict[str, Any], words: list[str]) -> None:
    """It is said before anything moves."""
    found = differences_of(METHOD, METHOD.model_copy(update=changes))
    assert len(found) == len(words)
    assert all(word in said for word, said in zip(words, found, strict=True))


def test_the_plan_of_a_rehearsal_keeps_nothing_in_staging_and_ends_no_other_run() -> None:
    """Whatever the plan of a release says; given again it stays as it is."""
    raw = RAW | {
        "staging": {"platform": "local/a", "keep_on_failure": True},
        "on_conflict": "supersede",
        "migrations": [{"name": "add", "manifest": "add.yaml", "when": "before", "compatibility": "expand"}],
        "documentation": {"git": "git/pages"},
    }
    plan = rehearsed_plan(Plan.model_validate(raw), strategy="blue-green")
    assert (plan.staging.keep_on_failure, plan.on_conflict, plan.migrations, plan.documentation.git) == (False, "refuse", [], None)
    assert plan.staging.strategy == "blue-green"
    assert rehearsed_plan(plan) == plan
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan


def test_the_page_says_what_was_shown_and_nothing_that_it_quotes_acts() -> None:
    """In plain words, without links or HTML of others."""
    page = page_of(rehearsal(reason="<script> [x](http://evil.example)", outcome="failed", version="1.1<b>"))
    assert "The rollback does not work." in page
    assert "<script>" not in page
    assert "<b>" not in page
    assert "](http" not in page
    assert "took, with its verification: 4.2 s" in page
    assert "The rollback works." in page_of(rehearsal())
