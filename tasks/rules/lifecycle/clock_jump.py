"""Whether a clock may have jumped: what is removed by its age is only removed if the clock goes on from what it said before.

A year ahead for one night makes all old that was made today. So a clock that jumped is believed once it says the same a day later.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

NEAR = timedelta(days=2)
A_DAY = timedelta(hours=20)  # less than from night to night
SLACK = timedelta(hours=1)


class Moment(NamedTuple):
    """What the clock said, and for how long the machine was up then.

    Fields:
        at: By the clock.
        boot: Which start of the machine it was; "" if that is not known.
        up_seconds: Since then, by a clock that cannot be set.
    """

    at: datetime
    boot: str = ""
    up_seconds: float = 0.0


class Seen(NamedTuple):
    """What is kept of the clock.

    Fields:
        last: What it last said that was believed.
        first: The first of what it said since then that was not.
    """

    last: Moment | None = None
    first: Moment | None = None


def look_at_clock(now: Moment, seen: Seen, *, newest: datetime | None = None) -> tuple[Seen, str]:
    """Say what is kept of the clock from now on, and why it is not believed, in sentences; "" if it is.

    Args:
        now: What it says.
        seen: What is kept of it.
        newest: When the newest file was written that shows the time, if nothing is kept yet.
    """
    before = seen.last or (Moment(newest) if newest else None)
    if (before and _goes_on(before, now)) or (seen.first and _is_next_day(seen.first, now)):
        return Seen(now), ""
    is_same = seen.first is not None and timedelta() <= now.at - seen.first.at < A_DAY and _agrees(seen.first, now) is not False
    return Seen(seen.last, seen.first if is_same else now), _in_words(now, before)


def _goes_on(before: Moment, now: Moment) -> bool:
    return -SLACK <= now.at - before.at <= NEAR + SLACK or _agrees(before, now) is True


def _is_next_day(first: Moment, now: Moment) -> bool:
    passed, agrees = now.at - first.at, _agrees(first, now)
    return passed >= A_DAY and (passed <= NEAR + SLACK if agrees is None else agrees)


def _agrees(before: Moment, now: Moment) -> bool | None:
    """Say whether the machine was up for as long as passed by the clock; None if that cannot be said."""
    if not now.boot or before.boot != now.boot:
        return None
    return abs((now.at - before.at) - timedelta(seconds=now.up_seconds - before.up_seconds)) <= SLACK


def _in_words(now: Moment, before: Moment | None) -> str:
    until = "Nothing is removed until it says the same a day later."
    if before is None:
        return f"The clock was not looked at before. {until}"
    return f"The clock says {now.at:%Y-%m-%d %H:%M} UTC, and it said {before.at:%Y-%m-%d %H:%M} UTC before: fix it if it is wrong. {until}"
