"""Whether people approved a release, by its record."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.rules.record.entries import Entry, select


def is_approved(entries: Sequence[Entry]) -> bool:
    """Say whether a gate of a release was passed by approvals that were verified; one that needs none has no proof.

    Args:
        entries: Its record.
    """
    passed = [*select(entries, kind="gate", name="decision"), *select(entries, kind="approval", name="confirmed")]
    return any(entry.evidence.get("proofs") for entry in passed)
