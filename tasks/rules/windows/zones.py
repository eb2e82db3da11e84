"""Time zones: IANA names, and the UTC moment of a wall time on both daylight-saving nights."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from blocks.errors import BadInput

NAME = re.compile(r"UTC|(?!posix/|right/)[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)+")
DATA = "tzdata"  # the package with the zones of IANA; zoneinfo looks in the system's folder first
FIRST, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)  # so that a moment can be written in every zone
FIX = "Write an IANA name, as `Europe/Berlin` or `UTC`."


def zone_of(name: str) -> ZoneInfo:
    """Give the zone of an IANA name.

    Raises:
        BadInput: There is no such zone, or this machine has no data about it.
    """
    if wrong := zone_fault(name):
        raise BadInput(wrong, field="zone", fix=FIX)
    return ZoneInfo(name)


def zone_fault(name: str) -> str | None:
    """Say why a text is not the name of a zone that is known here; None if it is.

    A link as `localtime` or an abbreviation as `CET` is refused: it means another zone on another machine, or two of them.
    """
    if not NAME.fullmatch(name):
        return f"`{name}` is not the name of a time zone"
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        missing = "" if has_data() else f", and this machine has no zone data: install the package {DATA}"
        return f"the time zone `{name}` is not known{missing}"
    return None


def has_data() -> bool:
    """Say if this machine has zone data at all."""
    try:
        ZoneInfo("Europe/Berlin")
    except (ZoneInfoNotFoundError, OSError):
        return False
    return True


def in_utc(moment: datetime) -> datetime:
    """Give a moment that others wrote in UTC.

    Raises:
        ValueError: It has no zone, or cannot be meant: from year 1 or 9999 on, arithmetic with moments fails.
    """
    if moment.tzinfo is None:
        raise ValueError("it has no time zone")
    if not FIRST <= moment < END:
        raise ValueError(f"it must be in the years {FIRST.year} to {END.year - 1}")
    return moment.astimezone(UTC)


def utc_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Give the moment of a wall time, in UTC.

    Args:
        wall: The wall time, without a zone.
        zone: Its zone.

    Returns:
        The moment; of a repeated hour the first, and in a gap the first instant behind it.
    """
    found = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if wall_of(found, zone) == wall.replace(fold=0):
        return found
    before, offset = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), found.astimezone(zone).utcoffset()
    while found - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(found - before) // timedelta(seconds=2))
        before, found = (before, middle) if middle.astimezone(zone).utcoffset() == offset else (middle, found)
    return found


def wall_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """Give the wall time of a moment, without a zone."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
