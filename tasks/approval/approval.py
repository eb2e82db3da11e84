"""Approvals: read the answer posted to a gate, judge it, and verify the proofs again before the first change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Literal
from uuid import UUID

from prefect import get_client, task

from blocks.approvers.approvers import Approvers
from blocks.approvers.signers import broken_signature, signature_fault
from blocks.errors import Refused
from tasks.lifecycle.retries import OBSERVE, ONCE
from tasks.rules.approval.answers import Answer, AnswerVerdict, Secret, judge_answer, read_answer
from tasks.rules.approval.gates import Gate
from tasks.rules.approval.proofs import ApprovedAction, Proof, Trust, read_proof, same_name, verify_proofs
from tasks.rules.approval.statement import NAMESPACE

OUTCOME_LABEL = "shipway.answer"


@task(**OBSERVE)
async def fetch_answer(gate: Gate) -> Answer:
    """Read the answer posted to the suspended run for this question, with the time at which the server received it.

    Returns:
        The answer; missing fields are empty. All of it is empty if nothing was posted (only the run's state was set): the judgement
        refuses that as malformed, and the gate asks again.
    """
    form, received_at = await posted(gate)
    return read_answer(form, received_at=received_at)


async def posted(gate: Gate) -> tuple[object, datetime]:
    """Read what was posted for a question, None if nothing was, and when the server received it."""
    key = f"suspended-{gate.key}-response"
    async with get_client() as client:
        found = await client.filter_flow_run_input(UUID(gate.run), key_prefix=key, limit=10, exclude_keys=set())
    one = next((one for one in found if one.key == key), None)
    if one is None:
        return None, datetime.now(UTC)
    return _parsed(one.value), one.created or datetime.now(UTC)


@task(**ONCE)
async def judge_approval(
    approvers: Approvers,
    *,
    key: str,  # noqa: ARG001
    gate: Gate,
    answer: Answer,
    proofs: Sequence[Proof],
) -> AnswerVerdict:
    """Judge one answer, and count a wrong code; the very same answer may be judged again, with the same outcome.

    Args:
        approvers: The enrolled people.
        key: The cache key of the result: the release's id and the gate's key.
        gate: The question.
        answer: The posted answer.
        proofs: The proofs that this run accepted before.

    Returns:
        The judgement.
    """
    return await asyncio.to_thread(judge_and_count, gate, answer, approvers=approvers, proofs=proofs)


@task(**OBSERVE)
async def check_proofs(
    approvers: Approvers,
    *,
    subject: ApprovedAction,
    proofs: Sequence[object],
    allowed: Sequence[str],
    quorum: int,
    requester: str,
    requester_confirms: bool,
    signatures: Literal["accepted", "required"],
    counted: Collection[str] = (),
) -> list[str]:
    """Verify the stored approvals again, right before the first change and wherever the release goes on; never cached.

    Args:
        approvers: The people enrolled now; a person removed since does not count any more.
        subject: What is about to be done.
        proofs: The stored proofs, or their JSON.
        allowed: Who may approve, by the plan.
        quorum: How many different people must have approved.
        requester: Who requested the release.
        requester_confirms: Whether the requester must have confirmed it.
        signatures: Whether only SSH signatures count.
        counted: Names of the proofs that were verified right before the first change: for these it no longer matters who is enrolled now.

    Returns:
        One sentence a problem; empty when approved.

    Raises:
        Refused: The key cannot be used, or `ssh-keygen` is missing.
    """

    def check() -> list[str]:
        return verify_proofs(
            proofs,
            subject=ApprovedAction(*subject),
            trust=trust_in(approvers, proofs, signatures=signatures, counted=counted),
            approvers=allowed,
            quorum=quorum,
            requester=requester,
            requester_confirms=requester_confirms,
        )

    return await asyncio.to_thread(check)


def trust_in(
    approvers: Approvers, proofs: Sequence[object], *, signatures: Literal["accepted", "required"], counted: Collection[str] = ()
) -> Trust:
    """Say what proofs are verified with: the people enrolled now, and the proofs that were verified before; it reads files."""
    sealed = {proof.signature for proof in map(read_proof, proofs) if isinstance(proof, Proof) and proof.name() in counted}

    def fault(name: str, statement: bytes, signature: str) -> str:
        if signature in sealed:
            return broken_signature(statement, signature, namespace=NAMESPACE)
        return signature_fault(name, statement, signature, namespace=NAMESPACE)

    return Trust(approvers.signing_key(), approvers.readable(), fault, signatures, counted)


@task(**OBSERVE)
async def log_outcome(run: str, *, key: str = "", outcome: str, reason: str, state: str) -> None:
    """Write the outcome of an answer on the run, for a waiting command; nothing is decided by it.

    Args:
        run: Flow run id of the release.
        key: The question that was answered; the one before if empty.
        outcome: Of the judgement, or what became of it: `confirmed`, `void`.
        reason: Of the judgement, or of the gate's state if that has more detail.
        state: Of the gate, after the answer.
    """
    labels = {"outcome": outcome, "reason": reason[:500], "state": state} | ({"key": key} if key else {})
    async with get_client() as client:
        await client.update_flow_run_labels(UUID(run), {f"{OUTCOME_LABEL}.{name}": text for name, text in labels.items()})


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def judge_and_count(gate: Gate, answer: Answer, *, approvers: Approvers, proofs: Sequence[Proof]) -> AnswerVerdict:
    """Judge one answer, as `judge_approval` does, without a task; it reads and writes files."""
    name = same_name(answer.approver)
    by_code = (
        not answer.signature and name in approvers.enrolled
    )  # a signature counts whatever stands in the block, which the API can write
    # What an answer is told apart by, so that judging it twice counts it once.
    own = {"run": gate.run, "gate": gate.key, **answer.model_dump(mode="json")}
    try:
        judgement = judge_answer(
            gate,
            answer,
            enrolled={name: Secret(approvers.secret(name), approvers.entry(name))} if by_code else {},
            check_signature=partial(signature_fault, namespace=NAMESPACE),
            wrong_last_hour=approvers.wrong_codes().last_hour(without=own),
            proofs=proofs,
            key=approvers.signing_key(),
            now=datetime.now(UTC),
        )
    except Refused as error:
        return AnswerVerdict(outcome="unknown_person", reason=str(error), approver=name)
    if judgement.is_wrong_code:
        approvers.wrong_codes().note(judgement.approver, own)
    return judgement
