"""What the approval form says about a release: by its inputs and its record alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tasks.rules.approval.contents import form_text
from tasks.rules.approval.gates import gate_state
from tasks.rules.evidence.change_log import ChangeLog, Commit
from tasks.rules.evidence.differences import MOST_LINES, changed_parts, differences
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.plan.plan import Plan
from tasks.rules.record.entries import Entry, Kind, chain
from tests.rules.approval.test_form import GATE, NASTY, NOW, text_of

START = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
PLAN = {
    "shipway": 1,
    "service": "guestbook",
    "staging": {"platform": "local/staging"},
    "production": {
        "platform": "local/production",
        "steps": [{"percent": 50, "watch_seconds": 60}, {"percent": 100, "watch_seconds": 30}],
    },
    "approval": {"quorum": 1, "approvers": ["anna", "ben"]},
    "verification": {"health": [{}]},
    "judgement": {"slis": [{"name": "errors", "indicator": "errors"}]},
    "rollback": {},
    "checklist": {"tests_passed": False},
}


def inputs_of(*, plan: dict[str, Any] | None = None, log: ChangeLog | None = None, **more: Any) -> Inputs:
    """Give the inputs of a release of 1.1."""
    whole = Plan.model_validate({**PLAN, **(plan or {})}).model_dump(mode="json")
    fields: dict[str, Any] = {
        "current": {"production": "1.0"}, "previous": {}, "platforms": {"production": "ab"}, "digest": "ab" * 32,
        "change_log": log or ChangeLog("1.0", "1.1", "upgrade", (commit(1),)),
    }  # fmt: skip
    return Inputs(plan=whole, path="/p/shipway.yaml", folder="/p", repository="/p", version="1.1", **{**fields, **more})


def commit(number: int, subject: str = "") -> Commit:
    """Give a commit."""
    return Commit(f"{number:040x}", "grace", number, subject or f"change {number}")


def entry(kind: Kind, *, what: str = "x", **more: Any) -> Entry:
    """Give an entry."""
    return chain(None, at=START, who="shipway", what=what, kind=kind, **more)


def text(*entries: Entry, inputs: Inputs | None = None, round: int = 1, **more: Any) -> str:
    """Write a form, as it is read."""
    state = gate_state(GATE, (), wrong_codes=0, now=NOW)
    return text_of(form_text(GATE, state, inputs or inputs_of(), entries, round=round, **more))


def test_a_downgrade_shows_which_changes_are_taken_away() -> None:
    """Also if a subject is written to look like the form itself."""
    log = ChangeLog("1.1", "1.0", "downgrade", (), taken_back=(commit(7, "Show the city"), commit(8, NASTY)))
    shown = text(inputs=inputs_of(log=log))
    assert "Takes changes away: a downgrade" in shown
    assert shown.index("Changes that it takes away") < shown.index("grace: Show the city") < shown.index("none listed")
    assert "<img src=x onerror=alert(1)>" in shown
    assert "takes away" not in text()


def test_who_approves_reads_where_each_credential_goes() -> None:
    """The plan chooses it, and the digest covers the plan; without one, the form has no such section."""
    spec = {"name": "a", "url": "https://accounts.example.org/x", "secret_headers": {"X": "credential/token"}}
    shown = text(inputs=inputs_of(plan={"dependencies": [spec]}))
    assert "Credentials, and where their values go" in shown
    assert "credential/token: https://accounts.example.org" in shown
    assert "Credentials" not in text()
    other = inputs_of(plan={"dependencies": [{**spec, "url": "https://evil.example/x"}]})
    assert changed_parts(inputs_of(plan={"dependencies": [spec]}), other) == ["plan"]


def test_who_is_asked_again_reads_what_changed_under_the_same_title_and_each_check_once() -> None:
    """The evidence of the round before is about other inputs."""
    checks = [entry("tests", what="Looked at the tests", round=number, why=f"{number} passed") for number in (1, 2)]
    then, now = inputs_of(), inputs_of(plan={"approval": {"quorum": 1, "approvers": ["anna"]}})
    void = entry("refused", name="void", round=1, why="changed: plan", evidence={"differences": differences(then, now)})
    first, again = text(checks[0]), text(*checks, void, inputs=now, round=2)
    assert first.partition("?")[0] == again.partition("?")[0] == "guestbook 1.1: may it go to production"
    assert "Asked again: changed: plan" in again
    assert 'approval.approvers: ["anna", "ben"] → ["anna"]' in again
    assert again.count("Looked at the tests") == 1
    assert "2 passed" in again
    assert "What changed since" not in first


def test_a_step_that_was_not_decided_asks_whether_to_go_on_and_says_why() -> None:
    """With the shares of the plan; after the last step there is no further one."""
    verdict = entry("verdict", environment="production", step=50, why="352 requests, and a pass needs 1,000")
    about: dict[str, Any] = {"environment": "production"}
    assert text(verdict, step=50, **about).startswith("guestbook 1.1: it stays at 50 %: go on to 100 %?")
    assert "Not decided: 352 requests" in text(verdict, step=50, **about)
    assert "it stays at 100 %: make it the version that serves?" in text(step=100, **about)


def test_a_step_that_cannot_decide_is_a_warning_with_its_remedy() -> None:
    """Above the table, before anything else that a person reads."""
    fault = "production: the step of 50 % cannot decide about errors; watch 110 s, or tolerance 0.02 would"
    evidence = {"headings": ["Step"], "rows": [["50 %"]], "undecidable": [fault] * 20}
    shown = text(entry("note", name="power", evidence=evidence))
    assert shown.index("fields for your answer") < shown.index(f"Warning: {fault}") < shown.index("Environment")
    assert "more, in the record" in shown


def test_what_is_not_as_it_was_tagged_is_a_warning() -> None:
    """The release goes by the files as they are."""
    assert "Warning: not as in the tag v1: shipway.yaml" in text(entry("note", name="untagged", why="not as in the tag v1: shipway.yaml"))


def test_the_differences_name_each_field_that_changed_with_both_values() -> None:
    """Members of lists by what they are called; of platforms, whose settings may hold secrets, only which one."""
    steps = [{"percent": 10, "watch_seconds": 5}, {"percent": 50, "watch_seconds": 10}, {"percent": 100, "watch_seconds": 30}]
    then = inputs_of()
    now = inputs_of(
        plan={"production": {"platform": "local/production", "steps": steps}, "description": "x" * 999},
        log=ChangeLog("1.0", "1.1", "sideways", (commit(2),), taken_back=(commit(3),)),
        current={"production": None},
        platforms={"production": "cd"},
    )
    lines = differences(then, now)
    for line in (
        "plan: production.steps[50].watch_seconds: 60.0 → 10.0",
        "plan: production.steps[10].watch_seconds: nothing → 5.0",
        "runs now: production: 1.0 → nothing",
        "now brings 0000000000 grace: change 2",
        "no longer brings 0000000000 grace: change 1",
        "now takes away 0000000000 grace: change 3",
        "platforms: the settings of production changed",
    ):
        assert line in lines
    assert not [line for line in lines if "steps[100]" in line or len(line) > 300]
    assert changed_parts(then, now) == ["plan", "current", "change_log", "platforms"]
    assert differences(then, then) == changed_parts(then, then) == []
    many = ChangeLog("1.0", "1.1", "upgrade", tuple(commit(number) for number in range(100, 300)))
    assert len(differences(then, inputs_of(log=many))) == MOST_LINES
