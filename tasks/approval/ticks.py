"""Ticks: read what was posted, judge it once, and verify all of them again before what they stand before."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from prefect import task
from prefect.artifacts import acreate_markdown_artifact

from blocks.approvers.approvers import Approvers
from blocks.secret_text import hide
from tasks.approval.approval import judge_and_count, posted, trust_in
from tasks.lifecycle.retries import OBSERVE, ONCE
from tasks.rules.approval.answers import Answer, AnswerVerdict, read_answer
from tasks.rules.approval.gates import Gate
from tasks.rules.approval.proofs import ApprovedAction, Proof, same_name
from tasks.rules.approval.statement import Value
from tasks.rules.approval.ticks import Tick, Ticked, gate_of_ticks, read_ticks, ticks_fault, ticks_in, ticks_of, ticks_problems
from tasks.rules.plan.checklist import TickedItem
from tasks.rules.policy.policy import Signatures
from tasks.rules.record.entries import Entry


class TicksAnswer(Value):
    """What was posted: the answer, and its ticks; untrusted."""

    answer: Answer
    ticks: tuple[Tick, ...]

    def is_empty(self) -> bool:
        """Whether nothing was posted at all."""
        return not (self.ticks or self.answer.approver or self.answer.code or self.answer.signature)


@task(**OBSERVE)
async def fetch_ticks(gate: Gate, *, items: Sequence[TickedItem]) -> TicksAnswer:
    """Read the ticks posted to the suspended run for this question."""
    form, received_at = await posted(gate)
    fields = dict(form) if isinstance(form, dict) else {}
    return TicksAnswer(
        answer=read_answer({**fields, "decision": "approve", "comment": ""}, received_at=received_at), ticks=read_ticks(form, items)
    )


@task(**ONCE)
async def judge_ticks(
    approvers: Approvers,
    *,
    key: str,  # noqa: ARG001
    gate: Gate,
    given: TicksAnswer,
    items: Sequence[TickedItem],
    done: Mapping[str, Ticked],
) -> AnswerVerdict:
    """Judge one answer with its ticks: all of them count, or none; a wrong code is counted.

    Args:
        approvers: The enrolled people.
        key: The cache key of the result: the release's id and the gate's key.
        gate: The question.
        given: What was posted.
        items: The items that are asked about.
        done: What is ticked already.

    Returns:
        The judgement; its proof is over the ticks, too.
    """
    name = same_name(given.answer.approver)
    if found := ticks_fault(given.ticks, name, items=items, done=done):
        return AnswerVerdict(outcome=found[0], reason=found[1], approver=name)
    asked = gate_of_ticks(gate, given.ticks, items)
    return await asyncio.to_thread(judge_and_count, asked, given.answer, approvers=approvers, proofs=())


@task(**OBSERVE)
async def check_ticks(
    approvers: Approvers,
    *,
    subject: ApprovedAction,
    entries: Sequence[Entry],
    items: Sequence[TickedItem],
    round: int,
    signatures: Signatures,
    counted: Collection[str] = (),
) -> tuple[list[str], list[Proof]]:
    """Verify the ticks of the required items again, from the record's bytes; never cached.

    Args:
        approvers: The people enrolled now.
        subject: What is about to be done, with the digest computed now.
        entries: The record.
        items: The items that must be ticked.
        round: The release's round.
        signatures: Whether only SSH signatures count.
        counted: Names of the proofs that were verified right before the first change.

    Returns:
        One sentence a problem, empty if all are ticked; and the proofs that hold.
    """

    def check() -> tuple[list[str], list[Proof]]:
        proofs = [ticks_in(entry)[1] for entry in ticks_of(entries, round=round)]
        trust = trust_in(approvers, proofs, signatures=signatures, counted=counted)
        return ticks_problems(entries, items=items, subject=subject, trust=trust, round=round)

    return await asyncio.to_thread(check)


@task(**OBSERVE)
async def publish_progress(page: str, *, service: str) -> None:
    """Write how far the checklist is as the artifact `checklist-SERVICE`."""
    await acreate_markdown_artifact(hide(page), key=f"checklist-{service}", description="Who has ticked what, and what is open")
