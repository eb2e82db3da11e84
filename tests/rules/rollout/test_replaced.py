"""What others deployed by hand is the version to leave only if it is named."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.rules.rollout.replaced import as_replaced, fault_of_replaced

BY_HAND = {"baseline": "1.0", "canary": None, "previous": "0.9", "instead": "1.1"}
PLAIN = {"baseline": "1.0", "canary": None, "previous": "0.9"}


@pytest.mark.parametrize(
    ("bad", "to", "wanted"),
    [
        ("1.1", "", ("1.1", "1.0")),
        ("1.1", "1.0", ("1.1", "1.0")),
        ("1.1", "0.9", ("1.1", "1.0")),
        ("", "1.0", ("1.1", "1.0")),
        ("", "", ("1.0", "0.9")),
        ("", "previous", ("1.0", "0.9")),
        ("", "0.9", ("1.0", "0.9")),  # the version that was deployed last may say another name of itself
        ("1.0", "", ("1.0", "0.9")),
        ("2.0", "", ("1.0", "0.9")),
    ],
)
def test_only_a_name_makes_what_runs_the_version_to_leave(bad: str, to: str, wanted: tuple[str, str]) -> None:
    """And what it replaced the one before; a position without it stays as it is."""
    found = as_replaced(BY_HAND, to=to, bad=bad)
    assert (found["baseline"], found["previous"]) == wanted
    assert as_replaced(PLAIN, to=to, bad=bad) == PLAIN


@pytest.mark.parametrize(
    ("position", "said"),
    [
        (PLAIN, ""),
        ({**BY_HAND, "instead": "0.9"}, ""),
        (
            BY_HAND,
            "`--bad 1.0` returns to 0.9; if 1.1 is another version that is bad, `--bad 1.1` (the field `bad`) returns to 1.0",
        ),
        ({**BY_HAND, "previous": None}, "(the field `bad`) returns to 1.0"),
    ],
    ids=["as it was deployed", "the one before", "another one", "none before"],
)
def test_a_rollback_that_names_none_says_which_name_leads_where(position: dict[str, Any], said: str) -> None:
    """Unless both lead to the same version."""
    found = fault_of_replaced(position, environment="production")
    assert found.endswith(said)
    assert bool(found) == bool(said)
