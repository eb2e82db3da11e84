"""The policy of approvals: whose answer counts, which code is good, when a gate is decided."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from tasks.rules.approval import one_time_codes
from tasks.rules.approval.answers import Answer, AnswerVerdict, Secret, judge_answer, printable, read_answer
from tasks.rules.approval.gates import Gate, gate_state
from tasks.rules.approval.proofs import ApprovedAction, Proof, Trust, same_person, verify_proofs
from tasks.rules.plan.request import requester_fault
from tasks.rules.plan.types import PERSON

NOW = datetime(2026, 3, 2, 14, 0, 7, tzinfo=UTC)
KEY = bytes(range(32))
ENTRIES = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("anna", "ben", "carl", "rita", "eve")}
SECRETS = {name: Secret(SecretStr(base64.b32encode(name.encode().ljust(35)).decode()), entry) for name, entry in ENTRIES.items()}
GATE = Gate(
    run="0b3f6f0e-run",
    name="production",
    digest="ab" * 32,
    service="guestbook",
    version="1.1",
    nonce="0f" * 16,
    requester="rita",
    opened_at=NOW - timedelta(minutes=5),
    expires_at=NOW + timedelta(hours=1),
    approvers=("anna", "ben", "carl", "rita"),
    quorum=2,
)


def code_of(name: str, decision: str = "approve", *, gate: Gate = GATE) -> str:
    """Compute the code of a person."""
    return one_time_codes.code_of(SECRETS[name].value, gate.asked().challenge(decision))


def answer_of(
    name: str, *, decision: str = "approve", code: str | None = None, at: datetime = NOW, gate: Gate = GATE, **more: str
) -> Answer:
    """Fill the form."""
    given = code_of(name.strip().lower(), decision, gate=gate) if code is None else code
    return read_answer({"decision": decision, "approver": name, "code": given, **more}, received_at=at)


def signed_of(name: str, *, decision: str = "approve", comment: str = "", gate: Gate = GATE, **more: str) -> Answer:
    """Sign with a person's own key."""
    signature = ssh_of(name, gate.asked().statement(decision, name, comment))
    form = {"decision": decision, "approver": name, "comment": comment, "signature": signature}
    return read_answer({**form, **more}, received_at=NOW)


def ssh_of(name: str, statement: bytes) -> str:
    """Stand in for ssh-keygen: a signature is the hash of what a person says."""
    return hashlib.sha256(f"{name}'s own key".encode() + statement).hexdigest() + "\n"


def check_signature(name: str, statement: bytes, signature: str) -> str:
    """Stand in for ssh-keygen."""
    return "" if signature == ssh_of(name, statement) else "incorrect signature"


def judge(
    answer: Answer,
    *,
    gate: Gate = GATE,
    proofs: tuple[Proof, ...] = (),
    wrong: Mapping[str, int] | None = None,
    now: datetime = NOW,
) -> AnswerVerdict:
    """Judge with the usual people."""
    return judge_answer(
        gate, answer, enrolled=SECRETS, check_signature=check_signature, wrong_last_hour=wrong or {}, proofs=proofs, key=KEY, now=now
    )


def proof_of(name: str, *, decision: str = "approve", gate: Gate = GATE) -> Proof:
    """Let a person answer well."""
    proof = judge(answer_of(name, decision=decision, gate=gate), gate=gate).proof
    assert proof is not None
    return proof


def wrong_code_of(name: str, decision: str = "approve") -> str:
    """Find eight digits that do not answer."""
    return f"{(int(code_of(name, decision)) + 1) % 10**8:08d}"


def test_a_good_approval_is_accepted_with_a_signed_and_bound_proof() -> None:
    """The proof names run, gate, question, service, version, digest and person, and carries our seal."""
    judgement = judge(answer_of(" Anna ", comment="looks well"))
    assert judgement.outcome == "accepted"
    proof = judgement.proof
    assert proof is not None
    assert proof.is_signed_by(KEY)
    assert (proof.run, proof.gate, proof.question, proof.digest) == (GATE.run, "production", 1, GATE.digest)
    assert (proof.service, proof.version) == ("guestbook", "1.1")
    assert (proof.kind, proof.approver, proof.decision, proof.comment) == ("code", "anna", "approve", "looks well")


def test_a_signature_of_ones_own_is_accepted_and_kept_as_the_proof() -> None:
    """Also from a person who has no secret for codes, where codes do not count, and after ten wrong codes of others."""
    gate = GATE.model_copy(update={"approvers": ("anna", "zoe"), "signatures": "required"})
    judgement = judge(signed_of("zoe", comment="seen", gate=gate), gate=gate, wrong={"zoe": 10})
    assert judgement.proof is not None
    assert (judgement.outcome, judgement.proof.kind) == ("accepted", "ssh")
    assert judgement.proof.signature == ssh_of("zoe", judgement.proof.statement())


def test_a_rejection_with_a_right_proof_counts_after_any_number_of_wrong_codes() -> None:
    """Who guesses at a person's codes must not keep that person from stopping a release; a wrong rejection still does not count."""
    assert judge(answer_of("anna", decision="reject"), wrong={"anna": 99}).outcome == "rejected"
    assert judge(signed_of("anna", decision="reject"), wrong={"anna": 99}).outcome == "rejected"
    assert judge(answer_of("anna", decision="reject", code=wrong_code_of("anna", "reject")), wrong={"anna": 99}).outcome == "throttled"


OTHERS: dict[str, Any] = {
    "run": "another-run",
    "name": "staging",
    "question": 2,
    "digest": "cd" * 32,
    "service": "billing",
    "version": "1.2",
    "nonce": "f0" * 16,
}


@pytest.mark.parametrize("field", OTHERS)
@pytest.mark.parametrize("made", [answer_of, signed_of])
def test_a_proof_for_one_question_answers_no_other(field: str, made: Any) -> None:
    """Whatever single field of the question differs: the code given for service A was once taken for service B."""
    other = GATE.model_copy(update={field: OTHERS[field]})
    assert judge(made("anna", gate=other), gate=other).proof is not None
    assert judge(made("anna"), gate=other).proof is None


@pytest.mark.parametrize("made", [answer_of, signed_of])
@pytest.mark.parametrize(("said", "bent"), [("approve", "reject"), ("reject", "approve")])
def test_a_proof_of_one_decision_is_none_of_the_other(made: Any, said: str, bent: str) -> None:
    """A stored rejection was once replaced by an approval with the code that was given."""
    answer = made("anna", decision=said)
    assert judge(answer.model_copy(update={"decision": bent})).proof is None
    assert judge(answer.model_copy(update={"approver": "ben"})).proof is None


def test_the_comment_is_bound_to_a_signature() -> None:
    """Not to a code, which is computed before it is written."""
    assert judge(signed_of("anna", comment="not before ten").model_copy(update={"comment": "go"})).outcome == "wrong_signature"
    assert judge(answer_of("anna", comment="not before ten").model_copy(update={"comment": "go"})).outcome == "accepted"


LATE = NOW + timedelta(hours=1)
REFUSALS = {
    "an unknown person": ("not_allowed", {"answer": answer_of("mallory", code="12345678")}),
    "a listed person who is not enrolled": (
        "unknown_person",
        {"answer": answer_of("zoe", code="12345678"), "gate": GATE.model_copy(update={"approvers": ("zoe",)})},
    ),
    "a code where signatures are required": (
        "signature_required",
        {"answer": answer_of("anna"), "gate": GATE.model_copy(update={"signatures": "required"})},
    ),
    "another person's signature": ("wrong_signature", {"answer": signed_of("ben").model_copy(update={"approver": "anna"})}),
    "a wrong signature beside a good code": ("wrong_signature", {"answer": answer_of("anna", signature="-----BEGIN")}),
    "a wrong code": ("wrong_code", {"answer": answer_of("anna", code=wrong_code_of("anna"))}),
    "another person's code": ("wrong_code", {"answer": answer_of("anna", code=code_of("ben"))}),
    "a late answer": ("late", {"answer": answer_of("anna", at=LATE), "now": LATE}),
    "an answer no one read for hours": ("late", {"answer": answer_of("anna"), "now": NOW + timedelta(hours=2)}),
    "the requester": ("requester", {"answer": answer_of("rita")}),
    "the requester in capitals": ("requester", {"answer": answer_of("RITA", code=code_of("rita"))}),
    "an enrolled person whom the plan does not list": ("not_allowed", {"answer": answer_of("eve")}),
    "a rejection by someone whom the plan does not list": ("not_allowed", {"answer": answer_of("eve", decision="reject")}),
    "an answer after a rejection": ("already_answered", {"answer": answer_of("anna"), "proofs": (proof_of("ben", decision="reject"),)}),
    "a second approval of one person": ("already_answered", {"answer": answer_of("anna"), "proofs": (proof_of("anna"),)}),
    "an answer after the quorum": ("already_answered", {"answer": answer_of("carl"), "proofs": (proof_of("anna"), proof_of("ben"))}),
    "a code of six digits": ("malformed", {"answer": answer_of("anna", code="123456")}),
    "Arabic-Indic digits": ("malformed", {"answer": answer_of("anna", code="١٢٣٤٥٦٧٨")}),
    "another decision": ("malformed", {"answer": answer_of("anna", decision="maybe")}),
    "no name": ("malformed", {"answer": answer_of("", code="12345678")}),
    "an answer from the future": ("malformed", {"answer": answer_of("anna", at=NOW + timedelta(minutes=5))}),
    "no form at all": ("malformed", {"answer": read_answer(None, received_at=NOW)}),
    "a form of numbers": ("malformed", {"answer": read_answer({"decision": 1, "approver": ["anna"], "code": 123456}, received_at=NOW)}),
    "guessing over many releases": ("throttled", {"answer": answer_of("anna"), "wrong": {"anna": 10}}),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_an_answer_that_does_not_count_leaves_no_proof_and_says_why(case: str) -> None:
    """Every fault has its own outcome and a reason, and never a proof."""
    outcome, arguments = REFUSALS[case]
    judgement = judge(**arguments)
    assert judgement.outcome == outcome
    assert judgement.reason
    assert judgement.proof is None


def test_only_a_wrong_code_counts_against_the_gate() -> None:
    """Typing faults and policy do not lock a gate; guessing does."""
    counted = {outcome for outcome, arguments in REFUSALS.values() if judge(**arguments).is_wrong_code}
    assert counted == {"wrong_code"}


def test_the_requester_may_take_the_request_back_with_a_good_code() -> None:
    """A rejection by the requester counts, with a code, listed or not."""
    unlisted = GATE.model_copy(update={"approvers": ("anna", "ben")})
    assert judge(answer_of("rita", decision="reject", gate=unlisted), gate=unlisted).outcome == "rejected"
    assert judge(answer_of("rita", decision="reject", code=wrong_code_of("rita", "reject"))).outcome == "wrong_code"


@pytest.mark.parametrize("requester", ["anna.", "Anna ", "anna@example.com", "a.nna", "an\u200bna", "ＡＮＮＡ"])
def test_no_one_approves_what_the_same_person_requested_under_another_spelling(requester: str) -> None:
    """A requester called `anna.` was once approved by `anna`: neither her answer nor her proof counts now."""
    gate = GATE.model_copy(update={"requester": requester, "quorum": 1})
    assert judge(answer_of("anna"), gate=gate).outcome == "requester"
    proof = judge(answer_of("anna"), gate=GATE).proof
    assert proof is not None
    assert gate_state(gate, [proof], wrong_codes=0, now=NOW).state == "open"
    problems = verify_proofs(
        [proof],
        subject=ApprovedAction(gate.run, gate.name, gate.service, gate.version, gate.digest),
        trust=Trust(KEY, ENTRIES, check_signature),
        approvers=gate.approvers,
        quorum=1,
        requester=requester,
    )
    assert problems
    assert judge(answer_of("ben", gate=gate), gate=gate).outcome == "accepted"


@given(name=st.from_regex(PERSON, fullmatch=True), sign=st.characters())
def test_no_requester_that_is_accepted_looks_like_an_approver_and_compares_unequal(name: str, sign: str) -> None:
    """One more character anywhere, or a letter's look-alike, is refused as a name, is the same person, or changes a letter or digit."""
    for at in range(len(name) + 1):
        other = name[:at] + sign + name[at:]
        visible = sign.isascii() and sign.isalnum()
        inside = "@" in other
        assert requester_fault(other) is not None or same_person(name, other) or visible or inside, other


CONFIRMED = GATE.model_copy(update={"requester_confirms": True, "approvers": ("anna", "ben", "carl")})


@given(st.lists(st.tuples(st.sampled_from(["anna", "ben", "carl", "rita", "eve"]), st.booleans()), max_size=7))
def test_where_the_requester_is_proved_a_gate_opens_only_with_their_own_answer_beside_enough_others(votes: list[tuple[str, bool]]) -> None:
    """The confirmation is not an approval, and no number of approvals is a confirmation."""
    proofs: tuple[Proof, ...] = ()
    for name, approves in votes:
        judgement = judge(answer_of(name, decision="approve" if approves else "reject", gate=CONFIRMED), gate=CONFIRMED, proofs=proofs)
        proofs += (judgement.proof,) if judgement.proof else ()
    state = gate_state(CONFIRMED, proofs, wrong_codes=0, now=NOW)
    agreed = {proof.approver for proof in proofs if proof.decision == "approve"}
    against = any(proof.decision == "reject" for proof in proofs)
    complete = "rita" in agreed and len(agreed - {"rita"}) >= 2
    assert state.state == ("rejected" if against else "approved" if complete else "open")
    assert (state.missing, state.unconfirmed) == (max(0, 2 - len(agreed - {"rita"})), "rita" not in agreed)
    held = verify_proofs(
        proofs,
        subject=ApprovedAction(GATE.run, GATE.name, GATE.service, GATE.version, GATE.digest),
        trust=Trust(KEY, ENTRIES, check_signature),
        approvers=CONFIRMED.approvers,
        quorum=2,
        requester="rita",
        requester_confirms=True,
    )
    assert (held == []) == (state.state == "approved")


def test_a_gate_says_that_the_requester_must_confirm_and_that_it_was_done() -> None:
    """While others are missing, when no one else is, when it is over, and when it is passed."""
    both = (proof_of("anna", gate=CONFIRMED), proof_of("ben", gate=CONFIRMED))
    first = gate_state(CONFIRMED, both[:1], wrong_codes=0, now=NOW).reason
    assert "anna approved; 1 of 2 approvals missing, rita must confirm the request, until" in first
    assert "anna, ben approved; rita must confirm the request, until" in gate_state(CONFIRMED, both, wrong_codes=0, now=NOW).reason
    assert "2 of 2 approvals by 2026-03-02 15:00:07 UTC, and rita did not confirm the request" in (
        gate_state(CONFIRMED, both, wrong_codes=0, now=LATE).reason
    )
    done = gate_state(CONFIRMED, (*both, proof_of("rita", gate=CONFIRMED)), wrong_codes=0, now=NOW)
    assert (done.reason, done.approved_by) == ("approved by anna, ben; rita confirmed the request", ("anna", "ben"))


@pytest.mark.parametrize("name", ["ri.ta", "rita.", "rita@example.com"])
def test_a_requester_is_confirmed_only_under_the_very_name_of_the_request(name: str) -> None:
    """A look-alike of the requester is neither the requester nor another person."""
    gate = CONFIRMED.model_copy(update={"approvers": ("anna", "ben", name)})
    assert judge(answer_of(name, code="12345678", gate=gate), gate=gate).outcome == "requester"


def test_an_approver_may_take_an_approval_back_while_others_are_missing() -> None:
    """A rejection after one's own approval counts."""
    judgement = judge(answer_of("anna", decision="reject"), proofs=(proof_of("anna"),))
    assert judgement.outcome == "rejected"


def test_an_answer_that_is_judged_later_comes_out_the_same() -> None:
    """A worker that was away for minutes does not make a good code wrong, and the proof comes out the same."""
    first = judge(answer_of("anna"))
    later = judge(answer_of("anna"), now=NOW + timedelta(minutes=20))
    assert later == first


@given(st.lists(st.tuples(st.sampled_from(["anna", "ben", "carl", "rita", "eve"]), st.booleans()), max_size=6))
def test_a_gate_opens_only_for_enough_different_people(votes: list[tuple[str, bool]]) -> None:
    """Whatever is answered in whatever order, approved means two different listed people besides the requester, none against."""
    proofs: tuple[Proof, ...] = ()
    for step, (name, approves) in enumerate(votes):
        at = NOW + timedelta(minutes=step)
        judgement = judge(answer_of(name, decision="approve" if approves else "reject", at=at), proofs=proofs, now=at)
        proofs += (judgement.proof,) if judgement.proof else ()
    state = gate_state(GATE, proofs, wrong_codes=0, now=NOW + timedelta(minutes=6))
    agreed = {proof.approver for proof in proofs if proof.decision == "approve"}
    against = any(proof.decision == "reject" for proof in proofs)
    assert agreed <= {"anna", "ben", "carl"}
    assert state.state == ("rejected" if against else "approved" if len(agreed) >= 2 else "open")
    assert state.missing == max(0, 2 - len(agreed))


STATES = {
    "open": ((), 0, NOW, "2 of 2 approvals missing"),
    "approved": ((proof_of("anna"), proof_of("ben")), 9, LATE, "approved by anna, ben"),
    "rejected": ((proof_of("anna"), proof_of("ben"), proof_of("carl", decision="reject")), 0, NOW, "carl rejected"),
    "expired": ((proof_of("anna"),), 0, LATE, "1 of 2 approvals"),
    "locked": ((proof_of("anna"),), 5, NOW, "5 wrong codes"),
}


@pytest.mark.parametrize("state", STATES)
def test_a_gate_says_where_it_stands_and_why(state: str) -> None:
    """Each state comes with its reason and numbers."""
    proofs, wrong_codes, now, words = STATES[state]
    found = gate_state(GATE, proofs, wrong_codes=wrong_codes, now=now)
    assert found.state == state
    assert words in found.reason


def test_the_same_person_approving_twice_is_one_approval() -> None:
    """Two proofs of one person leave the gate open."""
    assert gate_state(GATE, (proof_of("anna"), proof_of("anna")), wrong_codes=0, now=NOW).missing == 1


@pytest.mark.parametrize("change", [{"digest": "cd" * 32}, {"run": "another"}, {"name": "staging"}])
def test_approvals_for_something_else_do_not_count(change: dict[str, str]) -> None:
    """When the world changed, the digest did, and what was approved is void."""
    proofs = (proof_of("anna"), proof_of("ben"))
    assert gate_state(GATE.model_copy(update=change), proofs, wrong_codes=0, now=NOW).state == "open"


def test_a_plan_that_asks_no_one_is_approved_and_says_so() -> None:
    """Quorum 0 is open about it."""
    state = gate_state(GATE.model_copy(update={"quorum": 0}), (), wrong_codes=0, now=NOW)
    assert (state.state, state.reason) == ("approved", "the plan does not require approval")


def test_a_comment_is_bounded_and_prints_on_one_line() -> None:
    """Controls, direction marks and line breaks are gone, and 500 characters are kept."""
    answer = answer_of("anna", comment="go\x1b[2J\u202e\r\n\ud800 on " + "x" * 9_000)
    assert answer.comment.startswith("go [2J on xxx")
    assert len(answer.comment) == 500


@given(st.text())
def test_printable_text_has_no_character_that_does_not_print(text: str) -> None:
    """Whatever goes in, one printable line comes out."""
    assert printable(text).isprintable()


@given(st.dictionaries(st.sampled_from(["decision", "approver", "code", "comment", "x"]), st.text() | st.integers() | st.none()))
def test_no_form_whatever_is_posted_is_approved_without_a_code(form: dict[str, object]) -> None:
    """Random forms never raise and never approve."""
    assert judge(read_answer(form, received_at=NOW)).proof is None


def test_moments_of_any_time_zone_are_told_in_utc() -> None:
    """A proof and a reason name UTC, so that two people read the same."""
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    proof = judge(answer_of("anna", at=there)).proof
    assert proof is not None
    assert proof.model_dump(mode="json")["at"] == "2026-03-02T14:00:07Z"


def test_a_gate_that_ends_before_it_opens_is_refused() -> None:
    """Such a gate could never be answered."""
    with pytest.raises(ValidationError, match="must expire after it opens"):
        Gate.model_validate({**GATE.model_dump(), "expires_at": GATE.opened_at})


@given(received=st.integers(-7_200, 7_200), read=st.integers(-7_200, 7_200))
def test_an_approval_counts_only_inside_its_gate_however_the_clocks_jump(received: int, read: int) -> None:
    """The server's clock when it came and the worker's when it is judged, each off by up to two hours, forward or back."""
    came, now = NOW + timedelta(seconds=received), NOW + timedelta(seconds=read)
    outcome = judge(answer_of("anna", at=came), now=now).outcome
    slack = timedelta(seconds=30)
    in_time = came < GATE.expires_at and min(came, now) >= GATE.opened_at - slack
    agreeing = came - now <= slack and now - came <= timedelta(hours=1)
    assert (outcome == "accepted") == (in_time and agreeing), (came, now, outcome)


@pytest.mark.parametrize("jump", [timedelta(hours=1), -timedelta(hours=1)], ids=["forward", "back"])
def test_a_clock_that_jumps_an_hour_and_comes_back_opens_no_gate(jump: timedelta) -> None:
    """Answered while it was wrong, the answer does not count once it is right; answered again, it does."""
    gate = GATE.model_copy(update={"expires_at": NOW + timedelta(minutes=30)})
    wrong = answer_of("anna", at=NOW + jump, gate=gate)
    assert judge(wrong, gate=gate, now=NOW).proof is None
    assert judge(wrong, gate=gate, now=NOW + jump).proof is None
    assert judge(answer_of("anna", gate=gate), gate=gate).outcome == "accepted"


SHORT = GATE.model_copy(update={"name": "window-1-until-20261201t010000"})


def test_wrong_codes_do_not_postpone_a_wave() -> None:
    """Anyone who may post answers could so let each window pass; guessing is bounded for each person."""
    state = gate_state(SHORT, [proof_of("anna", gate=SHORT)], wrong_codes=99, now=NOW)
    assert (state.state, state.missing) == ("open", 1)
    assert gate_state(GATE, [proof_of("anna")], wrong_codes=99, now=NOW).state == "locked"
    wrong = {"anna": 10}
    assert judge(answer_of("anna", gate=SHORT), gate=SHORT, wrong=wrong).outcome == "throttled"
    assert judge(answer_of("anna", decision="postpone", gate=SHORT), gate=SHORT, wrong=wrong).outcome == "postponed"
    assert judge(signed_of("anna", gate=SHORT), gate=SHORT, wrong=wrong).outcome == "accepted"


def test_one_person_postpones_where_that_is_asked_and_nowhere_else() -> None:
    """It is proved like the other answers, begins nothing, and a later rejection still ends the release."""
    assert judge(answer_of("anna", decision="postpone")).outcome == "malformed"
    found = judge(answer_of("anna", decision="postpone", gate=SHORT), gate=SHORT)
    assert (found.outcome, found.reason) == ("postponed", "anna said to wait")
    proof = proof_of("anna", decision="postpone", gate=SHORT)
    assert proof.is_signed_by(KEY)
    assert gate_state(SHORT, [proof], wrong_codes=0, now=NOW).state == "postponed"
    assert judge(answer_of("ben", gate=SHORT), gate=SHORT, proofs=(proof,)).outcome == "already_answered"
    rejected = proof_of("ben", decision="reject", gate=SHORT)
    assert gate_state(SHORT, [proof, rejected], wrong_codes=0, now=NOW).state == "rejected"
    both = [proof_of(name, gate=SHORT) for name in ("ben", "carl")]
    assert gate_state(SHORT, both, wrong_codes=0, now=NOW).state == "approved"
    assert gate_state(SHORT, [proof, *both], wrong_codes=0, now=NOW).state == "postponed"


def test_an_answer_to_postpone_approves_nothing() -> None:
    """Neither as a code for another decision, nor as a proof at any gate."""
    code = code_of("anna", "postpone", gate=SHORT)
    assert judge(answer_of("anna", code=code, gate=SHORT), gate=SHORT).outcome == "wrong_code"
    subject = ApprovedAction(SHORT.run, SHORT.name, SHORT.service, SHORT.version, SHORT.digest)
    trust = Trust(KEY, ENTRIES, check_signature)
    proofs = [proof_of("anna", decision="postpone", gate=SHORT)]
    found = verify_proofs(
        proofs, subject=subject, trust=trust, approvers=SHORT.approvers, quorum=1, requester="rita"
    )  # fmt: skip
    assert "anna said to wait" in found[0]
