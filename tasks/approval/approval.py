"""Approvals: read the answer posted to a gate, judge it, and verify the proofs again before the first change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import get_client, task

from blocks.approvers.approvers import Approvers
from blocks.errors import Refused
from tasks.lifecycle.policy import OBSERVE, ONCE
from tasks.rules.approval.gates import Gate
from tasks.rules.approval.policy import Answer, Judgement, judge_answer, read_answer
from tasks.rules.approval.proofs import Proof, same_name, verify_proofs

OUTCOME_LABEL = "shipway.answer"


@task(**OBSERVE)
async def fetch_answer(gate: Gate) -> dict[str, Any]:
    """Read the answer posted to the suspended run for this question, with the time at which the server received it.

    Returns:
        The JSON of an `Answer`; missing fields are empty. All of it is empty if nothing was
        posted (only the run's state was set): the judgement refuses that as malformed, and the gate asks again.
    """
    key = f"suspended-{gate.key}-response"
    async with get_client() as client:
        found = await client.filter_flow_run_input(UUID(gate.run), key_prefix=key, limit=10, exclude_keys=set())
    posted = next((one for one in found if one.key == key), None)
    if posted is None:
        return read_answer(None, received_at=datetime.now(UTC)).model_dump(mode="json")
    return read_answer(_parsed(posted.value), received_at=posted.created or datetime.now(UTC)).model_dump(mode="json")


@task(**ONCE)
async def judge_approval(
    approvers: Approvers,
    *,
    key: str,  # noqa: ARG001
    gate: Gate,
    answer: Answer,
    proofs: Sequence[Proof],
) -> dict[str, Any]:
    """Judge one answer and consume its code; the very same answer may be judged again, with the same outcome.

    Args:
        approvers: The enrolled people.
        key: The cache key of the result: the release's id and the gate's key.
        gate: The question.
        answer: The posted answer.
        proofs: The proofs that this run accepted before.

    Returns:
        The JSON of a `Judgement`.
    """
    judgement = await asyncio.to_thread(_judge_and_claim, approvers, gate, answer, proofs)
    return judgement.model_dump(mode="json")


@task(**OBSERVE)
async def check_proofs(
    approvers: Approvers,
    *,
    run: str,
    gate: str,
    digest: str,
    proofs: Sequence[object],
    allowed: Sequence[str],
    quorum: int,
    requester: str,
) -> list[str]:
    """Verify the stored approvals again, right before the first change; never cached.

    Args:
        approvers: The people enrolled now; a person removed since does not count any more.
        run: Flow run id that is about to act.
        gate: Name of the gate.
        digest: The digest of what is about to be done, computed now.
        proofs: The stored proofs, or their JSON.
        allowed: Who may approve, by the plan.
        quorum: How many different people must have approved.
        requester: Who requested the release.

    Returns:
        One sentence a problem; empty when approved.

    Raises:
        Refused: The key cannot be used.
    """
    still = [name for name in allowed if same_name(name) in approvers.enrolled]
    key = await asyncio.to_thread(approvers.signing_key)
    return verify_proofs(proofs, run=run, gate=gate, digest=digest, key=key, approvers=still, quorum=quorum, requester=requester)


@task(**OBSERVE)
async def log_outcome(gate: Gate, *, outcome: str, reason: str, state: str) -> None:
    """Write the outcome of an answer on the run, for a waiting command; nothing is decided by it.

    Args:
        gate: The question that was answered.
        outcome: Of the judgement.
        reason: Of the judgement, or of the gate's state if that has more detail.
        state: Of the gate, after the answer.
    """
    labels = {"key": gate.key, "outcome": outcome, "reason": reason[:500], "state": state}
    async with get_client() as client:
        await client.update_flow_run_labels(UUID(gate.run), {f"{OUTCOME_LABEL}.{name}": text for name, text in labels.items()})


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _judge_and_claim(approvers: Approvers, gate: Gate, answer: Answer, proofs: Sequence[Proof]) -> Judgement:
    claim = _claim(gate, answer)
    ledger = approvers.ledger()
    judgement = _judge(approvers, gate, answer, proofs)
    if judgement.proof and not ledger.use(judgement.approver, judgement.proof.counter, claim):
        # Another run used the code between our read of the ledger and our write; the second read sees it.
        judgement = _judge(approvers, gate, answer, proofs)
    if judgement.is_wrong_code:
        ledger.note_wrong(judgement.approver, claim)
    return judgement


def _judge(approvers: Approvers, gate: Gate, answer: Answer, proofs: Sequence[Proof]) -> Judgement:
    name = same_name(answer.approver)
    claim = _claim(gate, answer)
    try:
        key = approvers.signing_key()
        enrolled = {name: approvers.secret(name)} if name in approvers.enrolled else {}
    except Refused as error:
        return Judgement(outcome="unknown_person", reason=str(error), approver=name)
    return judge_answer(
        gate,
        answer,
        enrolled=enrolled,
        used=approvers.ledger().used(without=claim),
        wrong_last_hour=approvers.ledger().wrong_last_hour(without=claim),
        proofs=proofs,
        key=key,
        now=datetime.now(UTC),
    )


def _claim(gate: Gate, answer: Answer) -> dict[str, object]:
    """Return what a code is used for: everything that the answer decides, so that an altered answer cannot use it again."""
    return {
        "run": gate.run,
        "gate": gate.key,
        "digest": gate.digest,
        "decision": answer.decision,
        "comment": answer.comment,
        "received_at": answer.received_at.isoformat(),
    }
