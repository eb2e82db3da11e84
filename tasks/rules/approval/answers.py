"""Approval policy: whose answer counts, and when.

A proof is an SSH signature over the statement, or a code that answers the challenge of question and decision. Neither says anything
about another run, question, service, version, digest or decision, so none can be used twice.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, SecretStr

from tasks.rules.approval.gates import Gate, is_requester, moment_text, said_last, votes_of
from tasks.rules.approval.one_time_codes import CODE_DIGITS, is_code_of
from tasks.rules.approval.proofs import (
    MAX_COMMENT_CHARACTERS,
    MAX_SIGNATURE_CHARACTERS,
    SAID,
    CheckSignature,
    Proof,
    same_name,
    same_person,
)
from tasks.rules.approval.statement import FORWARD, Decision, Value

MAX_UNREAD = timedelta(hours=1)
MAX_CLOCK_DIFFERENCE = timedelta(seconds=30)
MAX_WRONG_CODES_AN_HOUR = 10

Outcome = Literal[
    "accepted",
    "rejected",
    "postponed",
    "skipped",
    "wrong_code",
    "unknown_person",
    "not_allowed",
    "requester",
    "wrong_signature",
    "signature_required",
    "late",
    "already_answered",
    "malformed",
    "throttled",
]


class Secret(NamedTuple):
    """A person's base32 secret for codes, and the SHA-256 of the entry that it is of."""

    value: SecretStr
    entry: str


class Answer(Value):
    """Answer as typed; untrusted. Made by `read_answer`."""

    decision: str
    approver: str
    code: str
    signature: str
    comment: str
    received_at: AwareDatetime


class AnswerVerdict(Value):
    """AnswerVerdict of one answer.

    Fields:
        outcome: `accepted`, `rejected`, `postponed` and `skipped` come with a proof; every other outcome leaves the gate as it was.
        reason: One sentence for the person who answered.
        approver: The name as compared, possibly unknown.
        proof: The signed proof, or None.
    """

    outcome: Outcome
    reason: str
    approver: str = ""
    proof: Proof | None = None

    @property
    def is_wrong_code(self) -> bool:
        """Whether this answer counts against the gate's `max_wrong_codes`."""
        return self.outcome == "wrong_code"


def read_answer(form: object, *, received_at: datetime) -> Answer:
    """Parse a posted form as an answer; a value that is not text becomes empty text, which the judgement refuses.

    Args:
        form: The posted object with `decision`, `approver`, `code`, `signature`, `comment`.
        received_at: When the server received it, with time zone.

    Returns:
        The answer, with bounded and printable fields.
    """
    fields: Mapping[object, object] = form if isinstance(form, Mapping) else {}
    text = {name: fields.get(name) for name in ("decision", "approver", "code", "comment")}
    clean = {name: printable(value) if isinstance(value, str) else "" for name, value in text.items()}
    return Answer(
        decision=clean["decision"][:32].lower(),
        approver=clean["approver"][:64],
        code=clean["code"].replace(" ", "")[:32],
        signature=_armored(fields.get("signature")),
        comment=as_comment(clean["comment"]),
        received_at=received_at,
    )


def as_comment(text: str) -> str:
    """Bound a comment as it is signed and kept."""
    return printable(text)[:MAX_COMMENT_CHARACTERS].strip()


def _armored(signature: object) -> str:
    """Keep the lines of an armored signature; one that is too long is cut, which spoils it."""
    lines = signature[: MAX_SIGNATURE_CHARACTERS + 1].splitlines() if isinstance(signature, str) else []
    return "".join(f"{printable(line)}\n" for line in lines)[:MAX_SIGNATURE_CHARACTERS] if any(lines) else ""


def printable(text: str) -> str:
    """Put a space for every character that does not print (controls, direction marks, line breaks, surrogates)."""
    spaced = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text[:10_000])
    return " ".join(spaced.split())


def judge_answer(
    gate: Gate,
    answer: Answer,
    *,
    enrolled: Mapping[str, Secret],
    check_signature: CheckSignature,
    wrong_last_hour: Mapping[str, int],
    proofs: Sequence[Proof],
    key: bytes,
    now: datetime,
) -> AnswerVerdict:
    """Judge one answer to a gate.

    Args:
        gate: The question.
        answer: What was typed, and when the server received it.
        enrolled: Secrets by lower-case name.
        check_signature: Verifies an SSH signature by a person's name, a statement, and the armored signature.
        wrong_last_hour: Wrong codes by name over all runs, without this very question's.
        proofs: What this gate accepted so far.
        key: The key that seals proofs by code, at least 32 bytes.
        now: The clock.

    Returns:
        The outcome with its reason; `accepted`, `rejected`, `postponed` and `skipped` carry a proof.
    """
    name = same_name(answer.approver)
    refusals: tuple[tuple[Outcome, str], ...] = (
        ("malformed", _malformed(gate, answer, now)),
        ("late", _late(gate, answer, now)),
        ("already_answered", _answered(gate, proofs, name, answer.decision)),
        ("requester", _own_request(gate, name, answer.decision)),
        ("not_allowed", _not_listed(gate, name)),
    )
    for outcome, reason in refusals:
        if reason:
            return AnswerVerdict(outcome=outcome, reason=reason, approver=name)
    proof = _proof(gate, answer, name)
    if answer.signature:
        found = _judge_signature(proof, check_signature)
    else:
        found = _judge_code(gate, answer, name, enrolled=enrolled, wrong=wrong_last_hour.get(name, 0))
        proof = proof if found else proof.model_copy(update={"entry": enrolled[name].entry}).signed(key)
    if found:
        return AnswerVerdict(outcome=found[0], reason=found[1], approver=name)
    outcomes: dict[Decision, Outcome] = {"approve": "accepted", "postpone": "postponed", "reject": "rejected", "skip": "skipped"}
    return AnswerVerdict(outcome=outcomes[proof.decision], reason=f"{name} {SAID[proof.decision]}", approver=name, proof=proof)


def _judge_signature(proof: Proof, check: CheckSignature) -> tuple[Outcome, str] | None:
    fault = check(proof.approver, proof.statement(), proof.signature)
    return (
        ("wrong_signature", f"the SSH signature is not one of {proof.approver} over this question and decision: {fault}") if fault else None
    )


def _judge_code(gate: Gate, answer: Answer, name: str, *, enrolled: Mapping[str, Secret], wrong: int) -> tuple[Outcome, str] | None:
    if name not in enrolled:
        return "unknown_person", f"{name!r} is not enrolled for codes; `shipway approvers list` shows who is"
    if answer.decision in FORWARD and gate.signatures == "required":
        return "signature_required", "a policy requires an SSH signature; answer with `shipway approve`"
    good = is_code_of(enrolled[name].value, gate.challenge(answer.decision), answer.code)
    # Wrong codes of others must not keep a person from stopping a release: what is right and lets nothing go forward always counts.
    if wrong >= MAX_WRONG_CODES_AN_HOUR and not (good and answer.decision not in FORWARD):
        guessed = f"{wrong} wrong codes were given for {name} within an hour over all releases"
        return "throttled", f"{guessed}; sign with an SSH key, or answer later, and check who is guessing"
    return None if good else ("wrong_code", f"the code of {name} does not answer the challenge to {answer.decision} this question")


def _malformed(gate: Gate, answer: Answer, now: datetime) -> str:
    if answer.decision not in gate.decisions:
        return f"the decision must be {' or '.join(f'`{one}`' for one in gate.decisions)}"
    if not answer.approver:
        return "the answer does not name an approver"
    if not answer.signature and not re.fullmatch(rf"[0-9]{{{CODE_DIGITS}}}", answer.code):
        return f"a code has {CODE_DIGITS} digits; `shipway code` computes it from the challenge"
    if gate.opened_at - min(answer.received_at, now) > MAX_CLOCK_DIFFERENCE:
        return f"the clock went back behind {moment_text(gate.opened_at)}, when the gate opened; synchronise the clocks"
    ahead = answer.received_at - now
    return f"the answer comes {ahead.total_seconds():.0f} s from the future; synchronise the clocks" if ahead > MAX_CLOCK_DIFFERENCE else ""


def _late(gate: Gate, answer: Answer, now: datetime) -> str:
    if answer.received_at >= gate.expires_at:
        return f"the gate closed at {moment_text(gate.expires_at)}; request the release again"
    if now - answer.received_at > MAX_UNREAD:
        return f"the answer of {moment_text(answer.received_at)} was read only at {moment_text(now)}; answer again"
    return ""


def _answered(gate: Gate, proofs: Iterable[Proof], name: str, decision: str) -> str:
    votes = votes_of(gate, proofs)
    rejection = next((proof for proof in votes if proof.decision == "reject"), None)
    if rejection:
        return f"{rejection.approver} rejected this release at {moment_text(rejection.at)}; nothing more can be answered"
    if any(proof.decision == "postpone" for proof in votes) and decision != "reject":
        return "it was said to wait; nothing more can be answered"
    said = said_last(votes)
    confirmed = any(is_requester(gate, one) for one in said) or not gate.requester_confirms
    for one, words, needed in (("approve", "the gate is approved", gate.quorum), ("skip", "the host is left out", max(gate.quorum, 1))):
        if confirmed and sum(own == one and not is_requester(gate, person) for person, own in said.items()) >= needed:
            return f"{words}; nothing more can be answered"
    # While others are missing, an approver may still withdraw an approval by rejecting, or say the other of two ways to go on.
    return f"{name} {SAID[said[name]]} already; another person is needed" if name in said and decision == said[name] else ""


def _own_request(gate: Gate, name: str, decision: str) -> str:
    own = decision in FORWARD and same_person(name, gate.requester) and not (gate.requester_confirms and is_requester(gate, name))
    as_whom = "" if name == same_name(gate.requester) else f" as {gate.requester}"
    return f"{name} requested this release{as_whom} and cannot approve it; another approver must" if own else ""


def _not_listed(gate: Gate, name: str) -> str:
    # The requester gets this far only with a rejection or a confirmation: neither needs a listing.
    listed = {same_name(approver) for approver in gate.approvers} | {same_name(gate.requester)}
    return "" if name in listed else f"the plan does not list {name} as an approver; it lists {', '.join(gate.approvers) or 'none'}"


def _proof(gate: Gate, answer: Answer, name: str) -> Proof:
    return Proof.model_validate(
        {
            "kind": "ssh" if answer.signature else "code",
            **gate.asked().model_dump(exclude={"format"}),
            "approver": name,
            "decision": answer.decision,
            "at": answer.received_at.astimezone(UTC),
            "comment": answer.comment,
            "signature": answer.signature,
        }
    )
