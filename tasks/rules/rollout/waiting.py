"""What a suspended release waits for, from its record: a window of production, or people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tasks.rules.record.entries import Entry

WAITS_UNTIL = "waits_until"


def wait_name(wave: int, until: datetime) -> str:
    """Name the entry that says that a wave waits until a moment."""
    return f"wait {wave} until {until:%Y-%m-%dT%H:%M:%SZ}"


def waits(entry: Entry) -> bool:
    """Say if an entry is one of those with which a release begins to wait for a window."""
    return entry.kind == "gate" and WAITS_UNTIL in entry.evidence


def wait_in_words(entries: Sequence[Entry]) -> str:
    """Say what a release waits for, if the last thing that it did was to wait for a window; else ""."""
    if not entries or not waits(entries[-1]):
        return ""
    return f"{entries[-1].what}. {entries[-1].why}"
