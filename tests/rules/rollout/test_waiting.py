"""What holds a release, from its record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.rules.record.entries import Entry, chain
from tasks.rules.rollout.next_step import PREPARE, shift_to
from tasks.rules.rollout.waiting import (
    BEFORE,
    HELD_BY,
    OVER,
    SUSPENDS_UNTIL,
    WAITS_UNTIL,
    held_by,
    held_since,
    hold_name,
    holds_in_words,
    untold_freezes,
    wake_time,
)
from tasks.rules.windows.freeze import SCHEDULE, UNREADABLE

AT = datetime(2026, 11, 29, 17, tzinfo=UTC)
FREEZE, OTHER, WINDOWS = "0123456789ab", "ba9876543210", "windows:0123456789ab"


def record_of(*described: dict[str, Any]) -> list[Entry]:
    """Give a record of these entries, a minute apart."""
    entries: list[Entry] = []
    for number, one in enumerate(described):
        fields = {"kind": "gate", "environment": "", "round": 1, "step": None, "who": "shipway", "what": "x", "why": "", "evidence": {}}
        more = {"name": f"entry {number}", **one}
        entries.append(chain(entries[-1] if entries else None, at=AT.replace(minute=number), **{**fields, **more}))
    return entries


def held(*by: str, **more: Any) -> dict[str, Any]:
    """Describe the entry of a step that is held."""
    return {"environment": "production", "step": 100, "name": hold_name(by), "evidence": {HELD_BY: list(by), BEFORE: "shift"}, **more}


def waits(*by: str) -> dict[str, Any]:
    """Describe the entry of a wave that waits without a process."""
    return held(*by, environment="", step=None) | {"evidence": {HELD_BY: list(by), WAITS_UNTIL: "2026-11-30T00:00:00+00:00"}}


def test_what_holds_now_is_what_the_last_of_its_holds_named() -> None:
    """Of a wave that waits, of each target that is held; and nothing once it went on."""
    assert held_by([]) == []
    assert held_by(record_of(waits(FREEZE))) == [FREEZE]
    assert held_by(record_of(waits(FREEZE), {"name": "window 1"})) == []
    assert held_by(record_of(held(FREEZE, environment="production/a"), held(WINDOWS, environment="production/b"))) == [FREEZE, WINDOWS]
    assert held_by(record_of(held(FREEZE), {"kind": "effect", "environment": "production", "name": "shift"})) == []
    assert held_by(record_of(held(FREEZE), {"kind": "closed"})) == []


def test_a_held_step_is_said_where_it_is() -> None:
    """Until something else happens in that environment."""
    entries = record_of(held(FREEZE, what="Held at 50 %: frozen", why="freeze of all"))
    assert holds_in_words(entries) == "Held at 50 %: frozen: freeze of all"
    assert holds_in_words([*entries, *record_of({"kind": "effect", "environment": "production"})]) == ""


def test_each_freeze_that_held_it_is_told_once_it_is_over() -> None:
    """Neither a window, nor freezes that could not be read, have an end to tell."""
    entries = [waits(FREEZE), held(FREEZE, OTHER), waits(WINDOWS), waits(SCHEDULE), held(UNREADABLE)]
    assert untold_freezes(record_of(*entries)) == [FREEZE, OTHER]
    assert untold_freezes(record_of(*entries, {"evidence": {OVER: FREEZE}})) == [OTHER]


def test_the_limit_counts_from_the_first_hold_of_a_step() -> None:
    """Also if another freeze holds it by now, and whatever another step or target had."""
    entries = record_of(held(FREEZE, step=50), held(FREEZE), held(OTHER), held(FREEZE, environment="production/b"))
    assert held_since(entries, environment="production", before=shift_to(100)) == AT.replace(minute=1)
    assert held_since(entries, environment="production", before=PREPARE) is None


def test_each_hold_has_a_name_of_its_own() -> None:
    """Also of many freezes, whose ids no name could hold, and of the same freezes with other words."""
    many = [f"{number:012x}" for number in range(40)]
    assert hold_name(many[:39]) != hold_name(many)
    assert hold_name([FREEZE], "until 22:00") != hold_name([FREEZE], "until 23:00")
    assert len(hold_name(many)) < 200


@pytest.mark.parametrize(("said", "moment"), [(AT.isoformat(), AT), ("", None), ("********", None), ("soon", None)])
def test_a_moment_that_cannot_be_read_is_none(said: str, moment: datetime | None) -> None:
    """Else one record would keep the keeper from its run, each turn."""
    assert wake_time(record_of({"evidence": {SUSPENDS_UNTIL: said}})) == moment
