"""Whether people approved a release."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.rules.approval.given import is_approved
from tasks.rules.record.entries import chain


@pytest.mark.parametrize(
    ("kind", "name", "evidence", "approved"),
    [
        ("gate", "decision", {"proofs": [{"name": "ada"}]}, True),
        ("approval", "confirmed", {"proofs": ["ada"]}, True),
        ("gate", "decision", {"proofs": []}, False),  # no approval was needed
        ("gate", "question 1", {}, False),
        ("refused", "decision", {"proofs": [{"name": "ada"}]}, False),
    ],
)
def test_a_release_is_approved_once_its_gate_is_passed_with_proofs(
    kind: Any, name: str, evidence: dict[str, Any], *, approved: bool
) -> None:
    """One that only waits is not."""
    entry = chain(None, at=datetime(2026, 3, 1, tzinfo=UTC), who="x", what="x", kind=kind, name=name, evidence=evidence)
    assert is_approved([entry]) is approved
    assert not is_approved([])
