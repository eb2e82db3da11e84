"""Lifting a freeze by a code, with the real block, key and count of wrong codes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.approvers.approvers import Approvers
from blocks.errors import BadInput, Refused
from blocks.key_folder.policy_files import write_policy_file
from flows.unfreeze import unfreeze
from tasks.approval.lifting import lift_by_proof
from tasks.lifecycle.clock import now
from tasks.lifecycle.freezes import hold_now, set_freeze
from tasks.rules.approval.answers import Answer, read_answer
from tasks.rules.approval.lifting import HOUR, question_of
from tasks.rules.approval.one_time_codes import code_of
from tasks.rules.approval.proofs import Proof
from tasks.rules.windows.freeze import Freeze


@pytest.fixture
def approvers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Approvers:
    """Enrol two people under a key of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    block = Approvers()
    block.enrol("anna")
    block.enrol("ben")
    return block


def answer_of(approvers: Approvers, name: str, freeze: Freeze, *, by: str = "", at: datetime | None = None, said: str = "over") -> Answer:
    """Answer the question of a freeze by one's own code, or by another's, and say a reason then."""
    code = code_of(approvers.secret(by or name), question_of(freeze, at or now(), reason="over").challenge("approve"))
    return read_answer({"decision": "approve", "approver": name, "code": code, "comment": said}, received_at=datetime.now(UTC))


def test_an_enrolled_person_lifts_a_freeze_by_a_code_of_that_very_freeze(approvers: Approvers) -> None:
    """Neither another person's code nor that of another freeze does; and what is lifted says who and how."""
    freeze, other = set_freeze(who="rita", reason="incident"), set_freeze(who="rita", reason="another", service="other")
    for wrong in (answer_of(approvers, "anna", freeze, by="ben"), answer_of(approvers, "anna", other)):
        with pytest.raises(Refused, match="does not answer the challenge"):
            lift_by_proof(freeze, wrong, approvers=approvers)
    assert hold_now("shop") is not None
    lifted = lift_by_proof(freeze, answer_of(approvers, "anna", freeze), approvers=approvers).lifted
    assert lifted is not None
    assert (lifted.who, lifted.proved, lifted.reason) == ("anna", "code", "over")
    assert lifted.proof is not None
    assert Proof.model_validate(lifted.proof).is_signed_by(approvers.signing_key())
    assert hold_now("shop") is None


def test_an_answer_counts_in_its_hour_and_the_next_one_only(approvers: Approvers) -> None:
    """One that was kept back could lift a freeze after all agreed to keep it."""
    freeze = set_freeze(who="rita", reason="incident")
    with pytest.raises(Refused, match=r"does not answer the challenge.*The challenge is \w{4}-"):
        lift_by_proof(freeze, answer_of(approvers, "anna", freeze, at=now() - 2 * HOUR), approvers=approvers)
    assert hold_now("shop") is not None
    assert lift_by_proof(freeze, answer_of(approvers, "anna", freeze, at=now() - HOUR), approvers=approvers).lifted


def test_a_code_counts_with_the_reason_that_it_was_made_for(approvers: Approvers) -> None:
    """Who sees the parameters of a run could lift the freeze later, in words that the person never wrote."""
    freeze = set_freeze(who="rita", reason="incident")
    with pytest.raises(Refused, match="does not answer the challenge"):
        lift_by_proof(freeze, answer_of(approvers, "anna", freeze, said="all is well, says Eve"), approvers=approvers)
    assert hold_now("shop") is not None
    lifted = lift_by_proof(freeze, answer_of(approvers, "anna", freeze, said="  over\n"), approvers=approvers).lifted
    assert lifted is not None
    assert lifted.reason == "over"


async def test_who_gives_no_answer_is_told_the_challenge(approvers: Approvers) -> None:
    """That which was shown when the freeze was set may be over."""
    freeze = set_freeze(who="rita", reason="incident")
    with pytest.raises(BadInput) as found:
        await unfreeze.fn(reason="over", approver="anna")
    (challenge,) = re.findall(r"(?:\w{4}-){3}\w{4}", str(found.value))
    code = code_of(approvers.secret("anna"), challenge)
    answer = read_answer({"decision": "approve", "approver": "anna", "code": code, "comment": "over"}, received_at=datetime.now(UTC))
    assert lift_by_proof(freeze, answer, approvers=approvers).lifted


def test_a_person_who_is_not_enrolled_lifts_nothing_also_under_the_name_of_who_set_it(approvers: Approvers) -> None:
    """The name under which it was set is not proved."""
    freeze = set_freeze(who="rita", reason="incident")
    with pytest.raises(Refused, match="'rita' is not enrolled"):
        lift_by_proof(freeze, answer_of(approvers, "rita", freeze, by="anna"), approvers=approvers)


def test_a_policy_names_who_lifts_and_by_what(approvers: Approvers) -> None:
    """And one that requires signatures takes no code."""
    rules = "approval: {quorum: 1, signatures: required}\nwindows: {lifted_by: [ben]}\n"
    write_policy_file("shop", f"policy: 1\nname: shop\nservices: [shop]\nprotects: [local/shop]\n{rules}".encode())
    freeze = set_freeze(who="rita", reason="incident", service="shop")
    with pytest.raises(Refused, match="anna may not lift"):
        lift_by_proof(freeze, answer_of(approvers, "anna", freeze), approvers=approvers)
    with pytest.raises(Refused, match="requires an SSH signature"):
        lift_by_proof(freeze, answer_of(approvers, "ben", freeze), approvers=approvers)
