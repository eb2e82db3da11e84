"""Since when something stands still, as the keeper saw it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.lifecycle.standstill import LOOKS_APART, Standstill, look_again, read_standstill

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
SOON = NOW + timedelta(seconds=20)
LATE = NOW + LOOKS_APART
BEFORE = Standstill("a", NOW - timedelta(minutes=9), NOW)


@pytest.mark.parametrize(
    ("before", "sign", "counts", "now", "found"),
    [
        (None, "a", True, NOW, Standstill("a", NOW, NOW)),
        (None, "a", False, NOW, None),
        (BEFORE, "a", True, SOON, Standstill("a", BEFORE.since, SOON)),
        (BEFORE, "a", False, SOON, Standstill("a", BEFORE.since, SOON)),
        (BEFORE, "b", True, SOON, Standstill("b", SOON, SOON)),
        (BEFORE, "b", False, SOON, None),
        (BEFORE, "a", True, LATE, Standstill("a", LATE, LATE)),
        (BEFORE, "a", False, LATE, None),
        (BEFORE, "a", True, LATE - timedelta(seconds=1), Standstill("a", BEFORE.since, LATE - timedelta(seconds=1))),
    ],
)
def test_only_what_was_watched_all_the_time_stands_still(
    before: Standstill | None,
    sign: str,
    counts: bool,  # noqa: FBT001
    now: datetime,
    found: Standstill | None,
) -> None:
    """A new sign begins anew, and so does a keeper that was away: a run may have gone on and waited meanwhile."""
    assert look_again(before, sign=sign, counts=counts, now=now) == found


@given(st.lists(st.tuples(st.integers(1, 170), st.booleans()), min_size=1))
def test_others_cannot_reset_it_by_states(looks: list[tuple[int, bool]]) -> None:
    """What a run looks like to the server at a look does not matter once its process stood still at work."""
    now, found = NOW, look_again(None, sign="a", counts=True, now=NOW)
    for seconds, counts in looks:
        now += timedelta(seconds=seconds)
        found = look_again(found, sign="a", counts=counts, now=now)
    assert found == Standstill("a", NOW, now)


def test_it_is_kept_and_read_again() -> None:
    """Under a name of its own; one that was forgotten is none."""
    assert read_standstill(BEFORE.as_facts("gone"), "gone") == BEFORE
    assert read_standstill(BEFORE.as_facts("gone"), "idle") is None
    assert read_standstill({"gone": None}, "gone") is None
