"""A clock that jumped is believed once it says the same a day later, and never sooner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.lifecycle.clock_jump import A_DAY, NEAR, SLACK, Moment, Seen, look_at_clock

NOW = datetime(2026, 11, 30, 4, 40, tzinfo=UTC)
LAST = Moment(NOW, "a", 1_000_000)


def said(days: float, *, up_days: float | None = None, boot: str = "a") -> Moment:
    """Give what the clock said so many days later, after the machine was up for as long, or so long."""
    return Moment(NOW + timedelta(days=days), boot, 1_000_000 + 86_400 * (days if up_days is None else up_days))


@pytest.mark.parametrize(
    ("now", "is_believed"),
    [
        (said(1), True),
        (said(60), True),  # the machine was up for as long
        (said(1, boot="b"), True),
        (said(60, boot="b"), False),
        (said(60, boot=""), False),
        (said(366, up_days=1), False),
        (said(-1, up_days=1), False),
        (said(-1, boot="b"), False),
        (said(-0.001, up_days=0), True),
    ],
)
def test_a_clock_is_believed_that_goes_on_from_what_it_said(now: Moment, *, is_believed: bool) -> None:
    """By the time for which the machine was up, or within two days."""
    seen, doubt = look_at_clock(now, Seen(LAST))
    assert (doubt == "") is is_believed
    assert seen == (Seen(now) if is_believed else Seen(LAST, now))


@pytest.mark.parametrize(
    ("later", "is_believed", "first"),
    [
        (said(366.01, up_days=1.01), False, 0),  # late runs that start at once
        (said(367, up_days=2), True, 1),
        (said(367, up_days=1.01), False, 1),  # it jumped again
        (said(800, up_days=2), False, 1),
        (said(367, boot="b"), True, 1),
        (said(370, boot="b"), False, 1),
        (said(365, up_days=2), False, 1),
        (said(2, up_days=2), True, 1),  # it was set right
    ],
)
def test_a_clock_that_jumped_is_believed_if_a_second_day_says_the_same(later: Moment, first: int, *, is_believed: bool) -> None:
    """Else it is a new jump, from which a day is counted."""
    jumped = said(366, up_days=1)
    seen, _ = look_at_clock(jumped, Seen(LAST))
    after, doubt = look_at_clock(later, seen)
    assert (doubt == "") is is_believed
    assert after == (Seen(later) if is_believed else Seen(LAST, [jumped, later][first]))


@pytest.mark.parametrize(("newest", "is_believed"), [(None, False), (-1, True), (-3, False), (1, False)])
def test_of_a_clock_that_was_not_looked_at_the_newest_head_counts(newest: float | None, *, is_believed: bool) -> None:
    """Without one it is not known yet."""
    at = None if newest is None else NOW + timedelta(days=newest)
    assert (look_at_clock(LAST, Seen(), newest=at)[1] == "") is is_believed


MOMENTS = st.builds(
    lambda days, up, boot: said(days, up_days=up, boot=boot), st.floats(-400, 400), st.floats(0, 400), st.sampled_from("ab")
)


@given(MOMENTS, st.none() | MOMENTS, MOMENTS)
def test_nothing_else_is_believed(last: Moment, first: Moment | None, now: Moment) -> None:
    """Neither a jump, nor one that was seen less than a day ago."""
    _, doubt = look_at_clock(now, Seen(last, first))
    if doubt:
        return
    agrees = [
        one
        for one in (last, first)
        if one
        and one.boot == now.boot
        and abs((now.at - one.at).total_seconds() - now.up_seconds + one.up_seconds) <= SLACK.total_seconds()
    ]
    near = -SLACK <= now.at - last.at <= NEAR + SLACK
    a_day_later = first is not None and now.at - first.at >= A_DAY and (first in agrees or now.at - first.at <= NEAR + SLACK)
    assert near or last in agrees or a_day_later
