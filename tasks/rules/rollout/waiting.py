"""Waiting and holds, read from the record: what a suspended release waits for, and what holds one that runs before its next step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from tasks.rules.record.durations import HELD_BY, QUEUE, SUSPENDS_UNTIL, WAITS_FOR, WAITS_UNTIL
from tasks.rules.record.entries import Entry
from tasks.rules.rollout.next_step import Next
from tasks.rules.windows.freeze import is_freeze

BEFORE = "before"  # in the evidence of the entry of a step that is held: which one
BEFORE_WORK = {"opened", "note", "refused"}
OVER = "freeze_over"  # in the evidence of the entry that says how a freeze ended: its id


def wait_name(wave: int, until: datetime) -> str:
    """Name the entry that says that a wave waits until a moment."""
    return f"wait {wave} until {until:%Y-%m-%dT%H:%M:%SZ}"


def hold_name(by: Sequence[str], *said: str) -> str:
    """Name the entry that says what is held, and by what: the ids of freezes, or `windows`; other words about it need another entry."""
    digest = hashlib.sha256("\n".join([*by, *said]).encode()).hexdigest()[:12]
    return f"held by {' '.join(by)[:150]} {digest}"


def is_hold(entry: Entry) -> bool:
    """Say if an entry is one of those with which a release is held: before a wave without a process, or before a step."""
    return entry.kind == "gate" and HELD_BY in entry.evidence


def held_by(entries: Sequence[Entry]) -> list[str]:
    """List what holds a release now, freezes by id, `windows:…`: what the last of its holds named; nothing once it went on or ended."""
    if not entries or any(entry.kind == "closed" for entry in entries):
        return []
    last = entries[-1:] if waits(entries[-1]) else {entry.environment: entry for entry in entries if entry.environment}.values()
    return list(dict.fromkeys(str(one) for entry in last if is_hold(entry) for one in entry.evidence[HELD_BY]))


def untold_freezes(entries: Sequence[Entry]) -> list[str]:
    """List the freezes that held a release, and of which its record does not say yet how they ended."""
    held = [str(one) for entry in entries if is_hold(entry) for one in entry.evidence[HELD_BY] if is_freeze(str(one))]
    told = {entry.evidence[OVER] for entry in entries if entry.kind == "gate" and OVER in entry.evidence}
    return [one for one in dict.fromkeys(held) if one not in told]


def held_since(entries: Sequence[Entry], *, environment: str, before: Next) -> datetime | None:
    """Give when a step of an environment was held first; None if it never was."""
    place = environment, before.step, before.name
    found = [entry.at for entry in entries if is_hold(entry) and (entry.environment, entry.step, entry.evidence.get(BEFORE)) == place]
    return datetime.fromisoformat(min(found)) if found else None


def holds_in_words(entries: Sequence[Entry]) -> str:
    """Say where a release that runs is held, and why; "" if it is not: the last entry of an environment decides."""
    last = {entry.environment: entry for entry in entries if entry.environment}
    found = [entry for entry in last.values() if is_hold(entry)]
    return "; ".join(f"{entry.what}: {entry.why}" for entry in found)


def waits(entry: Entry) -> bool:
    """Say if an entry is one of those with which a release begins to wait for a window."""
    return entry.kind == "gate" and WAITS_UNTIL in entry.evidence


def says_it_waits(entries: Sequence[Entry]) -> bool:
    """Say if the last thing that a run did was to wait, by its record; nothing else that suspends it is meant by it."""
    return bool(entries) and SUSPENDS_UNTIL in entries[-1].evidence


def has_begun_work(entries: Sequence[Entry]) -> bool:
    """Say if a release has done anything, by its record, but begin and wait in the queue: it has had its service's lock then."""
    return any(entry.kind not in BEFORE_WORK and not (entry.kind == "gate" and entry.evidence.get(WAITS_FOR) == QUEUE) for entry in entries)


def is_suspended_until(entries: Sequence[Entry], until: datetime | None) -> bool:
    """Say if the record's last entry says that the run waits until this moment; None stands for any."""
    if not says_it_waits(entries):
        return False
    return until is None or entries[-1].evidence[SUSPENDS_UNTIL] == until.isoformat()


def wake_time(entries: Sequence[Entry]) -> datetime | None:
    """Give the moment until which a run waits, by its record; None if it waits for nothing, or names no moment that can be read."""
    said = str(entries[-1].evidence[SUSPENDS_UNTIL]) if says_it_waits(entries) else ""
    try:
        return datetime.fromisoformat(said) if said else None
    except ValueError:
        return None


def wait_in_words(entries: Sequence[Entry]) -> str:
    """Say what a release waits for, if the last thing that it did was to wait for a window; else ""."""
    if not entries or not waits(entries[-1]):
        return ""
    return f"{entries[-1].what}. {entries[-1].why}"
