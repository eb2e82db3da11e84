"""Which runs count as asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.rules.lifecycle.reconcile import will_be_done

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
ENDED = ("CANCELLED", "FAILED", "COMPLETED")


@pytest.mark.parametrize(
    ("state", "due", "done"),
    [
        *((state, None, False) for state in (*ENDED, "CRASHED", "PAUSED", "CANCELLING")),
        ("SCHEDULED", None, True),
        ("SCHEDULED", NOW, True),
        ("SCHEDULED", NOW + timedelta(seconds=61), False),
        ("PENDING", None, True),
        ("RUNNING", None, True),
    ],
)
def test_only_a_run_that_is_about_to_act_counts_as_asked_for(state: str, due: datetime | None, *, done: bool) -> None:
    """Others can make one under the same key, or end it."""
    assert will_be_done(state, due=due, now=NOW) is done
