"""Duration of a release by its record: work, and the waits for people, for windows and for the lock, which add up to the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from tasks.rules.record.entries import Entry, moment

Spent = Literal["work", "people", "windows", "lock"]

WAITS_UNTIL = "waits_until"
SUSPENDS_UNTIL = "suspends_until"  # in the evidence of the entry with which a run is suspended; "" if it is woken again and again
HELD_BY = "held_by"
WAITS_FOR = "waits_for"  # in the evidence of an entry that says that a release waits: what for
QUEUE = "queue"  # what a release waits for while another one of its service is under way
STAYS = {"approval", "tick", "note"}  # what is written while a release waits on


@dataclass(frozen=True, slots=True)
class Durations:
    """How long a release took, in seconds; the four parts are the total.

    Fields:
        work_seconds: Everything that is not a wait. The time in which its process was dead is in it, too.
        people_seconds: The wait for answers at its gates.
        window_seconds: The wait for windows, the end of freezes, and its turn in a group.
        lock_seconds: The wait for another release of the same service.
    """

    work_seconds: float = 0.0
    people_seconds: float = 0.0
    window_seconds: float = 0.0
    lock_seconds: float = 0.0

    @property
    def wait_seconds(self) -> float:
        """All waits."""
        return round(self.people_seconds + self.window_seconds + self.lock_seconds, 3)

    @property
    def total_seconds(self) -> float:
        """From the first entry to the last; a clock that went back counts as one that stood still."""
        return round(self.work_seconds + self.wait_seconds, 3)


def durations(entries: Sequence[Entry]) -> Durations:
    """Measure how a release spent its time.

    The time between two entries belongs to what the first one says: a gate that suspends or holds the release begins a wait, which goes on
    over approvals, ticks and notes; every other entry is work. If one target is held while another one works, the work counts.

    Args:
        entries: The record in order.

    Returns:
        The parts; zeros for fewer than two entries.
    """
    found: dict[Spent, float] = dict.fromkeys(("work", "people", "windows", "lock"), 0.0)
    for spent, begin, end in spent_between(entries):
        found[spent] += (end - begin).total_seconds()
    work, people, windows, lock = (round(seconds, 3) for seconds in found.values())
    return Durations(work, people, windows, lock)


def spent_between(entries: Sequence[Entry]) -> Iterator[tuple[Spent, datetime, datetime]]:
    """Give what the time between each two entries was spent with; a clock that went back counts as one that stood still."""
    spent: Spent = "work"
    for entry, following in pairwise(entries):
        spent = _spent_after(entry, before=spent)
        yield spent, moment(entry), max(moment(entry), moment(following))


def _spent_after(entry: Entry, *, before: Spent) -> Spent:
    """Say what the time behind an entry is spent with."""
    if entry.kind in STAYS and SUSPENDS_UNTIL not in entry.evidence:
        return before
    if entry.kind != "gate":
        return "work"
    if entry.evidence.get(WAITS_FOR) == QUEUE:
        return "lock"
    if HELD_BY in entry.evidence or WAITS_UNTIL in entry.evidence:
        return "windows"
    return "people" if SUSPENDS_UNTIL in entry.evidence else "work"
