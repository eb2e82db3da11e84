"""The policy of leaving a host out: as many people as would approve, each with a proof of that very decision."""

from __future__ import annotations

import pytest

from tasks.rules.approval.gates import gate_state
from tasks.rules.approval.proofs import ApprovedAction, Trust, verify_proofs
from tests.rules.approval.test_answers import ENTRIES, GATE, KEY, NOW, answer_of, check_signature, code_of, judge, proof_of, signed_of

HOST = GATE.model_copy(update={"name": "script-host-production-deploy-on-web-3-1"})
ALONE = HOST.model_copy(update={"quorum": 1})
AGAIN = GATE.model_copy(update={"name": "script-production-deploy-1"})


def test_a_host_is_left_out_where_that_is_offered_and_nowhere_else() -> None:
    """Not at the gate of production, nor of a script that failed where no other host would be left."""
    for gate in (GATE, AGAIN):
        assert judge(answer_of("anna", decision="skip", gate=gate), gate=gate).outcome == "malformed"
        assert not gate.may_skip
    found = judge(answer_of("anna", decision="skip", gate=ALONE), gate=ALONE)
    assert (found.outcome, found.reason) == ("skipped", "anna said to leave the host out")
    assert found.proof is not None
    assert found.proof.is_signed_by(KEY)
    state = gate_state(ALONE, [found.proof], wrong_codes=0, now=NOW)
    assert (state.state, state.skipped_by, state.approved_by, state.why) == ("skipped", ("anna",), (), "left out by anna")


@pytest.mark.parametrize(("decision", "other"), [("skip", "approve"), ("skip", "reject"), ("approve", "skip"), ("reject", "skip")])
def test_a_code_for_one_decision_is_none_for_another(decision: str, other: str) -> None:
    """Whoever sees a code can put it under no other answer."""
    code = code_of("anna", other, gate=HOST)
    assert judge(answer_of("anna", decision=decision, code=code, gate=HOST), gate=HOST).outcome == "wrong_code"


def test_a_signature_for_another_decision_does_not_count() -> None:
    """The statement names the decision."""
    signed = signed_of("anna", decision="approve", gate=HOST)
    forged = signed.model_copy(update={"decision": "skip"})
    assert judge(forged, gate=HOST).outcome == "wrong_signature"


def test_as_many_people_must_leave_it_out_as_would_approve() -> None:
    """One way to go on counts for nothing towards the other."""
    anna, ben = (proof_of(name, decision="skip", gate=HOST) for name in ("anna", "ben"))
    carl = proof_of("carl", gate=HOST)
    assert gate_state(HOST, [anna, carl], wrong_codes=0, now=NOW).state == "open"
    assert gate_state(HOST, [anna, anna], wrong_codes=0, now=NOW).state == "open"
    assert "anna said to leave the host out" in gate_state(HOST, [anna], wrong_codes=0, now=NOW).why
    found = gate_state(HOST, [anna, carl, ben], wrong_codes=0, now=NOW)
    assert (found.state, found.skipped_by) == ("skipped", ("anna", "ben"))
    assert judge(answer_of("carl", gate=HOST), gate=HOST, proofs=(anna, ben)).reason == "the host is left out; nothing more can be answered"
    assert judge(answer_of("anna", decision="skip", gate=HOST), gate=HOST, proofs=(anna,)).outcome == "already_answered"


def test_a_person_may_change_to_the_other_way_to_go_on_while_others_are_missing() -> None:
    """Else two people who said different ways could not agree any more; what was said last counts."""
    anna = proof_of("anna", decision="skip", gate=HOST)
    assert judge(answer_of("anna", gate=HOST), gate=HOST, proofs=(anna,)).outcome == "accepted"
    proofs = [anna, proof_of("ben", gate=HOST), proof_of("anna", gate=HOST)]
    found = gate_state(HOST, proofs, wrong_codes=0, now=NOW)
    assert (found.state, found.approved_by) == ("approved", ("anna", "ben"))


def test_a_rejection_still_ends_it() -> None:
    """As at every gate."""
    proofs = [proof_of("anna", decision="skip", gate=ALONE), proof_of("ben", decision="reject", gate=ALONE)]
    assert gate_state(ALONE, proofs, wrong_codes=0, now=NOW).state == "rejected"


def test_who_asked_for_the_release_and_who_is_not_listed_leave_nothing_out() -> None:
    """As they would not approve it; nor does a proof of them that came in another way."""
    assert judge(answer_of("rita", decision="skip", gate=ALONE), gate=ALONE).outcome == "requester"
    assert judge(answer_of("eve", decision="skip", gate=ALONE), gate=ALONE).outcome == "not_allowed"
    proof = proof_of("anna", decision="skip", gate=ALONE).model_copy(update={"approver": "rita"})
    assert gate_state(ALONE, [proof], wrong_codes=0, now=NOW).state == "open"


def test_where_signatures_are_required_a_code_leaves_nothing_out_and_guessing_is_throttled() -> None:
    """It lets a release go forward, as an approval does."""
    gate = ALONE.model_copy(update={"signatures": "required"})
    assert judge(answer_of("anna", decision="skip", gate=gate), gate=gate).outcome == "signature_required"
    assert judge(signed_of("anna", decision="skip", gate=gate), gate=gate).outcome == "skipped"
    assert judge(answer_of("anna", decision="skip", gate=ALONE), gate=ALONE, wrong={"anna": 10}).outcome == "throttled"


def test_wrong_codes_and_the_end_of_the_time_leave_nothing_out() -> None:
    """Then it is rolled back."""
    assert gate_state(ALONE, [], wrong_codes=99, now=NOW).state == "locked"
    assert gate_state(ALONE, [], wrong_codes=0, now=ALONE.expires_at).state == "expired"


def test_to_leave_a_host_out_approves_nothing() -> None:
    """As a proof at any gate."""
    subject = ApprovedAction(HOST.run, HOST.name, HOST.service, HOST.version, HOST.digest)
    proofs = [proof_of("anna", decision="skip", gate=HOST)]
    trust = Trust(KEY, ENTRIES, check_signature)
    found = verify_proofs(proofs, subject=subject, trust=trust, approvers=HOST.approvers, quorum=1, requester="rita")
    assert "anna said to leave the host out" in found[0]
