"""Lifting a freeze: the question that a person answers by code or signature, and who may."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tasks.rules.approval.gates import Gate
from tasks.rules.approval.override import OPEN_FOR
from tasks.rules.approval.proofs import same_name
from tasks.rules.approval.statement import Question, canonical_json, nonce_of
from tasks.rules.policy.policy import Policy
from tasks.rules.windows.freeze import Freeze, whose
from tasks.rules.windows.words import moment_in_words

GATE = "unfreeze"
HOUR = timedelta(hours=1)  # an answer counts in the hour of its question, and in the next one: one that was kept back does not


def gate_of_lifting(freeze: Freeze, name: str, *, reason: str, at: datetime, asked_at: datetime | None = None) -> Gate:
    """Make the question whether a freeze is lifted, to one person; the answer is bound to this very freeze, the reason and the hour.

    Args:
        freeze: It.
        name: The person.
        reason: Why it is lifted: a code that others saw lifts nothing in words of their own.
        at: Now (UTC).
        asked_at: When it was asked; None for now.
    """
    hour = f"{(asked_at or at).astimezone(UTC):%Y-%m-%dT%H}"
    asked = {"freeze": freeze.model_dump(mode="json"), "reason": " ".join(reason.split())}
    digest = hashlib.sha256(canonical_json(asked).encode()).hexdigest()
    return Gate(
        run=freeze.id, name=GATE, digest=digest, service=whose(freeze.service), version="any", requester="",
        opened_at=at - OPEN_FOR, expires_at=at + OPEN_FOR, approvers=(name,), nonce=nonce_of(GATE, freeze.id, hour),
    )  # fmt: skip


def question_of(freeze: Freeze, at: datetime, *, reason: str) -> Question:
    """Give what an answer at a moment is bound to; its challenge is the same for everybody."""
    return gate_of_lifting(freeze, "anybody", reason=reason, at=at).asked()


def challenge_in_words(freeze: Freeze, at: datetime, *, reason: str) -> str:
    """Give the challenge for a code with this reason, and say until when it counts."""
    end = at.replace(minute=0, second=0, microsecond=0) + 2 * HOUR
    later = "after that, the deployment `unfreeze` without a code says the next one"
    return f"{question_of(freeze, at, reason=reason).challenge('approve')} (with this very reason, until {moment_in_words(end)}; {later})"


def lifting_fault(freeze: Freeze, name: str, policies: Sequence[Policy]) -> str:
    """Say why a person may not lift a freeze; "" if that person may: who set it, and whom the policies of the service list.

    Args:
        freeze: The freeze.
        name: The person, who has proved it or will.
        policies: All policies.
    """
    if same_name(name) == same_name(freeze.who):
        return ""
    applying = [policy for policy in policies if policy.windows.lifted_by and (not freeze.service or freeze.service in policy.services)]
    missing = [policy for policy in applying if same_name(name) not in policy.windows.lifted_by]
    if not missing:
        return ""
    lists = " and ".join(f"{', '.join(one.windows.lifted_by)} by `windows.lifted_by` of the policy {one.name}" for one in missing)
    return f"{name} may not lift the freeze {freeze.id}: {freeze.who} may, who set it, and {lists}"
