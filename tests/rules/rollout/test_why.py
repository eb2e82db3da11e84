"""Why a run ended as it did: the decision and its evidence, in ten lines, from any record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.record.entries import Entry, chain
from tasks.rules.rollout.why import why_lines

START = datetime(2026, 11, 30, 3, 10, tzinfo=UTC)
NUMBERS = "errors: 15 of 71 requests failed against 0 of 201"
OPENED: dict[str, Any] = {"kind": "opened", "who": "rita", "why": "faster search", "evidence": {"flow": "release", "version": "1.2"}}
REVIEW: dict[str, Any] = {"kind": "review", "evidence": {"service": "shop", "version": "1.2", "baseline": "1.1"}}
ASKED: dict[str, Any] = {
    "kind": "gate", "name": "question 1", "what": "Asked ada to approve 1.2", "why": "question 1, until 2026-11-30 05:00 UTC",
    "evidence": {"suspends_until": "2026-11-30T05:00:00+00:00"},
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "kind": "approval",
    "name": "answer 1",
    "who": "ada",
    "evidence": {"decision": "approved", "proof": {"comment": "go"}},
}
UP: list[dict[str, Any]] = [
    {"kind": "health", "environment": "production", "step": 0, "name": "1.2", "what": "Health of 1.2", "evidence": {"outcome": "passed"}},
    {"kind": "effect", "environment": "production", "step": 25, "name": "shift"},
]
VERDICT: dict[str, Any] = {
    "kind": "verdict",
    "environment": "production",
    "step": 25,
    "name": "watch",
    "what": "Verdict at 25 %",
    "why": NUMBERS,
}
BACK: list[dict[str, Any]] = [
    {"kind": "rollback", "name": "decision", "what": "1.2 is rolled back", "why": f"at 25 %: {NUMBERS}"},
    {"kind": "rollback", "environment": "production", "name": "done", "evidence": {"outcome": "passed"}},
]


def record(*entries: dict[str, Any]) -> list[Entry]:
    """Write a record, an entry a minute."""
    found: list[Entry] = []
    for number, one in enumerate(entries):
        fields = {"who": "shipway", "what": "It happened", **one}
        found.append(chain(found[-1] if found else None, at=START + timedelta(minutes=number), **fields))
    return found


def closed(outcome: str, why: str) -> dict[str, Any]:
    """Write the end."""
    return {"kind": "closed", "why": why, "evidence": {"outcome": outcome}}


def said(*entries: dict[str, Any], problems: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Give the lines by their names."""
    found: dict[str, list[str]] = {}
    for name, text in why_lines("3682db11-aa", record(*entries), problems=problems):
        found.setdefault(name, []).append(text)
    return found


def test_a_rollback_names_the_verdict_that_decided_and_where_it_is() -> None:
    """With its numbers once, what was approved, what had the traffic, and where the time went."""
    end = closed("rolled_back", f"at 25 %: {NUMBERS}. Production is back on 1.1")
    found = said(OPENED, REVIEW, ASKED, ANSWER, *UP, {**VERDICT, "evidence": {"outcome": "failed"}}, *BACK, end)
    assert found == {
        "release 3682db11": ["shop 1.2 after 1.1: rolled back"],
        "asked for": ["by rita on 2026-11-30 03:10 UTC: faster search"],
        "decision": [f"at 25 %: {NUMBERS}. Production is back on 1.1"],
        "evidence": ["Verdict at 25 %, failed (entry 7)"],
        "checks": ["1 of 1 passed"],
        "approval": ["ada approved: go; waited 2 min for people"],
        "traffic": ["production: 25 %, rolled back"],
        "took": ["9 min: worked 7 min, waited 2 min for people"],
        "record": ["intact, 10 entries; all of it: shipway report 3682db11, shipway logs 3682db11"],
    }


@pytest.mark.parametrize(
    ("entries", "name", "text"),
    [
        ([OPENED, REVIEW, ASKED], "now", "it waits: Asked ada to approve 1.2, question 1, until 2026-11-30 05:00 UTC"),
        ([OPENED, REVIEW, *UP, {**VERDICT, "evidence": {"outcome": "failed"}}, BACK[0]], "now", f"1.2 is rolled back: at 25 %: {NUMBERS}"),
        ([OPENED], "now", "It happened. faster search"),
        ([OPENED, REVIEW, closed("skipped", "it is 5 min too late")], "decision", "it is 5 min too late"),
        ([OPENED, REVIEW, *UP, {**VERDICT, "evidence": {"outcome": "passed"}}, closed("deployed", "1.2 serves")], "evidence",
         f"Verdict at 25 %, passed: {NUMBERS} (entry 5)"),
        ([OPENED, {"kind": "refused", "name": "decision", "what": "The gate is rejected", "why": "ada: no"}, closed("refused", "x")],
         "evidence",
         "The gate is rejected: ada: no (entry 2)"),
        ([{**OPENED, "evidence": {"flow": "rollback", "restored": []}},
          {"kind": "rollback", "name": "bad version", "what": "1.2 is the bad version", "why": "production 1.2"},
          closed("rolled_back", "back on 1.1")], "evidence", "1.2 is the bad version: production 1.2 (entry 2)"),
        ([{**OPENED, "evidence": {"flow": "release", "kind": "fix", "because_of": "r1"}}], "asked for",
         "by rita on 2026-11-30 03:10 UTC, as a fix of what r1 brought: faster search"),
        ([OPENED, *UP, {**BACK[1], "evidence": {"outcome": "failed"}}, closed("failed", "x")],
         "traffic", "production: 25 %, ROLLBACK FAILED"),
    ],
)  # fmt: skip
def test_each_way_that_a_run_can_stand_is_said(entries: list[dict[str, Any]], name: str, text: str) -> None:
    """A run that waits, goes on, is rolled back just now, was skipped, deployed or refused, and a rollback on demand."""
    assert said(*entries)[name] == [text]


GATE = "script-production-deploy-1"
WRONG: dict[str, Any] = {
    "kind": "refused", "name": f"{GATE} answer 1", "what": "An answer from ada: wrong code",
    "evidence": {"answer": 1, "outcome": "wrong_code"},
}  # fmt: skip
PRINTED: dict[str, Any] = {
    "kind": "note", "environment": "production", "name": f"{GATE} failed", "what": "deploy 1.2 failed", "why": "it ended with 7",
    "evidence": {"act": "deploy 1.2", "runs": 1, "log": ["no such host"]},
}  # fmt: skip
AGAIN: dict[str, Any] = {
    "kind": "gate", "name": f"{GATE} decision", "what": "deploy 1.2 is run again", "why": "ada",
    "evidence": {"may_run_again": True, "proofs": []},
}  # fmt: skip


def test_the_question_of_a_script_reads_as_that_of_any_gate() -> None:
    """Its entries carry its name before theirs: a wrong code is not evidence, a script that failed is, and its decision is the approval."""
    verdict = {**VERDICT, "evidence": {"outcome": "passed"}}
    deployed = said(OPENED, REVIEW, PRINTED, WRONG, AGAIN, *UP, verdict, closed("deployed", "1.2 serves"))
    assert deployed["evidence"] == [f"Verdict at 25 %, passed: {NUMBERS} (entry 8)"]
    assert deployed["approval"] == ["deploy 1.2 is run again: ada"]
    back = said(OPENED, REVIEW, PRINTED, WRONG, closed("rolled_back", "production is back"))
    assert back["evidence"] == ["deploy 1.2 failed: it ended with 7 (entry 3)"]


def test_a_broken_record_is_said_even_if_nothing_of_it_can_be_read() -> None:
    """Loudly, as the other lines may be forged."""
    assert said(problems=("entry 1 cannot be trusted",))["record"][0].startswith("BROKEN, do not rely on the lines above: entry 1")
    assert said(OPENED, problems=("x",))["record"][0].startswith("BROKEN")


def test_a_record_whose_seals_could_not_be_checked_is_not_called_intact() -> None:
    """Anyone can write a whole chain without the key; that it is broken comes first."""
    (line,) = [text for name, text in why_lines("r1", record(OPENED), unchecked="the key is not here") if name == "record"]
    assert line.startswith("a whole chain of 1 entries, but seals NOT checked: the key is not here; all of it:")
    (line,) = [text for name, text in why_lines("r1", record(OPENED), problems=["x"], unchecked="y") if name == "record"]
    assert line.startswith("BROKEN")


@given(st.lists(st.sampled_from([REVIEW, ASKED, ANSWER, *UP, VERDICT, *BACK, closed("failed", "x")]), max_size=12), st.data())
def test_there_are_never_more_than_ten_lines(entries: list[dict[str, Any]], data: st.DataObject) -> None:
    """Whatever the record says in whichever order, each is one line."""
    words = data.draw(st.text(max_size=40))
    found = why_lines("r1", record({**OPENED, "why": words}, *({**one, "what": words} for one in entries)))
    assert len(found) <= 10
    assert [line for line in found if len(line.text.splitlines()) > 1] == []
