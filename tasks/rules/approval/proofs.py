"""Proofs of approval: one person's answer at one gate, signed so that it can be verified again before production.

The signature is HMAC-SHA256 (RFC 2104) over the canonical JSON of all other fields. Its key lives beside the worker and
never enters the API, so that a writer to the API can neither forge nor alter a proof.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

Decision = Literal["approve", "reject"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{8,128}$")]
MAX_COMMENT_CHARACTERS = 500
LOOK_ALIKES = str.maketrans("01", "ol")


class Value(BaseModel):
    """Frozen model without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Proof(Value):
    """One accepted answer, bound to run, gate, question and digest.

    Fields:
        run: Flow run id of the release.
        gate: Name of the gate.
        question: Number of the question that was answered, from 1.
        digest: The digest of the decision, lower-case hexadecimal.
        approver: Enrolled name of the person.
        decision: `approve` or `reject`.
        counter: The 30-second step since the epoch whose one-time code was given.
        at: When the answer arrived.
        comment: The person's words.
        signature: HMAC-SHA256, lower-case hexadecimal.
    """

    run: Annotated[str, Field(min_length=1, max_length=64)]
    gate: Annotated[str, Field(min_length=1, max_length=64)]
    question: Annotated[int, Field(ge=1)]
    digest: Digest
    approver: Annotated[str, Field(min_length=1, max_length=64)]
    decision: Decision
    counter: Annotated[int, Field(ge=0)]
    at: AwareDatetime
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARACTERS)] = ""
    signature: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""

    def signed(self, key: bytes) -> Self:
        """Return this proof with its signature under `key`."""
        return self.model_copy(update={"signature": self._sign(key)})

    def is_signed_by(self, key: bytes) -> bool:
        """Return whether the signature was made under `key`, in constant time."""
        return hmac.compare_digest(self.signature, self._sign(key))

    def _sign(self, key: bytes) -> str:
        if len(key) < hashlib.sha256().digest_size:
            message = f"a signing key has at least 32 bytes, not {len(key)}"
            raise ValueError(message)
        body = self.model_dump(mode="json", exclude={"signature"})
        return hmac.new(key, canonical_json(body).encode(), hashlib.sha256).hexdigest()


def canonical_json(value: object) -> str:
    """Write JSON in the one form that is signed: sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def verify_proofs(
    proofs: Sequence[object],
    *,
    run: str,
    gate: str,
    digest: str,
    key: bytes,
    approvers: Collection[str],
    quorum: int,
    requester: str,
) -> list[str]:
    """Return what is wrong with the approvals of a gate; an empty list means that it is approved.

    Every proof is verified again from its bytes: form, signature, binding, person, decision. Anything that cannot be
    read is a problem, never an approval.

    Args:
        proofs: As stored: proofs, or their JSON objects.
        run: Flow run id that is about to act.
        gate: Name of the gate before it.
        digest: The digest of what is about to be done, computed now.
        key: The signing key, at least 32 bytes.
        approvers: Who may approve, by the plan.
        quorum: How many different people must have approved.
        requester: Who asked for the release; does not count.

    Returns:
        One sentence a problem.
    """
    problems: list[str] = []
    agreed: set[str] = set()
    allowed = {same_name(name) for name in approvers if not same_person(name, requester)}
    for number, raw in enumerate(proofs, start=1):
        found = read_proof(raw)
        reason = found if isinstance(found, str) else _fault(found, (run, gate, digest), key, allowed, agreed)
        if reason:
            problems.append(f"proof {number}: {reason}")
        elif isinstance(found, Proof):
            agreed.add(found.approver)
    if len(agreed) < quorum:
        problems.append(f"{len(agreed)} of {quorum} approvals are proved ({', '.join(sorted(agreed)) or 'none'})")
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


def _fault(proof: Proof, binding: tuple[str, str, str], key: bytes, allowed: set[str], agreed: set[str]) -> str:
    """Return why a readable proof is not an approval here; "" if it is one."""
    checks = (
        (not proof.is_signed_by(key), "its signature is not valid; it was forged, altered, or signed with another key"),
        (proof.run != binding[0], f"is for run {proof.run}, not {binding[0]}"),
        (proof.gate != binding[1], f"is for gate {proof.gate}, not {binding[1]}"),
        (
            proof.digest != binding[2],
            f"is for digest {proof.digest[:12]}, not {binding[2][:12]}; what would change is not what was approved",
        ),
        (proof.decision != "approve", f"{proof.approver} rejected"),
        (proof.approver not in allowed, f"{proof.approver} may not approve this release"),
        (proof.approver in agreed, f"{proof.approver} is counted already"),
    )
    return next((reason for failed, reason in checks if failed), "")
