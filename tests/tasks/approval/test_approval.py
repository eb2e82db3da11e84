"""Judging an answer with the real block, key and ledger: once, and the same again after a crash."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest

from blocks.approvers.approvers import Approvers
from tasks.approval import approval
from tasks.approval.approval import check_proofs, judge_approval
from tasks.rules.approval.gates import Gate
from tasks.rules.approval.policy import Answer, read_answer


def gate_of(run: str = "run-1", **other: Any) -> Gate:
    """Open a gate now."""
    now = datetime.now(UTC)
    fields = {"run": run, "name": "production", "digest": "ab" * 32, "service": "guestbook", "version": "1.1", "requester": "rita"}
    times = {"opened_at": now, "expires_at": now + timedelta(hours=1)}
    return Gate.model_validate({**fields, **times, "approvers": ("anna", "ben"), **other})


@pytest.fixture
def approvers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Approvers:
    """Enrol two people under a key of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    block = Approvers()
    block.enrol("anna")
    block.enrol("ben")
    return block


def answer_of(approvers: Approvers, name: str, **other: str) -> Answer:
    """Answer with the code that the person's app shows now."""
    code = pyotp.TOTP(approvers.secret(name).get_secret_value()).now()
    return read_answer({"decision": "approve", "approver": name, "code": code, **other}, received_at=datetime.now(UTC))


async def judge(approvers: Approvers, gate: Gate, answer: Answer) -> dict[str, Any]:
    """Run the task's own function, as its first attempt or a later one."""
    return await judge_approval.fn(approvers, key=f"{gate.run}/{gate.key}", gate=gate, answer=answer, proofs=[])


async def check(approvers: Approvers, gate: Gate, proofs: list[Any], **other: Any) -> list[str]:
    """Verify as production does before its first change."""
    policy = {"allowed": ["anna", "ben"], "quorum": 1, "requester": "rita", **other}
    return await check_proofs.fn(approvers, run=gate.run, gate=gate.name, digest=gate.digest, proofs=proofs, **policy)


async def test_an_answer_that_is_judged_again_comes_out_the_same(approvers: Approvers) -> None:
    """A process killed between the claim of the code and the result repeats the task, and the proof is the same byte for byte."""
    gate = gate_of()
    answer = answer_of(approvers, "anna", comment="ok")
    first = await judge(approvers, gate, answer)
    assert first["outcome"] == "accepted"
    assert await judge(approvers, gate, answer) == first
    assert await check(approvers, gate, [first["proof"]]) == []


@pytest.mark.parametrize("other", [gate_of("run-2"), gate_of(question=2), gate_of(digest="cd" * 32)])
async def test_a_code_is_good_for_one_answer_in_one_run(approvers: Approvers, other: Gate) -> None:
    """The same code in another release, another question, or about another digest is reused."""
    answer = answer_of(approvers, "anna")
    assert (await judge(approvers, gate_of(), answer))["outcome"] == "accepted"
    assert (await judge(approvers, other, answer))["outcome"] == "reused_code"


async def test_a_rejection_cannot_be_turned_into_an_approval(approvers: Approvers) -> None:
    """Whoever changes the stored form between two attempts needs a new code."""
    answer = answer_of(approvers, "anna", decision="reject")
    assert (await judge(approvers, gate_of(), answer))["outcome"] == "rejected"
    bent = answer.model_copy(update={"decision": "approve"})
    assert (await judge(approvers, gate_of(), bent))["outcome"] == "reused_code"


def test_of_many_releases_that_use_one_code_at_once_one_gets_it(approvers: Approvers) -> None:
    """The claim is atomic over processes; the others are told that the code was used."""
    answer = answer_of(approvers, "anna")
    judge_now: Callable[[Gate], str] = lambda gate: approval._judge_and_claim(approvers, gate, answer, []).outcome  # noqa: E731
    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(judge_now, [gate_of(f"run-{number}") for number in range(12)]))
    assert outcomes == ["accepted", *["reused_code"] * 11]


async def test_guessing_over_many_releases_is_stopped(approvers: Approvers) -> None:
    """After ten wrong codes within an hour no code of that person counts, a good one neither; another person's does."""
    wrong = answer_of(approvers, "anna")
    wrong = wrong.model_copy(update={"code": f"{(int(wrong.code) + 1) % 1_000_000:06d}"})
    outcomes = [(await judge(approvers, gate_of(f"run-{number}"), wrong))["outcome"] for number in range(12)]
    assert outcomes == [*["wrong_code"] * 10, *["throttled"] * 2]
    assert (await judge(approvers, gate_of(), answer_of(approvers, "anna")))["outcome"] == "throttled"
    assert (await judge(approvers, gate_of(), answer_of(approvers, "ben")))["outcome"] == "accepted"


async def test_an_entry_that_cannot_be_read_leaves_the_gate_open_and_says_why(approvers: Approvers, tmp_path: Path) -> None:
    """A moved entry, and a lost key."""
    answer = answer_of(approvers, "anna")
    moved = Approvers(enrolled={"anna": approvers.enrolled["ben"]})
    judgement = await judge(moved, gate_of(), answer)
    assert (judgement["outcome"], judgement["proof"]) == ("unknown_person", None)
    assert "made for another person" in judgement["reason"]
    (tmp_path / "keys" / "approvals.key").unlink()
    assert "no approval key" in (await judge(approvers, gate_of(), answer))["reason"]


async def test_an_approval_is_void_once_its_person_was_removed(approvers: Approvers) -> None:
    """Between the approval and the first change somebody may have to be stopped."""
    gate = gate_of()
    judgement = await judge(approvers, gate, answer_of(approvers, "anna"))
    approvers.remove("anna")
    assert "anna may not approve" in (await check(approvers, gate, [judgement["proof"]]))[0]


async def test_a_forged_approval_moves_nothing(approvers: Approvers) -> None:
    """Posting a form and setting the state gives no proof, and a made-up proof is refused."""
    gate = gate_of()
    judgement = await judge(approvers, gate, read_answer({"decision": "approve", "approver": "anna"}, received_at=datetime.now(UTC)))
    assert judgement["outcome"] == "malformed"
    good = (await judge(approvers, gate, answer_of(approvers, "anna")))["proof"]
    forged = {**good, "approver": "ben"}
    assert await check(approvers, gate, []) == ["0 of 1 approvals are proved (none)"]
    assert len(await check(approvers, gate, [forged])) == 2
