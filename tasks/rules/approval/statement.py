"""Statement of an approval: what one person says about one question. Both kinds of proof are made over it, and over nothing less."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Decision = Literal["approve", "postpone", "reject", "skip"]
FORWARD: frozenset[str] = frozenset({"approve", "skip"})  # with these a release goes on, so as many people must say so, by the same proofs
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{8,128}$")]
Nonce = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
ShortText = Annotated[str, Field(min_length=1, max_length=200)]

NAMESPACE = "shipway-approval@v1"
OF_A_CHECKLIST = "checklist-"  # how the names of gates begin at which people tick items
OF_A_WINDOW = "window-"  # how the names of gates begin that ask whether to begin in a window that may be too short
OF_A_STEP = "step-"  # and of those that ask about a step that showed neither side
OF_A_SCRIPT = "script-"  # and of those that ask about a script that failed
OF_A_HOST = "script-host-"  # of these, if the release may go on without the host on which it failed
CHALLENGE_CHARACTERS = 16  # of five bits each
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
READ_AS = str.maketrans("OIL", "011", " -")  # as Crockford's base 32 is read


class Value(BaseModel):
    """Frozen model without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bound(Value):
    """What both a question and the proof of an answer are bound to.

    Fields:
        run: Flow run id of the release.
        gate: Name of the gate.
        question: Number of the question at that gate, from 1.
        service: Name of the service.
        version: Version under release.
        digest: What is to be approved, lower-case hexadecimal.
        nonce: 128 random bits, drawn when the question is asked and kept in the record: without them, who chooses plans could look for two
            whose questions have the same challenge.
    """

    run: Annotated[str, Field(min_length=1, max_length=64)]
    gate: Annotated[str, Field(min_length=1, max_length=64)]
    question: Annotated[int, Field(ge=1)]
    service: ShortText
    version: ShortText
    digest: Digest
    nonce: Nonce


class Question(Bound):
    """What is asked, without who answers: a change of any field is another question; `format` is the version of this format."""

    format: Literal["shipway-approval/2"] = "shipway-approval/2"

    @property
    def is_checklist(self) -> bool:
        """Whether people tick items by an answer."""
        return self.gate.startswith(OF_A_CHECKLIST)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What may be answered: one person may also say to wait for another time, at a window that may be too short.

        A host whose script failed may be left out, by as many people as would approve.

        Ticks of a checklist are approved by who says that they are so; what is not so is left open.
        """
        if self.is_checklist:
            return ("approve",)
        if self.gate.startswith(OF_A_HOST):
            return ("approve", "skip", "reject")
        return ("approve", "postpone", "reject") if self.gate.startswith(OF_A_WINDOW) else ("approve", "reject")

    def statement(self, decision: str, approver: str, comment: str = "") -> bytes:
        """Write what a person signs: the canonical JSON of this question, the decision, the person and the comment."""
        said = {"decision": decision, "approver": approver, "comment": comment}
        return canonical_json({**self.model_dump(mode="json"), **said}).encode()

    def challenge(self, decision: str) -> str:
        """Shorten question and decision to what a person can type: 80 bits of SHA-256, as `7K3M-0QZV-…`.

        The person is bound by the secret that answers it. The comment is not: it is not written yet when the form is shown.
        """
        return _shortened(canonical_json({**self.model_dump(mode="json"), "decision": decision}))


def step_gate(target: str, percent: int | None) -> str:
    """Name the gate of a step; what a plan calls its target comes last, so that no name makes it a gate of another kind.

    Args:
        target: The target's own name; "" for a production without targets.
        percent: The step's share.
    """
    return f"{OF_A_STEP}{percent}-{target}" if target else f"{OF_A_STEP}{percent}"


def extended(challenge: str, said: str) -> str:
    """Bind a challenge to what is said besides, such as ticks: who can put other words in their place has no code for those."""
    return _shortened(canonical_json({"challenge": challenge.replace("-", ""), "said": said}))


def _shortened(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:10], "big")
    letters = "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(CHALLENGE_CHARACTERS)))
    return "-".join(letters[start : start + 4] for start in range(0, CHALLENGE_CHARACTERS, 4))


def nonce_of(*parts: str) -> str:
    """Derive the random part of a question from the random id of what it is about, so that it can be asked without a record."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def read_challenge(text: str) -> str | None:
    """Read a challenge as it was typed: in any case, with or without groups, with `O` for `0` and `I` or `L` for `1`.

    Returns:
        16 characters, or None if it is not a challenge.
    """
    letters = text.upper().translate(READ_AS)
    return letters if len(letters) == CHALLENGE_CHARACTERS and set(letters) <= set(ALPHABET) else None


def canonical_json(value: object) -> str:
    """Write JSON in the one form that is signed: sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
