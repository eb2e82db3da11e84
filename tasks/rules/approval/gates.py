"""Approval gate: one question to people about one digest, and its state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from tasks.rules.approval.proofs import Proof, same_name, same_person
from tasks.rules.approval.statement import FORWARD, Decision, Digest, Nonce, Question, ShortText, Value

AGAIN = "request the release again"

State = Literal["open", "approved", "rejected", "postponed", "skipped", "expired", "locked"]


class Gate(Value):
    """Gate: one question to people whether this digest may be deployed.

    Fields:
        run: Flow run id of the release.
        name: The gate's name, `production`.
        question: Number of this question, from 1; a new try or a new digest is a new question.
        digest: What is to be approved, lower-case hexadecimal.
        service: Name of the service.
        version: Version under release.
        nonce: 128 random bits of this question, lower-case hexadecimal.
        requester: Who requested the release; cannot approve it.
        requester_confirms: Whether the requester must confirm the request, by an answer that does not count towards `quorum`.
        opened_at: When the gate opened.
        expires_at: From this moment on nothing counts.
        approvers: Names that may approve.
        quorum: How many different people must approve; 0 needs no approval.
        max_wrong_codes: This many wrong codes lock the gate; not one that may be postponed, which anyone could so postpone each time.
        signatures: `required` accepts an approval only with the approver's own SSH signature; a rejection needs none.
    """

    run: Annotated[str, Field(min_length=1, max_length=64)]
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    question: Annotated[int, Field(ge=1)] = 1
    digest: Digest
    service: ShortText
    version: ShortText
    nonce: Nonce
    requester: Annotated[str, Field(max_length=200)]
    requester_confirms: bool = False
    opened_at: AwareDatetime
    expires_at: AwareDatetime
    approvers: tuple[ShortText, ...]
    quorum: Annotated[int, Field(ge=0)] = 1
    max_wrong_codes: Annotated[int, Field(ge=1)] = 5
    signatures: Literal["accepted", "required"] = "accepted"

    @model_validator(mode="after")
    def _opens_before_it_ends(self) -> Self:
        if self.expires_at <= self.opened_at:
            message = "a gate must expire after it opens"
            raise ValueError(message)
        return self

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What may be answered."""
        return self.asked().decisions

    @property
    def may_postpone(self) -> bool:
        """Whether it may be postponed."""
        return "postpone" in self.decisions

    @property
    def may_skip(self) -> bool:
        """Whether the host that it asks about may be left out."""
        return "skip" in self.decisions

    @property
    def key(self) -> str:
        """The key under which this question is asked and answered: `production-1`."""
        return f"{self.name}-{self.question}"

    def asked(self) -> Question:
        """What an answer to this question is bound to."""
        bound = {name: getattr(self, name) for name in ("run", "question", "service", "version", "digest", "nonce")}
        return Question(gate=self.name, **bound)

    def challenge(self, decision: str) -> str:
        """What a code for a decision answers."""
        return self.asked().challenge(decision)


class GateState(Value):
    """State of a gate: the state, why, who approved (in order), how many are missing, and whether the requester must still confirm.

    A host may be left out by as many people as would approve.

    Fields:
        fix: What to do about it, if this is the release's own gate; "" if there is nothing to do.
        skipped_by: Who said to leave the host out, in order.
    """

    state: State
    why: str
    fix: str = ""
    approved_by: tuple[str, ...] = ()
    skipped_by: tuple[str, ...] = ()
    missing: int = 0
    unconfirmed: bool = False

    @property
    def reason(self) -> str:
        """Why, and what to do about it."""
        return f"{self.why}; {self.fix}" if self.fix else self.why


def gate_state(gate: Gate, proofs: Sequence[Proof], *, wrong_codes: int, now: datetime) -> GateState:
    """Return the state of a gate.

    Args:
        gate: The question; its approvals may come from earlier questions about the same digest.
        proofs: What was accepted in this run.
        wrong_codes: How many wrong codes this gate has seen.
        now: The clock.
    """
    votes = votes_of(gate, proofs)
    rejection = next((proof for proof in votes if proof.decision == "reject"), None)
    later = next((proof for proof in votes if proof.decision == "postpone"), None)
    said = said_last(votes)
    approved_by, skipped_by = (
        tuple(name for name, one in said.items() if one == decision and not is_requester(gate, name)) for decision in ("approve", "skip")
    )
    fix = ""
    missing = max(0, gate.quorum - len(approved_by))
    unconfirmed = gate.requester_confirms and not any(is_requester(gate, name) for name in said)
    if rejection:
        words = f": {rejection.comment}" if rejection.comment else ""
        state, reason = "rejected", f"{rejection.approver} rejected at {moment_text(rejection.at)}{words}"
    elif later:
        state, reason = "postponed", f"{later.approver} said to wait at {moment_text(later.at)}"
    elif skipped_by and len(skipped_by) >= gate.quorum and not unconfirmed:
        state, reason = "skipped", f"left out by {', '.join(skipped_by)}"
    elif not missing and not unconfirmed:
        state, reason = "approved", f"approved by {', '.join(approved_by)}" if approved_by else "the plan does not require approval"
        reason += f"; {gate.requester} confirmed the request" if gate.requester_confirms else ""
    elif wrong_codes >= gate.max_wrong_codes and not gate.may_postpone:
        state, reason, fix = "locked", f"{wrong_codes} wrong codes, {gate.max_wrong_codes} are allowed", AGAIN
    elif now >= gate.expires_at:
        own = f", and {gate.requester} did not confirm the request" if unconfirmed else ""
        reason = f"{len(approved_by)} of {gate.quorum} approvals by {moment_text(gate.expires_at)}{own}"
        state, fix = "expired", AGAIN
    else:
        also = f"{', '.join(skipped_by)} said to leave the host out; " if skipped_by else ""
        state, reason = "open", also + _open_reason(gate, approved_by, missing, unconfirmed=unconfirmed)
    people = {"approved_by": approved_by, "skipped_by": skipped_by, "missing": missing, "unconfirmed": unconfirmed}
    return GateState.model_validate({"state": state, "why": reason, "fix": fix, **people})


def is_requester(gate: Gate, name: str) -> bool:
    """Return whether this very name, as it is compared, requested the release."""
    return same_name(name) == same_name(gate.requester)


def said_last(votes: Iterable[Proof]) -> dict[str, Decision]:
    """Give the way to go on that each person said last; the first time that a person said one orders them."""
    said: dict[str, Decision] = {}
    for proof in votes:
        if proof.decision in FORWARD:
            said[proof.approver] = proof.decision
    return said


def votes_of(gate: Gate, proofs: Iterable[Proof]) -> list[Proof]:
    """Keep the proofs that speak about this gate and digest; a way to go on counts only from a person who may approve or confirm."""
    may_approve = {same_name(name) for name in gate.approvers if not same_person(name, gate.requester)}
    if gate.requester_confirms:
        may_approve.add(same_name(gate.requester))
    bound = [proof for proof in proofs if (proof.run, proof.gate, proof.digest) == (gate.run, gate.name, gate.digest)]
    return [proof for proof in bound if proof.decision not in FORWARD or proof.approver in may_approve]


def moment_text(moment: datetime) -> str:
    """Write a moment for people, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _open_reason(gate: Gate, approved_by: tuple[str, ...], missing: int, *, unconfirmed: bool) -> str:
    so_far = f"{', '.join(approved_by)} approved; " if approved_by else ""
    approvals = f"{missing} of {gate.quorum} approval{'s' if gate.quorum > 1 else ''} missing" if missing else ""
    own = f"{gate.requester} must confirm the request" if unconfirmed else ""
    return f"{so_far}{', '.join(part for part in (approvals, own) if part)}, until {moment_text(gate.expires_at)}"
