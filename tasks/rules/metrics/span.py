"""Span: the moments that a person names in the past."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from blocks.errors import BadInput
from tasks.rules.windows.zones import in_utc

AGO = re.compile(r"(\d{1,4}) ?(m|min|h|d|w)")
UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
WHEN = "`30d`, `12h` or `4w` ago, a day as 2026-11-01, or an ISO time; UTC if it has no zone"


def read_moment(text: str | None, at: datetime, *, field: str) -> datetime | None:
    """Read a moment in the past: how long ago it was, or a day or time, which counts in UTC if it names no zone.

    Args:
        text: What the person wrote; None for nothing.
        at: Now.
        field: The option, for the message.

    Raises:
        BadInput: It is neither.
    """
    if text is None:
        return None
    said = text.strip()
    try:
        found = AGO.fullmatch(said)
        moment = at - timedelta(**{UNITS[found[2]]: int(found[1])}) if found else datetime.fromisoformat(said)
        return in_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise BadInput(f"`{said[:60]}` is not a moment", field=field, fix=f"Write {WHEN}.") from None


def read_span(since: str | None, until: str | None, at: datetime, *, ended: bool = False) -> tuple[datetime | None, datetime]:
    """Read a span: its begin, None for the beginning of all, and its end, which is not in it; now if it is not named.

    Args:
        since: What the person wrote; None for nothing.
        until: Likewise.
        at: Now.
        ended: Whether it is of what has ended: days to come are not in it then, for they are not days without a deployment.

    Raises:
        BadInput: One is not a moment, or the end is not after the begin.
    """
    begin, end = read_moment(since, at, field="--since"), read_moment(until, at, field="--until") or at
    end = min(end, at) if ended else end
    if begin is not None and begin >= end:
        raise BadInput(f"the span ends {end:%Y-%m-%d %H:%M} UTC, before it begins", field="--since", fix="Name an earlier moment.")
    return begin, end
