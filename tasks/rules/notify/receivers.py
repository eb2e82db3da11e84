"""Rules of receivers: which of them are told how urgent a message is, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from itertools import product

from tasks.rules.notify.outbox import URGENCY, Delivery
from tasks.rules.plan.receivers import DAYS, Hours, Receiver, Severity
from tasks.rules.windows.zones import utc_of, wall_of, zone_of

WEEK = len(DAYS)


def deliveries_to(receivers: Iterable[str | Receiver], severity: Severity, *, at: datetime) -> dict[str, Delivery]:
    """Say to which notification blocks a message goes, and when its first try may be.

    Args:
        receivers: The plan's.
        severity: How urgent the message is; what is critical waits for no hours.
        at: Now.

    Returns:
        By block; of one that is not told of anything so little urgent there is none.
    """
    found: dict[str, Delivery] = {}
    for one in receivers:
        if isinstance(one, str):
            found[one] = Delivery()
        elif URGENCY.index(severity) <= URGENCY.index(one.at_least):
            found[one.to] = Delivery(opens=None if severity == "critical" else opens_at(one.hours, at=at))
    return found


def opens_at(hours: Sequence[Hours], *, at: datetime) -> datetime | None:
    """Say when the next of some hours begin; None while one of them lasts, or if there are none."""
    spans = [span for one, day in product(hours, range(-1, WEEK + 1)) if (span := _span(one, at, day)) is not None]
    if not spans or any(begin <= at < end for begin, end in spans):
        return None
    return min(begin for begin, _ in spans if begin > at)


def _span(hours: Hours, at: datetime, days: int) -> tuple[datetime, datetime] | None:
    """Give the span that begins so many days after a moment's day; None if none does."""
    zone = zone_of(hours.zone)
    day = wall_of(at, zone).date() + timedelta(days=days)
    if DAYS[day.weekday()] not in hours.days:
        return None
    begin, end = time.fromisoformat(hours.begin), time.fromisoformat(hours.end)
    last = day if begin < end else day + timedelta(days=1)
    return utc_of(datetime.combine(day, begin), zone), utc_of(datetime.combine(last, end), zone)
