"""The head of a record for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.rules.record.entries import chain
from tasks.rules.record.view import summary_of


@pytest.mark.parametrize("value", [[], ["drop-city"], {}, {"a": []}, False, 0, None, ""])
def test_whatever_a_run_was_asked_for_with_its_page_can_be_made(value: Any) -> None:
    """A rollback is opened with a list, the migrations that were undone by hand; what was left empty hides nothing."""
    evidence = {"flow": "rollback", "restored": value, "version": value or "", "service": "shop"}
    opened = chain(None, at=datetime(2026, 11, 30, tzinfo=UTC), kind="opened", who="rita", what="Asked.", evidence=evidence)
    review = chain(opened, at=datetime(2026, 11, 30, tzinfo=UTC), kind="review", who="shipway", what="Seen.", evidence={"version": "1.0"})
    assert summary_of([opened, review]).version == (str(value) if value else "1.0")
