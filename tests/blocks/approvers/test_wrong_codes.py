"""The list of wrong codes, with real files."""

from __future__ import annotations

import os
from pathlib import Path

from blocks.approvers.wrong_codes import WrongCodes

FIRST = {"run": "run-1", "gate": "production-1", "decision": "approve"}
OTHER = {"run": "run-2", "gate": "production-1", "decision": "approve"}


def test_wrong_codes_are_counted_by_person_for_an_hour(tmp_path: Path) -> None:
    """The same answer counts once, one's own not at all, and an old one no more."""
    wrong = WrongCodes(tmp_path)
    assert wrong.last_hour(without={}) == {}
    for answer in (FIRST, FIRST, OTHER):
        wrong.note("anna-b.c", answer)
    wrong.note("ben", OTHER)
    assert wrong.last_hour(without={}) == {"anna-b.c": 2, "ben": 1}
    assert wrong.last_hour(without=OTHER) == {"anna-b.c": 1}
    for path in (tmp_path / "wrong").iterdir():
        os.utime(path, (0, 0))
    assert wrong.last_hour(without={}) == {}
    assert list((tmp_path / "wrong").iterdir()) == []
