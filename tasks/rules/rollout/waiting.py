"""What a suspended release waits for, from its record: a window of production, or people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tasks.rules.record.entries import Entry

WAITS_UNTIL = "waits_until"
SUSPENDS_UNTIL = "suspends_until"  # in the evidence of the entry with which a run is suspended; "" if it is woken again and again


def wait_name(wave: int, until: datetime) -> str:
    """Name the entry that says that a wave waits until a moment."""
    return f"wait {wave} until {until:%Y-%m-%dT%H:%M:%SZ}"


def waits(entry: Entry) -> bool:
    """Say if an entry is one of those with which a release begins to wait for a window."""
    return entry.kind == "gate" and WAITS_UNTIL in entry.evidence


def says_it_waits(entries: Sequence[Entry]) -> bool:
    """Say if the last thing that a run did was to wait, by its record; nothing else that suspends it is meant by it."""
    return bool(entries) and SUSPENDS_UNTIL in entries[-1].evidence


def is_suspended_until(entries: Sequence[Entry], until: datetime | None) -> bool:
    """Say if the record's last entry says that the run waits until this moment; None stands for any."""
    if not says_it_waits(entries):
        return False
    return until is None or entries[-1].evidence[SUSPENDS_UNTIL] == until.isoformat()


def wake_time(entries: Sequence[Entry]) -> datetime | None:
    """Give the moment until which a run waits, by its record; None if it waits for nothing, or names no moment."""
    said = str(entries[-1].evidence[SUSPENDS_UNTIL]) if says_it_waits(entries) else ""
    return datetime.fromisoformat(said) if said else None


def wait_in_words(entries: Sequence[Entry]) -> str:
    """Say what a release waits for, if the last thing that it did was to wait for a window; else ""."""
    if not entries or not waits(entries[-1]):
        return ""
    return f"{entries[-1].what}. {entries[-1].why}"
