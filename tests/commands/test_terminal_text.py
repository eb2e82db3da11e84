"""What the commands print of other people's words."""

from __future__ import annotations

import pytest

from flows.commands import _terminal
from tests.hostile_text import EVERYTHING


@pytest.mark.parametrize("error", [False, True])
def test_no_escape_sequence_reaches_the_terminal(capsys: pytest.CaptureFixture[str], error: bool) -> None:  # noqa: FBT001 - a table
    """A run's name, a state's message and a log line can move no cursor and set no title."""
    _terminal.show(f"before {EVERYTHING} after", error=error)
    shown = capsys.readouterr()
    text = shown.err if error else shown.out
    assert not set(text) & set("\x1b\x9b\x00\x07\r\x85\u2028\u202e")
    assert text.startswith("before")
    assert (shown.out if error else shown.err) == ""
