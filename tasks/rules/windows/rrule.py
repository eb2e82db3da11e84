"""Recurrence rules of RFC 5545: the starts of a window that recurs as calendars write it, by the wall.

The rule is about days; the time of the wall is that of the first start. `dateutil` gives the days, without a zone, so that it never sees a
clock that is changed: what that means for a start is said in `zones.utc_of`, as for all windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any

from dateutil.rrule import rrulestr

FIX = "Write a rule of RFC 5545 about days, as `FREQ=MONTHLY;BYDAY=-1FR`, and its first day in `from`."
WRITTEN, NUMBER = re.compile(r"[A-Z]+=[A-Z0-9,+-]+(;[A-Z]+=[A-Z0-9,+-]+)*"), re.compile(r"[1-9][0-9]{0,3}")
ONCE = 1_000_000  # an interval by which the second time is after the year 9999: a rule that never fits is not looked through until then
MOST = 100_000  # starts of a rule without COUNT
UNITS = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
OFTEN = {  # the units beside which a part may stand; `dateutil` counts BYSETPOS wrong in the first week
    "BYMONTHDAY": ("HOURLY", "DAILY", "MONTHLY", "YEARLY"),
    "BYYEARDAY": ("HOURLY", "YEARLY"),
    "BYWEEKNO": ("YEARLY",),
    "BYSETPOS": ("MONTHLY", "YEARLY"),
}
LARGEST = {"BYMONTH": 12, "BYMONTHDAY": 31, "BYYEARDAY": 366, "BYSETPOS": 366, "BYWEEKNO": 51}  # `dateutil` miscounts later weeks
DATE_UNTIL = re.compile(r"(UNTIL=[0-9]{8})(?=;|$)")
PARTS = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "WKST"})


def rule_fault(rule: str, first: datetime) -> str | None:
    """Say what is wrong with a rule and its first start; None if nothing is.

    Args:
        rule: The rule, without `RRULE:`.
        first: The first start, by the wall.
    """
    parts = _parts(rule)
    if not WRITTEN.fullmatch(rule.upper()) or len(parts) <= rule.count(";"):
        return f"`{rule}` is not a rule: it has parts as `FREQ=MONTHLY`, each once, with `;` between them"
    if unknown := sorted(parts.keys() - PARTS):
        return f"`{unknown[0]}` cannot stand in the rule of a window; its time of the day is that of `from`"
    if parts.get("FREQ") not in UNITS:
        return "`FREQ` must be DAILY, WEEKLY, MONTHLY or YEARLY"
    if wrong := next((name for name in ("INTERVAL", "COUNT") if not NUMBER.fullmatch(parts.get(name, "1"))), None):
        return f"`{wrong}` must be a whole number from 1 to 9999"
    if parts.get("UNTIL", "").endswith("Z"):
        return "`UNTIL` must be a time of the wall, without `Z`, as all times of the window"
    if wrong := misread({name: value.split(",") for name, value in parts.items()}):
        return wrong
    try:
        start = next(iter(_until(_plain(rule), first, first.year).replace(interval=ONCE)), None)
    except (ValueError, TypeError, OverflowError, ArithmeticError) as error:
        return f"`{rule}` is not a rule: {str(error).lower() or 'it cannot be read'}"
    return None if start == first else f"`from` is {first:%Y-%m-%d %H:%M}, which is not one of the days of `{rule}`"


def misread(parts: Mapping[str, Sequence[object]]) -> str:
    """Say which part of a rule RFC 5545 does not allow, or `dateutil` reads as something else; "" if none is.

    Args:
        parts: The values of each part, in capital letters.
    """
    often, days = str(parts["FREQ"][0]), [str(day) for day in parts.get("BYDAY", ())]
    if wrong := next((name for name, units in OFTEN.items() if name in parts and often not in units), None):
        return f"`{wrong}` cannot stand in a rule with `FREQ={often}`"
    for name, largest in LARGEST.items():
        if wrong := next((value for value in map(str, parts.get(name, ())) if not 0 < _number(value) <= largest), None):
            return f"`{name}={wrong}` cannot be read: it is a number from 1 to {largest}, or below 0 from the end"
    numbered = [day for day in days if day[:-2]]
    if numbered and (often not in {"MONTHLY", "YEARLY"} or "BYWEEKNO" in parts):
        return f"`BYDAY={numbered[0]}` needs `FREQ=MONTHLY`, or `YEARLY` without `BYWEEKNO`"
    if 0 < len(numbered) < len(days):
        return f"`BYDAY={','.join(days)}` cannot be read: some of its days have a number, and some have none"
    largest = 5 if often == "MONTHLY" or "BYMONTH" in parts else 53
    wrong = next((day for day in numbered if not 0 < _number(day[:-2]) <= largest), None)
    return f"`BYDAY={wrong}` is on no day: its number is at most {largest}" if wrong else ""


def starts_of(rule: str, first: datetime, since: datetime, until: datetime) -> Iterator[datetime]:
    """List the starts from one moment until another, all by the wall, in rising order.

    Args:
        rule: The rule, which `rule_fault` finds right.
        first: The first start.
        since: Earlier ones are left out.
        until: Later ones are left out.
    """
    count = int(_parts(rule).get("COUNT", MOST))
    starts = islice(_days(_plain(rule), first, until.year), count)
    return (start for start in takewhile(lambda start: start <= until, starts) if start >= since)


def _parts(rule: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in rule.upper().split(";"))


def _number(text: str) -> int:
    """Give a number without its sign; 0 if it is none."""
    return int(text.lstrip("+-")) if re.fullmatch(r"[+-]?[0-9]{1,3}", text) else 0


def _plain(rule: str) -> str:
    """Leave COUNT out, beside which `dateutil` takes no other end, and let UNTIL include its whole day, as in a calendar."""
    parts = ";".join(part for part in rule.upper().split(";") if not part.startswith("COUNT="))
    return DATE_UNTIL.sub(r"\1T235959", parts)


@lru_cache(maxsize=64)
def _days(rule: str, first: datetime, year: int) -> tuple[datetime, ...]:
    """List the starts until the end of a year; they are found once, and kept here: two who share a rule of `dateutil` with a cache hang."""
    return tuple(islice(_until(rule, first, year), MOST))


def _until(rule: str, first: datetime, year: int) -> Any:
    """Give the rule as `dateutil` reads it, which ends with a year at the latest."""
    found, end = rrulestr(rule, dtstart=first), datetime(year + 1, 1, 1)  # noqa: DTZ001 - the wall's
    own = found._until  # noqa: SLF001 - there is no other way to ask for it
    return found.replace(until=min(own, end) if own else end)
