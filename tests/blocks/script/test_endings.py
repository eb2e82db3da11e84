"""How a run ended, in words: what is said is what was done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blocks.script import run as runs
from blocks.script.result import DRAFT, RESULT, keep_room, write_result
from blocks.script.run import TEMPFAIL, Ended

LEFT = ("812 (apt-get)",)
RUN: Any = {"id": "1"}


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Ended(0, seconds=2), "exited with 0 after 2.0 s"),
        (Ended(0, seconds=2, left=LEFT), "exited with 0 after 2.0 s; it left running: 812 (apt-get)"),
        (Ended(1, seconds=2), "exited with 1 after 2.0 s"),
        (Ended(1, seconds=2, left=LEFT), "exited with 1 after 2.0 s; could not be ended: 812 (apt-get)"),
        (Ended(-9, seconds=2), "was killed by signal 9 after 2.0 s"),
        (Ended(-9, seconds=2, left=LEFT), "was killed by signal 9 after 2.0 s; could not be ended: 812 (apt-get)"),
        (Ended(timed_out=True, seconds=2), "timed out after 2.0 s, and was ended with all that it had started"),
        (Ended(timed_out=True, seconds=2, left=LEFT), "timed out after 2.0 s; could not be ended: 812 (apt-get)"),
        (Ended(stopped=True, seconds=2), "was ended after 2.0 s with all that it had started, as a rollback took over"),
        (
            Ended(stopped=True, seconds=2, left=LEFT),
            "was to be ended as a rollback took over, after 2.0 s; could not be ended: 812 (apt-get)",
        ),
        (
            Ended(is_known=False),
            "is gone without an exit code (its machine was restarted, its wrapper was killed, or its disk was full)",
        ),
        (Ended(is_known=False, has_begun=False), "was not begun"),
    ],
)
def test_an_ending_names_what_was_not_ended_and_claims_nothing_else(ended: Ended, words: str) -> None:
    """Only what exited with 0 has left a service."""
    assert ended.in_words() == words


def test_one_that_asks_for_another_try_says_beside_what_that_would_run() -> None:
    """What it left is not its service."""
    assert Ended(TEMPFAIL, left=LEFT).beside == "; could not be ended: 812 (apt-get)"
    assert Ended(0, left=LEFT).beside == ""


def test_an_ending_takes_the_room_that_was_kept_for_it_and_stands_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """The very blocks, so that a full disk has them; the names in it are of others, and cleaned."""
    place = tmp_path / "runs" / "1"
    place.mkdir(parents=True)
    (place / "process.json").touch()
    keep_room(place)
    kept = (place / DRAFT).stat()
    assert not runs.ended(tmp_path, RUN).is_known
    write_result(place, {"exit_code": 1, "left": ["7 (\x1b[31mred\n)"]})
    written = (place / RESULT).stat()
    assert (written.st_ino, written.st_size) == (kept.st_ino, kept.st_size)
    assert {path.name for path in place.iterdir()} == {"process.json", RESULT}
    assert json.loads((place / RESULT).read_text())["exit_code"] == 1
    assert runs.ended(tmp_path, RUN) == Ended(1, left=["7 (red )"])
