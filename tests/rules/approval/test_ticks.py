"""Ticks of a checklist: who may tick what, with which evidence, and that a proof counts for its own ticks alone."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from blocks import secret_text
from tasks.rules.approval import one_time_codes
from tasks.rules.approval.answers import AnswerVerdict, Secret, judge_answer, read_answer
from tasks.rules.approval.gates import Gate
from tasks.rules.approval.proofs import ApprovedAction, Proof, Trust
from tasks.rules.approval.statement import extended
from tasks.rules.approval.ticks import (
    Tick,
    Ticked,
    evidence_fault,
    evidence_of,
    form_of,
    gate_name,
    gate_of_ticks,
    open_items,
    read_tick,
    read_ticks,
    ticks_digest,
    ticks_fault,
    ticks_problems,
    ticks_text,
)
from tasks.rules.approval.ticks_form import Progress, checklist_in_words, progress_page, ticks_form, waits_for_ticks
from tasks.rules.plan.checklist import TickedItem
from tasks.rules.record.entries import Entry, chain

NOW = datetime(2026, 3, 2, 14, 0, 7, tzinfo=UTC)
KEY = bytes(range(32))
ENTRIES = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("anna", "ben", "eve")}
SECRETS = {name: Secret(SecretStr(base64.b32encode(name.encode().ljust(35)).decode()), entry) for name, entry in ENTRIES.items()}
DIGEST = "ab" * 32
ITEMS = [
    TickedItem(name="backup", text="A backup was made and read", who=["anna"], evidence="link", skipped_by=["ben"]),
    TickedItem(name="call-centre", text="The call centre knows", who=["anna", "ben"]),
    TickedItem(name="load", text="The load was measured", who=["ben"], evidence="number", required=False),
]
GATE = Gate(
    run="run-1", name="checklist-production", digest=DIGEST, service="shop", version="1.1", nonce="0f" * 16, requester="",
    opened_at=NOW - timedelta(minutes=5), expires_at=NOW + timedelta(hours=1), approvers=("anna", "ben"),
)  # fmt: skip
BACKUP, CALL = Tick(item="backup", did="done", evidence="https://x/1"), Tick(item="call-centre", did="done")
NAMES, WAYS = st.sampled_from(["backup", "call-centre", "load"]), st.sampled_from(["done", "skipped"])
TICKS = st.lists(st.builds(Tick, item=NAMES, did=WAYS, evidence=st.text("ab =/", max_size=9)), min_size=1, max_size=4)


def ssh_of(name: str, statement: bytes) -> str:
    """Stand in for ssh-keygen."""
    return hashlib.sha256(f"{name}'s own key".encode() + statement).hexdigest() + "\n"


def check_signature(name: str, statement: bytes, signature: str) -> str:
    """Stand in for ssh-keygen."""
    return "" if signature == ssh_of(name, statement) else "incorrect signature"


def code_for(name: str, ticks: list[Tick], *, gate: Gate = GATE) -> str:
    """Compute the code that a person types for these ticks."""
    return one_time_codes.code_of(SECRETS[name].value, extended(gate.asked().challenge("approve"), ticks_text(ticks)))


def judge(name: str, ticks: list[Tick], *, gate: Gate = GATE, **form: str) -> AnswerVerdict:
    """Judge an answer with these ticks."""
    given = form or {"code": code_for(name, ticks, gate=gate)}
    answer = read_answer({"decision": "approve", "approver": name, **given}, received_at=NOW)
    return judge_answer(
        gate_of_ticks(gate, ticks, ITEMS), answer, enrolled=SECRETS, check_signature=check_signature, wrong_last_hour={}, proofs=(),
        key=KEY, now=NOW,
    )  # fmt: skip


def proof_of(name: str, ticks: list[Tick], *, gate: Gate = GATE) -> Proof:
    """Let a person tick well."""
    proof = judge(name, ticks, gate=gate).proof
    assert proof is not None
    return proof


def entries_of(*answers: tuple[list[Tick], Proof]) -> list[Entry]:
    """Write the record of answers."""
    found: list[Entry] = []
    for ticks, proof in answers:
        for tick in ticks:
            evidence = evidence_of(tick, ticks, proof)
            found.append(
                chain(found[-1] if found else None, at=NOW, kind="tick", who=proof.approver, what="x", name=tick.item, evidence=evidence)
            )
    return found


def problems(
    entries: list[Entry], *, digest: str = DIGEST, run: str = "run-1", enrolled: Any = ENTRIES, signatures: Any = "accepted"
) -> list[str]:
    """Verify the ticks of a record."""
    subject, trust = ApprovedAction(run, "", "shop", "1.1", digest), Trust(KEY, enrolled, check_signature, signatures)
    return ticks_problems(entries, items=ITEMS, subject=subject, trust=trust, round=1)[0]


GOOD = entries_of(([BACKUP, CALL], proof_of("anna", [BACKUP, CALL])))


@pytest.mark.parametrize(
    ("name", "ticks", "done", "outcome", "words"),
    [
        ("anna", [], {}, "malformed", "nothing is ticked"),
        ("anna", [BACKUP, BACKUP], {}, "malformed", "twice"),
        ("anna", [Tick(item="other", did="done")], {}, "malformed", "no item other"),
        ("ben", [BACKUP], {}, "not_allowed", "ben may not tick backup; the plan lets anna"),
        ("ben", [CALL, BACKUP], {}, "not_allowed", "may not tick backup"),
        ("", [CALL], {}, "not_allowed", "an unknown person"),
        ("anna", [Tick(item="backup", did="skipped", evidence="no time")], {}, "not_allowed", "may not skip backup; the plan lets ben"),
        ("ben", [Tick(item="backup", did="skipped")], {}, "malformed", "only with a reason"),
        ("ben", [Tick(item="call-centre", did="skipped", evidence="closed")], {}, "not_allowed", "no one"),
        ("anna", [Tick(item="backup", did="done")], {}, "malformed", "a link is asked for"),
        ("ben", [Tick(item="load", did="done", evidence="much")], {}, "malformed", "a number is asked for"),
        ("ben", [CALL], {"call-centre": Ticked("done", "anna", NOW, "")}, "already_answered", "done already, by anna"),
    ],
)
def test_what_does_not_count_is_refused_with_its_reason(name: str, ticks: list[Tick], done: Any, outcome: str, words: str) -> None:
    """Whatever the proof is: unknown items, the wrong person, twice, without what is asked for."""
    found = ticks_fault(ticks, name, items=ITEMS, done=done)
    assert found is not None
    assert (found[0], words in found[1]) == (outcome, True), found


def test_a_tick_that_holds_a_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is kept as it was said, since the proof is over it: a mask in it would void the tick later."""
    monkeypatch.setattr(secret_text, "_known", {"hunter2hunter2"})
    found = ticks_fault([Tick(item="call-centre", did="done", evidence="they know hunter2hunter2")], "ben", items=ITEMS, done={})
    assert found == ("malformed", "call-centre: what is written there holds a secret; say it without")


@pytest.mark.parametrize(
    ("name", "ticks"),
    [
        ("anna", [BACKUP, CALL]),
        ("Anna ", [CALL]),
        ("ben", [Tick(item="backup", did="skipped", evidence="there is nothing to lose yet")]),
        ("ben", [Tick(item="load", did="done", evidence="42 ms")]),
    ],
)
def test_ticks_of_the_right_person_may_count(name: str, ticks: list[Tick]) -> None:
    """Several at once, too."""
    assert ticks_fault(ticks, name, items=ITEMS, done={}) is None


@pytest.mark.parametrize(
    ("evidence", "good", "bad"),
    [
        ("none", ["", "a word"], []),
        ("link", ["https://ci.example/7", "http://x/"], ["", "ci.example/7", "ftp://x/", "https:// x", "javascript:1"]),
        ("number", ["42", "-3.5", "3,5 s", "12 %"], ["", "many", "4 2 1", "1" * 16]),
        ("note", ["called Eve"], [""]),
    ],
)
def test_a_tick_carries_what_its_item_asks_for(evidence: Any, good: list[str], bad: list[str]) -> None:
    """A link, a number, a note."""
    item = TickedItem(name="backup", text="x", who=["anna"], evidence=evidence)
    assert [one for one in good if evidence_fault(Tick(item="backup", did="done", evidence=one), item)] == []
    assert [one for one in bad if not evidence_fault(Tick(item="backup", did="done", evidence=one), item)] == []


def test_a_code_or_a_signature_over_the_ticks_proves_them() -> None:
    """As at the gate; the proof is over the digest of release and ticks."""
    proof = proof_of("anna", [CALL, BACKUP])
    assert proof.digest == ticks_digest(DIGEST, [BACKUP, CALL])
    statement = gate_of_ticks(GATE, [CALL], ITEMS).asked().statement("approve", "ben")
    assert judge("ben", [CALL], signature=ssh_of("ben", statement)).outcome == "accepted"


@given(TICKS, TICKS)
def test_a_proof_of_ticks_counts_for_no_other_ticks(given_for: list[Tick], posted: list[Tick]) -> None:
    """Who can change what was posted, an item, `done` or `skipped`, a word of evidence, has no code and no signature for that."""
    same = ticks_text(given_for) == ticks_text(posted)
    assert (code_for("anna", given_for) == code_for("anna", posted)) == same
    asked = [gate_of_ticks(GATE, ticks, ITEMS).asked().statement("approve", "anna") for ticks in (given_for, posted)]
    assert (asked[0] == asked[1]) == same


@pytest.mark.parametrize(
    ("form", "outcome"),
    [
        ({"code": code_for("anna", [CALL])}, "wrong_code"),
        ({"code": one_time_codes.code_of(SECRETS["anna"].value, GATE.asked().challenge("approve"))}, "wrong_code"),
        ({"code": code_for("anna", [BACKUP], gate=GATE.model_copy(update={"nonce": "1f" * 16}))}, "wrong_code"),
        ({"code": code_for("anna", [BACKUP], gate=GATE.model_copy(update={"run": "run-2"}))}, "wrong_code"),
        ({"code": ""}, "malformed"),
        ({"signature": ssh_of("anna", GATE.asked().statement("approve", "anna"))}, "wrong_signature"),
        ({"signature": ssh_of("ben", gate_of_ticks(GATE, [BACKUP], ITEMS).asked().statement("approve", "anna"))}, "wrong_signature"),
    ],
)
def test_a_forged_tick_is_refused(form: dict[str, str], outcome: str) -> None:
    """The code of another item, of the bare question, of another question or release; no code; the signature of another, or of less."""
    assert judge("anna", [BACKUP], **form).outcome == outcome


def test_a_person_who_may_not_is_refused_by_the_proof_too() -> None:
    """The rule of the gate knows who may tick these; a skip is of those who may skip."""
    assert judge("eve", [CALL]).outcome == "not_allowed"
    assert judge("ben", [BACKUP]).outcome == "not_allowed"
    assert judge("anna", [Tick(item="backup", did="skipped", evidence="x")]).outcome == "not_allowed"


def test_a_policy_that_requires_signatures_requires_them_for_ticks() -> None:
    """A code does not count then, neither when it is given nor when it is verified again."""
    assert judge("anna", [CALL], gate=GATE.model_copy(update={"signatures": "required"})).outcome == "signature_required"
    assert all("an SSH signature is required" in one for one in problems(GOOD, signatures="required"))


def test_ticks_of_the_record_are_verified_again() -> None:
    """All required items are proved; an optional one is not asked for."""
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("entries", "how", "words"),
    [
        ([], {}, ["backup: it is not ticked", "call-centre: it is not ticked"]),
        (GOOD[1:], {}, ["backup: it is not ticked"]),
        (GOOD, {"digest": "cd" * 32}, ["backup: proof 1: is for digest", "call-centre: proof 1: is for digest"]),
        (GOOD, {"run": "run-2"}, ["backup: proof 1: is for run run-1", "call-centre: proof 1: is for run run-1"]),
        (GOOD, {"enrolled": {}}, ["backup: proof 1: anna is not enrolled", "call-centre: proof 1: anna is not enrolled"]),
        (
            GOOD,
            {"enrolled": {"anna": "0" * 64}},
            ["backup: proof 1: anna has another secret", "call-centre: proof 1: anna has another secret"],
        ),
        (
            entries_of(([BACKUP], proof_of("anna", [BACKUP])), ([CALL], proof_of("anna", [BACKUP]))),
            {},
            ["call-centre: proof 1: is for digest"],
        ),
        (
            entries_of(([BACKUP, CALL], proof_of("anna", [BACKUP, CALL], gate=GATE.model_copy(update={"name": "production"})))),
            {},
            ["backup: its proof is for gate production", "call-centre: its proof is for gate production"],
        ),
        (
            entries_of(([BACKUP, CALL], proof_of("anna", [BACKUP, CALL]).model_copy(update={"signature": "0" * 64}))),
            {},
            ["backup: proof 1: its signature is not valid", "call-centre: proof 1: its signature is not valid"],
        ),
        (
            entries_of(([CALL], proof_of("ben", [CALL])), ([BACKUP], proof_of("anna", [BACKUP]).model_copy(update={"approver": "ben"}))),
            {},
            ["backup: proof 1: its signature is not valid"],
        ),
    ],
)
def test_an_entry_alone_is_believed_for_no_tick(entries: list[Entry], how: Any, words: list[str]) -> None:
    """Missing, of another digest, run, gate or item, of a person who left or has another secret, altered: each is named with its item."""
    found = problems(entries, **how)
    assert len(found) == len(words), found
    assert all(one.startswith(word) for one, word in zip(found, words, strict=True)), found


def test_an_entry_whose_json_is_not_that_of_ticks_is_a_problem() -> None:
    """Anything that cannot be read is never a tick."""
    broken = [
        chain(None, at=NOW, kind="tick", who="x", what="x", name="backup", evidence={"item": "backup", **evidence})
        for evidence in ({}, {"ticks": 7, "proof": {}}, {"ticks": [{"item": 1}]}, {"ticks": [BACKUP.model_dump()], "proof": "yes"})
    ]
    assert all(problems([one])[0].startswith("backup: ") for one in broken)


@given(st.text("ab=- é\n", max_size=40), st.text(max_size=40))
def test_a_tick_reads_the_same_from_the_form_and_from_the_command(name: str, evidence: str) -> None:
    """What is bound is the text as it prints, so that one code is right for both."""
    del name
    typed = read_tick(f"backup={evidence}")
    assert typed is not None
    assert read_ticks(form_of([typed]), ITEMS) == (typed,)
    assert read_ticks({"tick_backup": "done", "evidence_backup": evidence}, ITEMS) == (typed,)


@pytest.mark.parametrize(
    "form", [None, "text", [], {"tick_backup": True}, {"tick_backup": "DONE"}, {"tick_backup": ["done"]}, {"backup": "done"}]
)
def test_what_cannot_be_read_ticks_nothing(form: object) -> None:
    """A form is untrusted."""
    assert read_ticks(form, ITEMS) == ()


def test_too_much_evidence_is_not_cut_but_refused() -> None:
    """What would be kept is not what was proved."""
    assert read_tick(f"backup={'x' * 301}") is None
    assert read_ticks({"tick_backup": "done", "evidence_backup": "x" * 301}, ITEMS) == ()


def test_what_is_open_and_the_gates_name() -> None:
    """Required items are waited for; each round asks anew."""
    assert [item.name for item in open_items(ITEMS, {"backup"})] == ["call-centre", "load"]
    assert [item.name for item in open_items(ITEMS, {"backup"}, required=True)] == ["call-centre"]
    assert (gate_name("staging", 1), gate_name("production", 2)) == ("checklist-staging", "checklist-production-round-2")
    assert GATE.asked().is_checklist


DONE = {"backup": Ticked("done", "anna", NOW, "https://x/1")}
PROGRESS = Progress("production", ITEMS, DONE, (("tests_passed", "3 of 3"), ("disk", "exited 0")))


def test_progress_says_how_many_and_who_has_what() -> None:
    """In words for the terminal, from the record's last word about it."""
    asked = chain(None, at=NOW, kind="gate", who="shipway", what="x", name="q", evidence={"progress": PROGRESS.as_evidence()})
    words = "checklist before production: 3 of 5; backup done by anna; open: call-centre (anna or ben), load (ben, optional)"
    assert checklist_in_words([asked]) == words
    assert waits_for_ticks([asked])
    closed = chain(asked, at=NOW, kind="closed", who="shipway", what="x")
    assert (checklist_in_words([asked, closed]), waits_for_ticks([asked, closed]), checklist_in_words([])) == ("", False, "")


def test_the_form_shows_items_digest_and_challenge_and_no_text_of_others_as_markup() -> None:
    """The texts are the plan's, the evidence is anyone's."""
    done = {"backup": Ticked("done", "anna", NOW, "https://evil.example/![x](y)|</td>")}
    text = ticks_form(GATE, PROGRESS._replace(done=done), last_refusal="no | <b>")
    assert f"`{DIGEST}`" in text
    assert f"`{GATE.asked().challenge('approve')}`" in text
    assert "**call\\-centre**" in text
    assert "https://evil" not in text
    assert "<" not in text.replace("\\<", "")
    page = progress_page(PROGRESS._replace(done=done), title="shop 1.1 https://evil.example/x <b>")
    assert "3 of 5" in page
    assert "https://evil" not in page
    assert "<" not in page.replace("\\<", "")


def test_a_long_checklist_is_cut_with_what_is_left_out() -> None:
    """The form stays one that the UI shows."""
    items = [TickedItem(name=f"i{number}", text="x" * 200, who=["anna"], rollback="-" * 200) for number in range(30)]
    text = ticks_form(GATE, Progress("production", items, {}))
    assert len(text) < 12_100
    assert "more |" in text


@pytest.mark.parametrize(
    ("before", "gate", "holds"),
    [
        ("production", "checklist-production", True),
        ("staging", "checklist-production", True),  # production alone asks for both
        ("production", "checklist-closing", False),
        ("closing", "checklist-closing", True),
        ("closing", "checklist-production", False),
        ("closing", "checklist-closing-round-2", False),
    ],
)
def test_what_was_ticked_after_the_deployment_counts_for_nothing_before_it(before: Any, gate: str, *, holds: bool) -> None:
    """Nor the other way round; each round asks anew."""
    item = ITEMS[1].model_copy(update={"before": before})
    entries = entries_of(([CALL], proof_of("anna", [CALL], gate=GATE.model_copy(update={"name": gate}))))
    subject, trust = ApprovedAction("run-1", "", "shop", "1.1", DIGEST), Trust(KEY, ENTRIES, check_signature, "accepted")
    assert (ticks_problems(entries, items=[item], subject=subject, trust=trust, round=1)[0] == []) == holds
