"""Override: one person, by name and proof, lets one release go on although certain freezes hold it or windows are closed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from tasks.rules.approval.gates import Gate
from tasks.rules.approval.proofs import ApprovedAction, Proof, Trust, same_name, verify_proofs
from tasks.rules.approval.statement import Value, canonical_json, nonce_of
from tasks.rules.policy.rules import Allowed

GATE = "override"
LASTS = timedelta(hours=12)  # then another override is needed
OPEN_FOR = timedelta(minutes=15)


class Override(Value):
    """What is set aside for one release, freezes by id and `windows`, and the proof of who said so; its comment is the reason."""

    holds: Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]
    proof: Proof


def gate_of(run: str, holds: Collection[str], *, service: str, version: str, allowed: Allowed, at: datetime) -> Gate:
    """Make the question whether these holds are set aside for a release; the answer is bound to them and to it."""
    return Gate(
        run=run, name=GATE, digest=digest_of(holds), service=service, version=version, requester="",
        opened_at=at - OPEN_FOR, expires_at=at + OPEN_FOR, approvers=allowed.who, quorum=allowed.people, nonce=nonce_of(GATE, run),
    )  # fmt: skip


def digest_of(holds: Collection[str]) -> str:
    """Give the SHA-256 of what is set aside."""
    return hashlib.sha256(canonical_json({"holds": sorted(holds)}).encode()).hexdigest()


def in_force(
    found: Iterable[Override], *, run: str, service: str, version: str, allowed: Allowed, trust: Trust, at: datetime
) -> list[Override]:
    """List the overrides of a release that count: proved, by people who may now, not too old, and enough of them for the same.

    Args:
        found: What is kept for the release.
        run: Its flow run id.
        service: Its service.
        version: Its version, as its record was opened with.
        allowed: Who may, and how many must.
        trust: What the proofs are verified with.
        at: The moment (UTC).
    """

    def counts(one: Override) -> bool:
        subject = ApprovedAction(run, GATE, service, version, digest_of(one.holds))
        problems = verify_proofs([one.proof], subject=subject, trust=trust, approvers=allowed.who, quorum=1, requester="")
        return not problems and at - one.proof.at < LASTS

    good = [one for one in found if counts(one)]

    def people(holds: Collection[str]) -> int:
        return len({same_name(one.proof.approver) for one in good if set(one.holds) == set(holds)})

    return [one for one in good if people(one.holds) >= allowed.people]


def set_aside(found: Sequence[Override]) -> frozenset[str]:
    """Give everything that overrides set aside."""
    return frozenset(hold for one in found for hold in one.holds)
