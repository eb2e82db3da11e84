"""What a rehearsal showed is kept, also by a record that is not whole if it says that the rollback did not work."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from blocks.errors import Tampered, Temporary
from tasks.evidence.rehearsals import keep_rehearsal, read_rehearsals
from tests.rules.evidence.test_rehearsal import rehearsal

module: Any = importlib.import_module("flows.rollout.rehearsed")


@pytest.mark.parametrize("fault", [None, Tampered("an entry was changed"), Temporary("the storage does not answer")])
@pytest.mark.parametrize("outcome", ["passed", "failed"])
async def test_a_rehearsal_that_failed_counts_whatever_its_record_says(
    monkeypatch: pytest.MonkeyPatch, outcome: str, fault: Exception | None
) -> None:
    """An older one that passed went on to count; one that passed needs its whole record."""

    async def expect_whole_record(_: str) -> None:
        if fault is not None:
            raise fault

    monkeypatch.setattr(module, "expect_whole_record", expect_whole_record)
    keep_rehearsal(rehearsal(days_ago=2, run="older"))
    newer = rehearsal(outcome=outcome, run="newer")
    is_kept = outcome == "failed" or fault is None
    assert (await module._why_not_kept("newer", newer) == "") == is_kept
    assert [one.run for one in read_rehearsals("guestbook")] == ["newer" if is_kept else "older"]
