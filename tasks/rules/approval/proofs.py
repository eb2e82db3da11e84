"""Proofs of approval: one person's answer at one gate, proved so that it can be verified again before production.

Two kinds. `ssh`: the person's own SSH signature over the statement (`tasks.rules.approval.statement`); nothing on server,
storage or worker can make one. `code`: the worker saw a code that answers the challenge of question and decision, and seals that with
HMAC-SHA256 (RFC 2104) over the canonical JSON of all other fields; its key lives beside the worker and never enters the API. It names the
entry whose secret answered, so it is void once that was replaced, or removed and made anew.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AwareDatetime, Field, ValidationError

from tasks.rules.approval.statement import Bound, Decision, Question, canonical_json

MAX_COMMENT_CHARACTERS = 500
MAX_SIGNATURE_CHARACTERS = 8_192
SAID: Mapping[Decision, str] = {
    "approve": "approved", "postpone": "said to wait", "reject": "rejected", "skip": "said to leave the host out",
}  # fmt: skip
"""What a person did by a decision."""
LOOK_ALIKES = str.maketrans("01", "ol")
CheckSignature = Callable[[str, bytes, str], str]
"""Takes a person, a statement and an armored SSH signature; returns why it does not hold, or ""."""


class Proof(Bound):
    """One accepted answer, bound to run, gate, question, service, version and digest.

    Fields:
        kind: `ssh`, or `code`.
        approver: Name of the person.
        decision: `approve`, `reject`, or where that is offered `postpone` or `skip`.
        at: When the answer arrived.
        entry: SHA-256 of the enrolled entry whose secret answered; "" in a proof of kind `ssh`.
        comment: The person's words; signed by the person in a proof of kind `ssh`, by the worker in one of kind `code`.
        signature: The armored SSH signature, or the HMAC-SHA256 in lower-case hexadecimal.
    """

    kind: Literal["code", "ssh"]
    approver: Annotated[str, Field(min_length=1, max_length=64)]
    decision: Decision
    at: AwareDatetime
    entry: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARACTERS)] = ""
    signature: Annotated[str, Field(max_length=MAX_SIGNATURE_CHARACTERS)] = ""

    def signed(self, key: bytes) -> Self:
        """Return this proof with its seal under `key`."""
        return self.model_copy(update={"signature": self._seal(key)})

    def is_signed_by(self, key: bytes) -> bool:
        """Return whether the seal was made under `key`, in constant time."""
        return hmac.compare_digest(self.signature.encode(), self._seal(key).encode())

    def name(self) -> str:
        """Name this proof, signature included: no other one has its SHA-256."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json")).encode()).hexdigest()

    def statement(self) -> bytes:
        """Write the statement that this proof says was signed."""
        asked = Question.model_validate({name: getattr(self, name) for name in Bound.model_fields})
        return asked.statement(self.decision, self.approver, self.comment)

    def _seal(self, key: bytes) -> str:
        if len(key) < hashlib.sha256().digest_size:
            message = f"a signing key has at least 32 bytes, not {len(key)}"
            raise ValueError(message)
        body = self.model_dump(mode="json", exclude={"signature"})
        return hmac.new(key, canonical_json(body).encode(), hashlib.sha256).hexdigest()


class Trust(NamedTuple):
    """What proofs are verified with.

    Fields:
        key: The key that seals codes.
        enrolled: Who has a secret for codes now, with the entry that it is of.
        check_signature: The check of SSH signatures.
        signatures: Which kinds count.
        counted: Names of proofs for which it no longer matters who is enrolled now.
    """

    key: bytes
    enrolled: Mapping[str, str]
    check_signature: CheckSignature
    signatures: Literal["accepted", "required"] = "accepted"
    counted: Collection[str] = ()


class ApprovedAction(NamedTuple):
    """What is about to be done: run, gate, service, version, and the digest computed now."""

    run: str
    gate: str
    service: str
    version: str
    digest: str


def verify_proofs(
    proofs: Sequence[object],
    *,
    subject: ApprovedAction,
    trust: Trust,
    approvers: Collection[str],
    quorum: int,
    requester: str,
    requester_confirms: bool = False,
) -> list[str]:
    """Return what is wrong with the approvals of a gate; an empty list means that it is approved.

    Every proof is verified again from its bytes: form, signature, binding, person, decision. Anything that cannot be
    read is a problem, never an approval.

    Args:
        proofs: As stored: proofs, or their JSON objects.
        subject: What is about to be done.
        trust: What the proofs are verified with.
        approvers: Who may approve, by the plan.
        quorum: How many different people must have approved.
        requester: Who asked for the release; does not count.
        requester_confirms: Whether the requester must have confirmed the request, by a proof like the others.

    Returns:
        One sentence a problem.
    """
    problems: list[str] = []
    agreed: set[str] = set()
    allowed = {same_name(name) for name in approvers if not same_person(name, requester)}
    own = {same_name(requester)} if requester_confirms else set()
    for number, raw in enumerate(proofs, start=1):
        found = read_proof(raw)
        reason = found if isinstance(found, str) else _fault(found, subject, trust, allowed | own, agreed)
        if reason:
            problems.append(f"proof {number}: {reason}")
        elif isinstance(found, Proof):
            agreed.add(found.approver)
    if own - {same_name(name) for name in agreed}:
        problems.append(f"{requester or 'the requester'} has not confirmed the request, which a policy requires")
    approved = sorted(name for name in agreed if same_name(name) not in own)
    if len(approved) < quorum:
        problems.append(f"{len(approved)} of {quorum} approvals are proved ({', '.join(approved) or 'none'})")
    return problems


def read_proof(raw: object) -> Proof | str:
    """Read a stored proof, or return why it is invalid; only the exact form that was written is accepted."""
    stored: Any = raw.model_dump(mode="json") if isinstance(raw, Proof) else raw
    if not isinstance(stored, Mapping):
        return f"is a {type(raw).__name__}, not an object"
    try:
        proof = Proof.model_validate(stored)
        exact = canonical_json(dict(stored)) == canonical_json(proof.model_dump(mode="json"))
    except ValidationError as error:
        fields = sorted({".".join(map(str, fault["loc"])) or "object" for fault in error.errors()})
        return f"cannot be read ({', '.join(fields)[:200]})"
    except (TypeError, ValueError):
        return "cannot be read"
    return proof if exact else "is not in the form in which it was signed"


def same_name(name: str) -> str:
    """Normalise a name for comparisons: NFKC, case folded, without spaces around it."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def same_person(name: str, other: str) -> bool:
    """Return whether two names may be those of one person, so that one cannot approve what the other requested.

    It errs towards yes: the domain of a mail address, dots, dashes, underscores and characters that do not print do not count,
    and `0` is `o`, `1` is `l`. Accepted names are ASCII, so no other letter looks like one of theirs.
    """
    return _look(name) == _look(other)


def _look(name: str) -> str:
    local = same_name(name).partition("@")[0]
    shown = "".join(sign for sign in local if unicodedata.category(sign)[0] not in "CZ" and sign not in "._-")
    return shown.translate(LOOK_ALIKES)


def _fault(proof: Proof, subject: ApprovedAction, trust: Trust, allowed: set[str], agreed: set[str]) -> str:
    """Return why a readable proof is not an approval here; "" if it is one."""
    checks = (
        (proof.run != subject.run, f"is for run {proof.run}, not {subject.run}"),
        (proof.gate != subject.gate, f"is for gate {proof.gate}, not {subject.gate}"),
        (
            (proof.service, proof.version) != (subject.service, subject.version),
            f"is for {proof.service} {proof.version}, not {subject.service} {subject.version}",
        ),
        (
            proof.digest != subject.digest,
            f"is for digest {proof.digest[:12]}, not {subject.digest[:12]}; what would change is not what was approved",
        ),
        (proof.decision != "approve", f"{proof.approver} {SAID[proof.decision]}"),
        (proof.approver not in allowed, f"{proof.approver} may not approve this release"),
        (proof.approver in agreed, f"{proof.approver} is counted already"),
    )
    return _unproved(proof, trust) or next((reason for failed, reason in checks if failed), "")


def _unproved(proof: Proof, trust: Trust) -> str:
    if proof.kind == "ssh":
        fault = trust.check_signature(proof.approver, proof.statement(), proof.signature)
        return f"its SSH signature is not valid: {fault}" if fault else ""
    if not proof.is_signed_by(trust.key):
        return "its signature is not valid; it was forged, altered, or signed with another key"
    if trust.signatures == "required":
        return "is a code, and an SSH signature is required"
    if trust.enrolled.get(proof.approver) == proof.entry or proof.name() in trust.counted:
        return ""
    gone = "has another secret by now than the one that answered" if proof.approver in trust.enrolled else "is not enrolled any more"
    return f"{proof.approver} {gone}"
