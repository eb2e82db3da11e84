"""Lift a freeze: by a proved name through the API, or on the worker's machine, where whoever can write could remove its file, too."""

from __future__ import annotations

from blocks.approvers.approvers import Approvers
from blocks.errors import Refused
from blocks.outside_text import as_name, as_reason
from tasks.approval.approval import judge_and_count
from tasks.approval.protection import load_policies
from tasks.lifecycle.clock import now
from tasks.lifecycle.freezes import end_freeze
from tasks.rules.approval.answers import Answer
from tasks.rules.approval.lifting import HOUR, challenge_in_words, gate_of_lifting, lifting_fault
from tasks.rules.policy.rules import signatures_of
from tasks.rules.windows.freeze import Freeze, Lifted


def lift_by_proof(freeze: Freeze, answer: Answer, *, approvers: Approvers) -> Freeze:
    """Lift a freeze for a person who proves by code or signature who that is; it reads and writes files.

    Args:
        freeze: It.
        answer: The answer to its question, of this hour or the one before, with the decision `approve`; its comment is the reason.
        approvers: The people enrolled now.

    Raises:
        Refused: The person may not, or did not prove a name.
    """
    policies = load_policies()
    if fault := lifting_fault(freeze, answer.approver, policies):
        raise Refused(fault)
    applying = [policy for policy in policies if not freeze.service or freeze.service in policy.services]
    at = now()
    for asked_at in (at, at - HOUR):  # the same wrong answer counts once
        gate = gate_of_lifting(freeze, answer.approver, reason=answer.comment, at=at, asked_at=asked_at)
        gate = gate.model_copy(update={"signatures": signatures_of(applying)})
        judged = judge_and_count(gate, answer, approvers=approvers, proofs=())
        proof = judged.proof
        if proof is not None and proof.decision == "approve":
            reason, kept = as_reason(proof.comment), proof.model_dump(mode="json")
            return end_freeze(freeze, Lifted(who=judged.approver, at=at, reason=reason, proved=proof.kind, proof=kept))
    raise Refused(
        f"the freeze {freeze.id} was not lifted: {judged.reason}. The challenge is {challenge_in_words(freeze, at, reason=answer.comment)}"
    )


def lift_here(freeze: Freeze, *, who: str, reason: str) -> Freeze:
    """Lift a freeze on the worker's machine; the name is not proved, and the policies guard against mistakes.

    Raises:
        Refused: The policies do not let this person.
    """
    if fault := lifting_fault(freeze, who, load_policies()):
        raise Refused(fault)
    return end_freeze(freeze, Lifted(who=as_name(who), at=now(), reason=as_reason(reason), proved="machine"))
