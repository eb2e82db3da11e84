"""The checklist before closing, read from the record: its release is deployed and verified, and people tick what they do after that.

However that ends, the version stays deployed, unless a person cancels the release or rolls it back. What is open is never said to be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tasks.rules.approval.ticks_form import PROGRESS
from tasks.rules.plan.checklist import CLOSING
from tasks.rules.record.durations import QUEUE, SUSPENDS_UNTIL, WAITS_FOR
from tasks.rules.record.entries import Entry

GIVES_WAY_AT = "gives_way_at"  # in the evidence of the entry with which people are asked: from when on another release ends the wait


def last_progress(entries: Sequence[Entry]) -> dict[str, Any] | None:
    """Give how far the checklist before closing is; None if it was not reached, or the release is rolled back."""
    if any(entry.kind == "rollback" for entry in entries):
        return None
    told = [entry for entry in entries if entry.kind == "gate" and PROGRESS in entry.evidence]
    return dict(told[-1].evidence[PROGRESS]) if told and is_of_closing(told[-1]) else None


def is_of_closing(entry: Entry) -> bool:
    """Say if an entry says how far the checklist before closing is: with its question, or at its end."""
    progress = entry.evidence.get(PROGRESS) if entry.kind == "gate" else None
    return isinstance(progress, dict) and progress.get("before") == CLOSING


def still_open(progress: dict[str, Any]) -> str:
    """Name the required items that are open, with the people who may tick them; "" if all are ticked."""
    return ", ".join(f"{one['item']} ({' or '.join(one['who'])})" for one in progress["open"] if one["required"])


def gives_way_at(entries: Sequence[Entry]) -> datetime | None:
    """Give from when on a release ends its wait for these ticks because another one waits for its service; None if it does not wait so."""
    last = entries[-1].evidence if entries else {}
    if SUSPENDS_UNTIL not in last or not last.get(GIVES_WAY_AT) or last_progress(entries) is None:
        return None
    return datetime.fromisoformat(last[GIVES_WAY_AT])


def waits_for_lock(entries: Sequence[Entry]) -> bool:
    """Say if a release waits for another one of its service, by its record."""
    return bool(entries) and entries[-1].kind == "gate" and entries[-1].evidence.get(WAITS_FOR) == QUEUE


def end_in_words(progress: dict[str, Any], why: str) -> str:
    """Say how the checklist before closing ended, for the release's outcome.

    Args:
        progress: How far it is.
        why: Why people are not asked any more, and what is open, if a required item is.
    """
    return f"THE CHECKLIST BEFORE CLOSING IS NOT COMPLETE: {why}" if still_open(progress) else "the checklist before closing is complete"
