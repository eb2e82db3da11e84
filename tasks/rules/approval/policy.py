"""Approval policy: whose answer counts, and when.

A one-time code at or before the last one accepted from a person is used up, in any run.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, SecretStr

from tasks.rules.approval.gates import Gate, moment_text, votes_of
from tasks.rules.approval.one_time_codes import matching_counter
from tasks.rules.approval.proofs import MAX_COMMENT_CHARACTERS, Proof, Value, same_name, same_person

MAX_UNREAD = timedelta(hours=1)
MAX_CLOCK_DIFFERENCE = timedelta(seconds=30)
MAX_WRONG_CODES_AN_HOUR = 10

Outcome = Literal[
    "accepted",
    "rejected",
    "wrong_code",
    "unknown_person",
    "not_allowed",
    "requester",
    "reused_code",
    "late",
    "already_answered",
    "malformed",
    "throttled",
]


class Answer(Value):
    """Answer as typed; untrusted. Made by `read_answer`."""

    decision: str
    approver: str
    code: str
    comment: str
    received_at: AwareDatetime


class Judgement(Value):
    """Judgement of one answer.

    Fields:
        outcome: `accepted` and `rejected` come with a proof; every other outcome leaves the gate as it was.
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
        form: The posted object with `decision`, `approver`, `code`, `comment`.
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
        comment=clean["comment"][:MAX_COMMENT_CHARACTERS].strip(),
        received_at=received_at,
    )


def printable(text: str) -> str:
    """Put a space for every character that does not print (controls, direction marks, line breaks, surrogates)."""
    spaced = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text[:10_000])
    return " ".join(spaced.split())


def judge_answer(
    gate: Gate,
    answer: Answer,
    *,
    enrolled: Mapping[str, SecretStr],
    used: Collection[tuple[str, int]],
    wrong_last_hour: Mapping[str, int],
    proofs: Sequence[Proof],
    key: bytes,
    now: datetime,
) -> Judgement:
    """Judge one answer to a gate.

    Args:
        gate: The question.
        answer: What was typed, and when the server received it; the code is judged by that time.
        enrolled: Base32 secrets by lower-case name.
        used: Names and counters accepted before, in any run, without what this very question itself has used.
        wrong_last_hour: Wrong codes by name over all runs, without this very question's.
        proofs: What this gate accepted so far.
        key: The signing key, at least 32 bytes.
        now: The clock.

    Returns:
        The outcome with its reason; `accepted` and `rejected` carry a signed proof.
    """
    name = same_name(answer.approver)
    counter = matching_counter(enrolled[name], answer.code, at=answer.received_at) if name in enrolled else None
    refusals: tuple[tuple[Outcome, str], ...] = (
        ("malformed", _malformed(answer, now)),
        ("late", _late(gate, answer, now)),
        ("already_answered", _answered(gate, proofs, name, answer.decision)),
        ("unknown_person", "" if name in enrolled else f"{name!r} is not enrolled; `shipway approvers list` shows who is"),
        ("requester", _own_request(gate, name, answer.decision)),
        ("not_allowed", _not_listed(gate, name)),
        ("throttled", _throttled(name, wrong_last_hour)),
        (
            "wrong_code",
            "" if counter is not None else f"the code is not one of {name} at {moment_text(answer.received_at)}; wait for the next one",
        ),
        ("reused_code", _reused(name, counter, used)),
    )
    for outcome, reason in refusals:
        if reason:
            return Judgement(outcome=outcome, reason=reason, approver=name)
    return _accept(gate, answer, name=name, counter=counter or 0, key=key)


def _malformed(answer: Answer, now: datetime) -> str:
    if answer.decision not in ("approve", "reject"):
        return "the decision must be `approve` or `reject`"
    if not answer.approver:
        return "the answer does not name an approver"
    if not re.fullmatch(r"[0-9]{6}", answer.code):
        return "a one-time code has six digits"
    ahead = answer.received_at - now
    return f"the answer comes {ahead.total_seconds():.0f} s from the future; synchronise the clocks" if ahead > MAX_CLOCK_DIFFERENCE else ""


def _late(gate: Gate, answer: Answer, now: datetime) -> str:
    if answer.received_at >= gate.expires_at:
        return f"the gate closed at {moment_text(gate.expires_at)}; request the release again"
    if now - answer.received_at > MAX_UNREAD:
        return f"the answer of {moment_text(answer.received_at)} was read only at {moment_text(now)}; answer again with a new code"
    return ""


def _answered(gate: Gate, proofs: Iterable[Proof], name: str, decision: str) -> str:
    votes = votes_of(gate, proofs)
    rejection = next((proof for proof in votes if proof.decision == "reject"), None)
    if rejection:
        return f"{rejection.approver} rejected this release at {moment_text(rejection.at)}; nothing more can be answered"
    approved = {proof.approver for proof in votes}
    if len(approved) >= gate.quorum:
        return "the gate is approved; nothing more can be answered"
    # An approver may still withdraw an approval by rejecting, while others are missing.
    return f"{name} approved already; another person is needed" if name in approved and decision == "approve" else ""


def _own_request(gate: Gate, name: str, decision: str) -> str:
    own = decision == "approve" and same_person(name, gate.requester)
    as_whom = "" if name == same_name(gate.requester) else f" as {gate.requester}"
    return f"{name} requested this release{as_whom} and cannot approve it; another approver must" if own else ""


def _not_listed(gate: Gate, name: str) -> str:
    # The requester gets this far only with a rejection: withdrawing one's own request needs no listing.
    listed = {same_name(approver) for approver in gate.approvers} | {same_name(gate.requester)}
    return "" if name in listed else f"the plan does not list {name} as an approver; it lists {', '.join(gate.approvers) or 'none'}"


def _throttled(name: str, wrong_last_hour: Mapping[str, int]) -> str:
    wrong = wrong_last_hour.get(name, 0)
    if wrong < MAX_WRONG_CODES_AN_HOUR:
        return ""
    return f"{wrong} wrong codes were given for {name} within an hour over all releases; answer later, and check who is guessing"


def _reused(name: str, counter: int | None, used: Iterable[tuple[str, int]]) -> str:
    last = max((step for person, step in used if person == name), default=-1)
    return "this code, or a later one, was used before; wait for the next one" if counter is not None and counter <= last else ""


def _accept(gate: Gate, answer: Answer, *, name: str, counter: int, key: bytes) -> Judgement:
    proof = Proof.model_validate(
        {
            "run": gate.run,
            "gate": gate.name,
            "question": gate.question,
            "digest": gate.digest,
            "approver": name,
            "decision": answer.decision,
            "counter": counter,
            "at": answer.received_at.astimezone(UTC),
            "comment": answer.comment,
        }
    ).signed(key)
    outcome: Outcome = "accepted" if proof.decision == "approve" else "rejected"
    return Judgement(outcome=outcome, reason=f"{name} {'approved' if outcome == 'accepted' else 'rejected'}", approver=name, proof=proof)
