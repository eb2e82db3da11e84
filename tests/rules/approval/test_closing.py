"""The checklist before closing: while it is waited for a version stays deployed, and what is open is never said to be done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from blocks.outside_text import as_ending
from tasks.rules.approval.closing import end_in_words, gives_way_at, is_of_closing, last_progress, waits_for_lock
from tasks.rules.approval.ticks_form import checklist_in_words
from tasks.rules.lifecycle.ending import Ending, Name, while_closing
from tasks.rules.record.entries import Entry, Kind, chain

NOW = datetime(2026, 3, 2, 14, 0, 7, tzinfo=UTC)
UNTIL = "2026-03-02T14:15:00+00:00"
OPEN = [{"item": "invoices", "text": "x", "who": ["ada", "ben"], "required": True}]
OPTIONAL = [{"item": "party", "text": "x", "who": ["ada"], "required": False}]


def progress(before: str = "closing", missing: Any = OPEN) -> dict[str, Any]:
    """Write how far a checklist is."""
    return {"progress": {"before": before, "through": "5 of 6", "open": missing, "done": []}}


def record(*entries: tuple[Kind, dict[str, Any]]) -> list[Entry]:
    """Write a record."""
    found: list[Entry] = []
    for number, (kind, evidence) in enumerate(entries):
        found.append(chain(found[-1] if found else None, at=NOW, kind=kind, who="x", what="x", name=str(number), evidence=evidence))
    return found


ASKED: tuple[Kind, dict[str, Any]] = ("gate", {**progress(), "suspends_until": UNTIL, "gives_way_at": UNTIL})
COMPLETE: tuple[Kind, dict[str, Any]] = ("gate", progress(missing=OPTIONAL))
BACK: tuple[Kind, dict[str, Any]] = ("rollback", {})
EARLIER: tuple[Kind, dict[str, Any]] = ("gate", {**progress("production"), "suspends_until": UNTIL})


@pytest.mark.parametrize(
    ("entries", "name", "ends"),
    [
        (record(ASKED), "failed", "deployed"),
        (record(ASKED), "refused", "deployed"),
        (record(ASKED), "skipped", "deployed"),
        (record(ASKED), "cancelled", "cancelled"),
        (record(ASKED), "stopped", "stopped"),
        (record(ASKED, BACK), "failed", "failed"),
        (record(EARLIER), "failed", "failed"),
        (record(ASKED, EARLIER), "failed", "failed"),
        ([], "failed", "failed"),
    ],
)
def test_only_a_person_takes_back_what_waits_for_ticks_alone(entries: list[Entry], name: Name, ends: str) -> None:
    """Neither a fault nor a time limit does; before it is deployed, and once it is rolled back, all is as it was."""
    assert while_closing(Ending(name, as_ending("a fault")), entries).name == ends


def test_what_is_open_is_said_and_what_is_complete_too() -> None:
    """With the people who may tick it, and why no one is asked any more."""
    ending = while_closing(Ending("failed", as_ending("the disk is full")), record(ASKED))
    assert ending.reason == (
        "THE CHECKLIST BEFORE CLOSING IS NOT COMPLETE: still open: invoices (ada or ben); "
        "people could not be asked any more: the disk is full"
    )
    assert while_closing(Ending("failed", as_ending("x")), record(ASKED, COMPLETE)).reason == "the checklist before closing is complete"
    assert end_in_words(progress()["progress"], "its time is up").endswith("NOT COMPLETE: its time is up")


def test_status_says_what_stayed_open_once_the_release_is_closed() -> None:
    """Of what is deployed; of what ended otherwise nothing is to be ticked any more."""
    deployed, cancelled = (record(ASKED, ("closed", {"outcome": outcome})) for outcome in ("deployed", "cancelled"))
    assert checklist_in_words(deployed) == "checklist before closing NOT COMPLETE: 5 of 6; open: invoices (ada or ben)"
    assert checklist_in_words(cancelled) == ""
    assert checklist_in_words(record(COMPLETE, ("closed", {"outcome": "deployed"}))) == ""


def test_it_gives_way_only_while_it_waits() -> None:
    """And only a release that is in the queue ends its wait."""
    assert gives_way_at(record(ASKED)) == datetime.fromisoformat(UNTIL)
    assert [gives_way_at(one) for one in ([], record(EARLIER), record(ASKED, COMPLETE), record(BACK, ASKED))] == [None] * 4
    assert waits_for_lock(record(("gate", {"waits_for": "queue"})))
    assert not any(map(waits_for_lock, ([], record(ASKED), record(("note", {"waits_for": "queue"})))))


@pytest.mark.parametrize("evidence", [{}, {"progress": "closing"}, {"progress": {}}, progress("production")])
def test_no_other_entry_is_of_it(evidence: dict[str, Any]) -> None:
    """Whatever its evidence is."""
    assert not any(map(is_of_closing, record(("gate", evidence), ("note", progress()))))
    assert last_progress(record(("note", progress()))) is None
