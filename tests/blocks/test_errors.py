"""The tree of errors says what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import errors
from blocks.outside_text import outside

PERMANENT = (errors.Refused, errors.Superseded, errors.WorldMoved)
EVERY = [
    errors.Temporary("x"),
    errors.BadInput("x", field="f", fix="m"),
    errors.RolloutFailed("x"),
    errors.Permanent("x"),
    *(kind("x") for kind in PERMANENT),
]


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_every_error_is_ours_and_of_one_kind(error: errors.ShipwayError) -> None:
    """Whoever catches the base catches all; nothing is temporary and permanent at once."""
    assert isinstance(error, errors.ShipwayError)
    assert isinstance(error, errors.Temporary) != isinstance(error, errors.Permanent)


@given(*[st.text(min_size=1, max_size=50)] * 3)
def test_bad_input_says_field_fault_and_fix(message: str, field: str, fix: str) -> None:
    """One line for a person, and its parts for a program."""
    error = errors.BadInput(message, field=field, fix=fix)
    assert str(error) == outside(f"{field}: {message}. {fix}", lines=True)
    assert (error.field, error.fix) == (field, fix)


def test_errors_keep_what_their_catcher_needs() -> None:
    """The delay before another try, and the evidence of a failed rollout."""
    assert errors.Temporary("busy", delay_seconds=7).delay_seconds == 7
    assert errors.RolloutFailed("dies", evidence=("line",)).evidence == ("line",)
