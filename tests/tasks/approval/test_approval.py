"""Judging an answer with the real block, key and ssh-keygen: the same again after a crash."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blocks.approvers.approvers import Approvers, revoke
from blocks.approvers.signers import add_signer, remove_signer, sign
from tasks.approval.approval import check_proofs, judge_approval
from tasks.rules.approval.answers import Answer, AnswerVerdict, read_answer
from tasks.rules.approval.gates import Gate
from tasks.rules.approval.one_time_codes import code_of
from tasks.rules.approval.proofs import ApprovedAction, Proof
from tasks.rules.approval.statement import NAMESPACE


def gate_of(run: str = "run-1", **other: Any) -> Gate:
    """Open a gate now."""
    now = datetime.now(UTC)
    fields = {"run": run, "name": "production", "digest": "ab" * 32, "service": "guestbook", "version": "1.1", "requester": "rita"}
    times = {"opened_at": now, "expires_at": now + timedelta(hours=1), "nonce": "0f" * 16}
    return Gate.model_validate({**fields, **times, "approvers": ("anna", "ben"), **other})


@pytest.fixture
def approvers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Approvers:
    """Enrol two people under a key of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    block = Approvers()
    block.enrol("anna")
    block.enrol("ben")
    return block


def answer_of(approvers: Approvers, name: str, *, gate: Gate | None = None, decision: str = "approve", **other: str) -> Answer:
    """Answer with the code that `shipway code` gives."""
    code = code_of(approvers.secret(name), (gate or gate_of()).asked().challenge(decision))
    return read_answer({"decision": decision, "approver": name, "code": code, **other}, received_at=datetime.now(UTC))


def signed_of(key: Path, name: str, *, gate: Gate, decision: str = "approve", namespace: str = NAMESPACE, comment: str = "") -> Answer:
    """Answer with a signature of one's own."""
    signature = sign(gate.asked().statement(decision, name, comment), key=key, namespace=namespace)
    form = {"decision": decision, "approver": name, "signature": signature, "comment": comment}
    return read_answer(form, received_at=datetime.now(UTC))


async def judge(approvers: Approvers, gate: Gate, answer: Answer) -> AnswerVerdict:
    """Run the task's own function, as its first attempt or a later one."""
    return await judge_approval.fn(approvers, key=f"{gate.run}/{gate.key}", gate=gate, answer=answer, proofs=[])


def kept(judgement: AnswerVerdict) -> dict[str, Any]:
    """Give a judgement's proof as a record keeps it."""
    assert judgement.proof is not None
    return judgement.proof.model_dump(mode="json")


async def check(approvers: Approvers, gate: Gate, proofs: list[Any], **other: Any) -> list[str]:
    """Verify as production does before its first change."""
    policy = {
        "allowed": ["anna", "ben", "zoe"],
        "quorum": 1,
        "requester": "rita",
        "requester_confirms": False,
        "signatures": "accepted",
        **other,
    }
    subject = ApprovedAction(gate.run, gate.name, gate.service, gate.version, gate.digest)
    return await check_proofs.fn(approvers, subject=subject, proofs=proofs, **policy)


async def test_an_answer_that_is_judged_again_comes_out_the_same(approvers: Approvers) -> None:
    """A process killed between the claim of the code and the result repeats the task, and the proof is the same byte for byte."""
    gate = gate_of()
    answer = answer_of(approvers, "anna", comment="ok")
    first = await judge(approvers, gate, answer)
    assert first.outcome == "accepted"
    assert await judge(approvers, gate, answer) == first
    assert await check(approvers, gate, [first.proof]) == []


@pytest.mark.parametrize("other", [gate_of("run-2"), gate_of(question=2), gate_of(digest="cd" * 32), gate_of(service="billing")])
async def test_a_code_is_good_for_one_question_in_one_run(approvers: Approvers, other: Gate) -> None:
    """The same code in another release, another question, about another digest or service is wrong."""
    answer = answer_of(approvers, "anna")
    assert (await judge(approvers, gate_of(), answer)).outcome == "accepted"
    assert (await judge(approvers, other, answer)).outcome == "wrong_code"


async def test_a_rejection_cannot_be_turned_into_an_approval(approvers: Approvers) -> None:
    """Neither before it is judged, which it once could, nor between two attempts."""
    answer = answer_of(approvers, "anna", decision="reject")
    bent = answer.model_copy(update={"decision": "approve"})
    assert (await judge(approvers, gate_of(), bent)).outcome == "wrong_code"
    assert (await judge(approvers, gate_of(), answer)).outcome == "rejected"
    assert (await judge(approvers, gate_of(), bent)).outcome == "wrong_code"


@pytest.fixture
def zoe(tmp_path: Path) -> Path:
    """Give zoe an SSH key, and no secret for codes."""
    key = tmp_path / "zoe"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    add_signer("zoe", key.with_suffix(".pub"), namespace=NAMESPACE)
    return key


async def test_a_signature_is_accepted_kept_and_verified_again(approvers: Approvers, zoe: Path) -> None:
    """It counts where signatures are required, with its comment, and not once the key was removed."""
    gate = gate_of(approvers=("anna", "zoe"), signatures="required")
    judgement = await judge(approvers, gate, signed_of(zoe, "zoe", gate=gate, comment="seen"))
    assert judgement.outcome == "accepted", judgement
    proof = kept(judgement)
    assert await check(approvers, gate, [proof], signatures="required") == []
    assert "SSH signature is not valid" in (await check(approvers, gate, [{**proof, "comment": "unseen"}]))[0]
    assert "SSH signature is not valid" in (await check(approvers, gate, [{**proof, "approver": "anna"}]))[0]
    remove_signer("zoe")
    assert "SSH signature is not valid" in (await check(approvers, gate, [proof]))[0]


async def test_a_half_deployed_release_goes_on_although_its_approvers_left(approvers: Approvers, zoe: Path) -> None:
    """What was verified before the first change still counts, byte for byte; what was not verified then does not."""
    gate = gate_of(approvers=("anna", "zoe"), quorum=2)
    answers = answer_of(approvers, "anna", gate=gate), signed_of(zoe, "zoe", gate=gate)
    proofs = [kept(await judge(approvers, gate, one)) for one in answers]
    counted = [Proof.model_validate(proof).name() for proof in proofs]
    remove_signer("zoe")
    approvers.remove("anna")
    assert len(await check(approvers, gate, proofs, quorum=2)) == 3  # both, and that none of two is proved
    assert await check(approvers, gate, proofs, quorum=2, counted=counted) == []
    bent = [{**proof, "comment": "unseen"} for proof in proofs]
    assert len(await check(approvers, gate, bent, quorum=2, counted=[*counted, *(Proof.model_validate(one).name() for one in bent)])) == 3


async def test_a_signature_for_something_else_is_refused(approvers: Approvers, zoe: Path) -> None:
    """Another run, decision, person or namespace."""
    gate = gate_of(approvers=("anna", "zoe"))
    answers = [
        signed_of(zoe, "zoe", gate=gate_of("run-2", approvers=("anna", "zoe"))),
        signed_of(zoe, "zoe", gate=gate, decision="reject").model_copy(update={"decision": "approve"}),
        signed_of(zoe, "zoe", gate=gate).model_copy(update={"approver": "anna"}),
        signed_of(zoe, "zoe", gate=gate, namespace="git"),
    ]
    assert [(await judge(approvers, gate, answer)).outcome for answer in answers] == ["wrong_signature"] * 4


async def test_guessing_over_many_releases_is_stopped(approvers: Approvers) -> None:
    """After ten wrong codes within an hour no approval of that person by code counts; a right rejection does, and other people's."""
    wrong = answer_of(approvers, "anna")
    wrong = wrong.model_copy(update={"code": f"{(int(wrong.code) + 1) % 10**8:08d}"})
    outcomes = [(await judge(approvers, gate_of(f"run-{number}"), wrong)).outcome for number in range(12)]
    assert outcomes == [*["wrong_code"] * 10, *["throttled"] * 2]
    assert (await judge(approvers, gate_of(), answer_of(approvers, "anna"))).outcome == "throttled"
    assert (await judge(approvers, gate_of(), answer_of(approvers, "ben"))).outcome == "accepted"
    assert (await judge(approvers, gate_of(), answer_of(approvers, "anna", decision="reject"))).outcome == "rejected"


async def test_an_entry_that_cannot_be_read_leaves_the_gate_open_and_says_why(approvers: Approvers, tmp_path: Path) -> None:
    """A moved entry, and a lost key."""
    answer = answer_of(approvers, "anna")
    moved = Approvers(enrolled={"anna": approvers.enrolled["ben"]})
    judgement = await judge(moved, gate_of(), answer)
    assert (judgement.outcome, judgement.proof) == ("unknown_person", None)
    assert "made for another person" in judgement.reason
    (tmp_path / "keys" / "approvals.key").unlink()
    assert "no approval key" in (await judge(approvers, gate_of(), answer)).reason


@pytest.mark.parametrize(("decision", "outcome"), [("approve", "accepted"), ("reject", "rejected")])
async def test_a_signature_counts_whatever_stands_as_its_persons_entry_for_codes(
    approvers: Approvers, zoe: Path, decision: str, outcome: str
) -> None:
    """The API can write the entry, and one that was revoked while the server was away may still be shown; its code counts no more."""
    gate = gate_of(approvers=("anna", "zoe"))
    approvers.enrol("zoe")
    code = answer_of(approvers, "zoe", gate=gate, decision=decision)
    for spoil in (lambda: revoke("zoe"), lambda: approvers.enrolled.update(zoe=SecretStr("anything"))):
        spoil()
        assert (await judge(approvers, gate, code)).outcome == "unknown_person"
        judgement = await judge(approvers, gate, signed_of(zoe, "zoe", gate=gate, decision=decision))
        assert judgement.outcome == outcome
        assert decision == "reject" or await check(approvers, gate, [judgement.proof]) == []


async def test_an_approval_is_void_once_its_person_was_removed(approvers: Approvers) -> None:
    """Between the approval and the first change someone may have to be stopped."""
    gate = gate_of()
    judgement = await judge(approvers, gate, answer_of(approvers, "anna"))
    approvers.remove("anna")
    assert "anna is not enrolled any more" in (await check(approvers, gate, [judgement.proof]))[0]


@pytest.mark.parametrize("removes", [False, True], ids=["replaced", "removed and enrolled"])
async def test_what_a_secret_approved_before_it_was_replaced_or_removed_does_not_count_whoever_is_enrolled_under_that_name_since(
    approvers: Approvers, *, removes: bool
) -> None:
    """It may have been lost, and not its person who approved. A release whose first change was made goes on."""
    gate, again = gate_of(quorum=1), gate_of(question=2)
    proof = kept(await judge(approvers, gate, answer_of(approvers, "anna", gate=gate)))
    assert await check(approvers, gate, [proof]) == []
    if removes:
        approvers.remove("anna")
    approvers.enrol("anna", replace=not removes)
    assert "anna has another secret by now" in (await check(approvers, gate, [proof]))[0]
    assert await check(approvers, gate, [proof], counted=[Proof.model_validate(proof).name()]) == []
    assert await check(approvers, again, [kept(await judge(approvers, again, answer_of(approvers, "anna", gate=again)))]) == []


async def test_a_forged_approval_moves_nothing(approvers: Approvers) -> None:
    """Posting a form and setting the state gives no proof, and a made-up proof is refused."""
    gate = gate_of()
    judgement = await judge(approvers, gate, read_answer({"decision": "approve", "approver": "anna"}, received_at=datetime.now(UTC)))
    assert judgement.outcome == "malformed"
    good = kept(await judge(approvers, gate, answer_of(approvers, "anna")))
    forged = {**good, "approver": "ben"}
    assert await check(approvers, gate, []) == ["0 of 1 approvals are proved (none)"]
    assert len(await check(approvers, gate, [forged])) == 2
