"""Since when something stands still, as the keeper itself saw it: no clock of another machine counts, and nothing that others wrote."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

LOOKS_APART = timedelta(minutes=3)  # a keeper that was away for so long saw nothing meanwhile


class Standstill(NamedTuple):
    """What stands still.

    Fields:
        sign: What was seen, as the last sign of life of a process.
        since: When it was seen first (UTC).
        looked: When it was looked at last (UTC).
    """

    sign: str
    since: datetime
    looked: datetime

    def as_facts(self, name: str) -> dict[str, Any]:
        """Give it as it is kept, under a name."""
        return {name: {"sign": self.sign, "since": self.since.isoformat(), "looked": self.looked.isoformat()}}


def read_standstill(kept: Mapping[str, Any], name: str) -> Standstill | None:
    """Read what is kept under a name; None if that is nothing."""
    found = kept.get(name)
    if not found:
        return None
    since, looked = (datetime.fromisoformat(str(found[one])) for one in ("since", "looked"))
    return Standstill(str(found["sign"]), since, looked)


def look_again(before: Standstill | None, *, sign: str, counts: bool, now: datetime) -> Standstill | None:
    """Say what stands still at this look.

    Args:
        before: What stood still at the look before; None if nothing did.
        sign: What is seen now.
        counts: Whether it should move now; if not, a standstill that began before goes on, and none begins.
        now: The moment (UTC).
    """
    is_followed = before is not None and now - before.looked < LOOKS_APART
    if before is not None and is_followed and sign == before.sign:
        return before._replace(looked=now)
    return Standstill(sign, now, now) if counts else None
