"""`shipway why`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from blocks.key_folder.key_file import key_path
from flows.cli import main
from flows.commands import why
from tests.commands.test_report_command import storage

__all__ = ["storage"]


def ran(*words: str) -> int:
    """Run the command as the command line does."""
    parser = argparse.ArgumentParser()
    why.configure(parser)
    return why.run(parser.parse_args(words))


def test_the_decision_is_read_from_the_record_without_a_server(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the beginning of an id; what the record does not say has no line."""
    assert storage.exists()
    assert ran("abc") == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "run abc-123: guestbook 1.2.0: rolled back"
    assert [line.split()[0] for line in lines] == ["asked", "decision", "took", "record"]
    assert ran("abc", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["run"], found["problems"], found["lines"][2]["text"]) == ("abc-123", [], "It happened.")


@pytest.mark.parametrize("command", ["why", "export"])
def test_without_the_key_it_says_that_the_seals_are_not_checked(
    command: str, storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a copy on another machine, which anyone could have written."""
    assert storage.exists()
    key_path().unlink()
    assert main([command, "abc-123", *(["--output", str(tmp_path / "out")] if command == "export" else [])]) in {0, 1}
    assert "seals" in (shown := capsys.readouterr().out)
    assert "NOT checked" in shown
    assert "intact" not in shown
    if command == "export":
        assert "NOT checked" in (tmp_path / "out" / "why.txt").read_text()


def test_a_record_that_was_touched_ends_with_two(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And so does one that is not there."""
    (storage / "records" / "abc-123" / "00002.json").unlink()
    assert ran("abc-123") == 2
    assert "BROKEN, do not rely on the lines above" in capsys.readouterr().out
    assert ran("nothing") == 2
    assert "there is no record of nothing" in capsys.readouterr().err
