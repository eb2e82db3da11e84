"""Questions about a script that failed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.rules.approval.gates import Gate
from tasks.rules.approval.script_failure import gate_name, hosts_left_out, runs_allowed, what_is_asked
from tasks.rules.record.entries import Entry, chain

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
LONGEST = "production/" + "a" * 30
PLACES = ["staging", "production", "production/staging", "production/production", "production/eu", LONGEST]
STEPS = ["deploy", "promote", "shift-1", "shift-25", "shift-100"]


def decided(**other: Any) -> Entry:
    """Write a decision of people."""
    evidence = {"may_run_again": True, "act": "deploy 1.1", "runs": 1, **other.pop("evidence", {})}
    fields: dict[str, Any] = {"kind": "gate", "environment": "production", "name": "script-production-deploy-1 decision", **other}
    return chain(None, at=NOW, who="shipway", what="x", evidence=evidence, **fields)


def test_each_question_has_a_name_of_its_own_that_a_gate_takes() -> None:
    """No environment, step or number of runs shares a gate with another: an answer to one would count for the other."""
    names = [gate_name(place, step, runs) for place in PLACES for step in STEPS for runs in (1, 2, 11)]
    assert len(set(names)) == len(names)
    (pattern,) = (one.pattern for one in Gate.model_fields["name"].metadata if hasattr(one, "pattern"))
    assert [name for name in names if not re.fullmatch(pattern, name)] == []


def test_the_question_says_what_each_answer_means() -> None:
    """Who reads it alone knows what approving does."""
    asked = what_is_asked("deploy 1.1", 2, "production/eu", until=NOW)
    assert "deploy 1.1 in production/eu failed 2 times. Approve to run it once more" in asked
    assert "Reject to roll the release back. Without an answer by 2026-11-30 09:00:00 UTC it is rolled back." in asked
    assert "still run" not in asked


def test_the_question_names_what_a_second_run_would_act_beside() -> None:
    """Who lets a script run again must know that something of the first run could not be ended."""
    asked = what_is_asked("deploy 1.1", 1, "production", until=NOW, left=["812 (apt-get)", "3 more"])
    assert "failed once. What it had started could not be ended, and may still run: 812 (apt-get), 3 more. Approve to" in asked


@pytest.mark.parametrize(
    "entry",
    [
        decided(kind="note"),
        decided(environment="staging"),
        decided(name="decision"),
        decided(evidence={"may_run_again": False}),
        decided(evidence={"may_run_again": "yes"}),
        decided(evidence={"runs": True}),
        decided(evidence={"runs": "9"}),
        decided(evidence={"act": None}),
    ],
)
def test_only_a_decision_about_this_environment_allows_a_run(entry: Entry) -> None:
    """Anything else runs nothing again."""
    assert runs_allowed([entry], "production") == {}


def test_the_newest_run_that_people_decided_about_counts() -> None:
    """In whatever order the entries are read, and each script for itself."""
    entries = [decided(evidence={"runs": 2}), decided(), decided(evidence={"act": "promote 1.1"})]
    assert runs_allowed(entries, "production") == runs_allowed(entries[::-1], "production") == {"deploy 1.1": 2, "promote 1.1": 1}


HOSTS = ["web-1", "web-2", "ops@web-1:2222", "ops-web-1-2222", "OPS@web-1:2222", "ip-10-0-12-34.eu-central-1.compute.internal"]


def step_on(host: str) -> str:
    """Name what failed there, as the platform does."""
    return f"deploy-on-{''.join(one if one.isalnum() else '-' for one in host.lower()).strip('-')}"


def test_each_question_about_a_host_has_a_name_of_its_own_whatever_the_host_is_called() -> None:
    """Also of hosts whose names differ in signs that a gate's name does not take, or that are long; none is one without the offer."""
    names = [gate_name(place, step_on(host), runs, host=host) for place in PLACES for host in HOSTS for runs in (1, 2)]
    assert len(set(names)) == len(names)
    (pattern,) = (one.pattern for one in Gate.model_fields["name"].metadata if hasattr(one, "pattern"))
    assert [name for name in names if not re.fullmatch(pattern, name) or not name.startswith("script-host-")] == []
    others = [gate_name(place, step_on(host), 1) for place in PLACES for host in HOSTS]
    assert [name for name in others if name.startswith("script-host-") or not re.fullmatch(pattern, name)] == []


def test_the_question_says_what_it_means_to_leave_a_host_out() -> None:
    """Only where that is offered."""
    asked = what_is_asked("deploy 1.1 on web-3", 1, "production", until=NOW, version="1.1", host="web-3")
    stays = "it stays as the script left it until a release or a rollback deploys it"
    assert f"Skip to let the release of 1.1 go on without web-3; {stays}. Reject" in asked
    assert len(asked) < 600
    assert "Skip" not in what_is_asked("deploy 1.1", 1, "production", until=NOW, version="1.1")


def skipped(**other: Any) -> Entry:
    """Write a decision to go on without a host."""
    evidence = {"may_run_again": False, "left_out": "web-3", "version": "1.1", **other.pop("evidence", {})}
    return decided(**{"name": "script-host-production-deploy-on-web-3-1 decision", **other}, evidence=evidence)


def test_a_host_is_left_out_by_a_decision_about_this_environment_alone() -> None:
    """Each with the version, which is all that it is left out of."""
    assert hosts_left_out([skipped(), skipped(evidence={"left_out": "web-4"})], "production") == {"web-3": "1.1", "web-4": "1.1"}
    assert runs_allowed([skipped()], "production") == {}


@pytest.mark.parametrize(
    "entry",
    [
        decided(),
        decided(evidence={"left_out": "web-3", "version": "1.1"}),  # at a gate that does not offer it
        skipped(kind="note"),
        skipped(kind="refused"),
        skipped(environment="staging"),
        skipped(name="script-host-production-deploy-on-web-3-1 answer 1"),
        skipped(evidence={"left_out": ""}),
        skipped(evidence={"left_out": True}),
        skipped(evidence={"version": None}),
    ],
)
def test_anything_else_leaves_no_host_out(entry: Entry) -> None:
    """Neither an answer, nor another question's decision."""
    assert hosts_left_out([entry], "production") == {}
