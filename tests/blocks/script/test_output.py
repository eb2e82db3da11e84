"""A script's output: whole lines, over the turn of its files, bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from blocks.script.output import MOST_LINE_BYTES, MOST_LINES_LOGGED, Progress, Reader, Shown, read_progress, tail
from blocks.script.wrapper import MOST_BYTES, Output


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("::progress 40 copying", Progress(40, "copying")),
        ("  ::progress 100%", Progress(100, "")),
        ("::progress 12.5 % a b", Progress(12, "a b")),
        ("::progress 101 too much", None),
        ("::progress soon", None),
        ("echo ::progress 40", None),
    ],
)
def test_a_line_may_say_the_progress(line: str, wanted: Progress | None) -> None:
    """`::progress PERCENT WORDS`; all else is an ordinary line."""
    assert read_progress(line) == wanted


def test_lines_come_whole_and_the_last_one_at_the_end(tmp_path: Path) -> None:
    """Half a line waits for its rest."""
    output, reader = Output(tmp_path), Reader(tmp_path)
    output.add(b"one\ntw")
    assert reader.read() == [b"one"]
    output.add(b"o\nthree")
    assert reader.read() == [b"two"]
    assert reader.read(is_last=True) == [b"three"]
    reader.close()


def test_what_is_kept_is_bounded_and_a_reader_that_keeps_up_loses_nothing(tmp_path: Path) -> None:
    """Over several turns of the files, in order."""
    output, reader = Output(tmp_path), Reader(tmp_path)
    lines = [b"%07d %s" % (number, b"x" * 1_000) for number in range(4 * MOST_BYTES // 1_000)]
    seen = []
    for number, line in enumerate(lines):
        output.add(line + b"\n")
        if number % 100 == 0:
            seen += reader.read()
    seen += reader.read(is_last=True)
    reader.close()
    assert seen == lines
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2.2 * MOST_BYTES
    assert tail(tmp_path)[-1].startswith("0003999 ")


def test_a_reader_that_is_slow_goes_on_with_what_is_kept(tmp_path: Path) -> None:
    """It reads whole files only, and ends."""
    output, reader = Output(tmp_path), Reader(tmp_path)
    output.add(b"first\n")
    assert reader.read() == [b"first"]
    for _ in range(5):
        output.add(b"y" * MOST_BYTES + b"\n")
        output.add(b"z\n")
    output.add(b"last\n")
    assert reader.read(is_last=True)[-1] == b"last"
    reader.close()


def test_a_line_without_an_end_is_cut(tmp_path: Path) -> None:
    """Memory is bounded, too."""
    output, reader = Output(tmp_path), Reader(tmp_path)
    output.add(b"a" * (3 * MOST_LINE_BYTES))
    assert sum(map(len, reader.read())) == 3 * MOST_LINE_BYTES
    assert reader.rest == b""
    reader.close()


def test_the_log_of_a_run_is_bounded_and_a_bar_is_its_last_state(tmp_path: Path) -> None:
    """After a thousand lines it is said where the rest is; progress is shown all the same."""
    said: list[str] = []
    shown = Shown("run", "deploy 1.1", kept=tmp_path / "runs" / "1", whose="app")
    shown.log = lambda form, *words: said.append(form % words)
    shown.show(b" 10 %\r 50 %\r 100 %\r")
    shown.show(b"\x1b[31mred\x1b[0m")
    for _ in range(MOST_LINES_LOGGED + 50):
        shown.show(b"line")
    shown.show(b"::progress 40 copying")
    assert said[:2] == ["deploy 1.1 | 100 %", "deploy 1.1 | red"]
    assert len(said) == MOST_LINES_LOGGED + 2
    assert str(tmp_path) in said[-2]
    assert said[-1] == "deploy 1.1: 40 %: copying"
