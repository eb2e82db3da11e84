"""The ledger of one-time codes, with real files, threads and processes' worth of ledgers."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blocks.approvers.used_codes import UsedCodes

NOW_COUNTER = int(time.time()) // 30
FIRST = {"run": "run-1", "gate": "production-1", "decision": "approve"}
OTHER = {"run": "run-2", "gate": "production-1", "decision": "approve"}


@pytest.fixture
def ledger(tmp_path: Path) -> UsedCodes:
    """Open an empty ledger."""
    return UsedCodes(tmp_path)


def test_a_code_is_used_once_over_all_runs(ledger: UsedCodes) -> None:
    """The second answer does not get it."""
    assert ledger.use("anna", NOW_COUNTER, FIRST)
    assert not ledger.use("anna", NOW_COUNTER, OTHER)
    assert ledger.use("ben", NOW_COUNTER, OTHER)


def test_the_same_answer_may_claim_its_code_again_after_a_crash(ledger: UsedCodes, tmp_path: Path) -> None:
    """A process killed between claim and result finds its own claim, in a new process."""
    assert ledger.use("anna", NOW_COUNTER, FIRST)
    again = UsedCodes(tmp_path)
    assert again.used(without=FIRST) == set()
    assert again.use("anna", NOW_COUNTER, FIRST)


def test_a_bent_answer_does_not_get_the_code_of_the_true_one(ledger: UsedCodes) -> None:
    """Turning a rejection into an approval afterwards needs a new code."""
    assert ledger.use("anna", NOW_COUNTER, {**FIRST, "decision": "reject"})
    assert not ledger.use("anna", NOW_COUNTER, FIRST)


def test_the_ledger_knows_what_others_used(ledger: UsedCodes) -> None:
    """Also for names with dashes and dots."""
    ledger.use("anna-b.c", NOW_COUNTER, FIRST)
    ledger.use("ben", NOW_COUNTER - 1, OTHER)
    assert ledger.used(without=FIRST) == {("ben", NOW_COUNTER - 1)}
    assert ledger.used(without={}) == {("anna-b.c", NOW_COUNTER), ("ben", NOW_COUNTER - 1)}


def test_of_many_claims_at_once_one_wins(tmp_path: Path) -> None:
    """Test-and-set is atomic."""
    answers = [{"run": f"run-{number}"} for number in range(32)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda answer: UsedCodes(tmp_path).use("anna", NOW_COUNTER, answer), answers))
    assert won.count(True) == 1


def test_claims_older_than_a_day_are_forgotten(ledger: UsedCodes) -> None:
    """The folder does not grow for ever; a day is far longer than a code lives."""
    ledger.use("anna", NOW_COUNTER - 2 * 2880, FIRST)
    ledger.use("anna", NOW_COUNTER - 2000, OTHER)
    ledger.use("ben", NOW_COUNTER, OTHER)
    assert {counter for _, counter in ledger.used(without={})} == {NOW_COUNTER - 2000, NOW_COUNTER}


def test_wrong_codes_are_counted_by_person_for_an_hour(ledger: UsedCodes, tmp_path: Path) -> None:
    """The same answer counts once, one's own not at all, and an old one no more."""
    for answer in (FIRST, FIRST, OTHER):
        ledger.note_wrong("anna", answer)
    ledger.note_wrong("ben", OTHER)
    assert ledger.wrong_last_hour(without={}) == {"anna": 2, "ben": 1}
    assert ledger.wrong_last_hour(without=OTHER) == {"anna": 1}
    for path in (tmp_path / "wrong").iterdir():
        os.utime(path, (0, 0))
    assert ledger.wrong_last_hour(without={}) == {}
    assert list((tmp_path / "wrong").iterdir()) == []
